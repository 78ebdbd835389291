"""What is wrong in the settings, in words: which key, what it is, what is expected."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel, ValidationError

from actionstream.models.common.checked import in_plain_words, shown
from actionstream.serve.places import Path
from actionstream.serve.settings import Camera, Settings
from actionstream.serve.values import kind_of

DEFAULTS = "defaults"
"""The table of what holds for all cameras; it is no part of `Settings`."""


class Problem(NamedTuple):
    """A key with what is wrong with it, such as "is 3; expected 0 to 1"."""

    path: Path
    words: str


def dotted(path: Path) -> str:
    """A path as TOML writes it, with numbers of lists in brackets."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            bare = re.fullmatch(r"[A-Za-z0-9_-]+", key)
            text += ("." if text else "") + (key if bare else json.dumps(key, ensure_ascii=False))
    return text


def escaped(text: str) -> str:
    """A text whose line breaks and other characters that are not printable are escaped."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def problems_of(error: ValidationError, data: dict[str, Any]) -> Iterator[Problem]:
    """What pydantic found in these data."""
    for each in error.errors(include_url=False):
        path = _path(data, each["loc"])
        yield Problem(path, _words(path, each))


def _path(data: Any, location: tuple[str | int, ...]) -> Path:
    """A location in the data themselves: pydantic's has names of types, too."""
    path: Path = ()
    for key in location:
        in_list = isinstance(data, list) and isinstance(key, int) and key < len(data)
        if in_list or (isinstance(data, dict) and key in data):
            data = data[key]
            path += (key,)
    return path


def _words(path: Path, error: Any) -> str:
    match error["type"]:
        case "missing":
            return f"has no {error['loc'][-1]}; expected a value for it"
        case "extra_forbidden":
            return f"is no key; nearest is {get_close_matches(str(path[-1]), _keys_beside(path), n=1, cutoff=0)[0]}"
        case "told":
            return error["msg"]
        case "wanted":
            return f"is {_shown(error['input'])}; expected {error['msg']}"
        case "model_type" | "dict_type":
            return f"is {kind_of(error['input'])}; expected a table"
    return f"is {_shown(error['input'])}; expected {in_plain_words(error['type'], error['msg'])}"


def _shown(value: Any) -> str:
    """A value in few characters; of a table only that it is one, as it may have a secret."""
    if isinstance(value, bool):
        return str(value).lower()
    flat = value if isinstance(value, list) else [value]
    return shown(value) if all(isinstance(each, int | float | str | list) for each in flat) else kind_of(value)


def _keys_beside(path: Path) -> list[str]:
    """The keys that may stand where an unknown one does."""
    model: type[BaseModel] = Settings
    keys = iter(path[:-1])
    for key in keys:
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        if key == DEFAULTS and model is Settings:
            model = Camera
        elif key in fields:
            in_container, model = _model_in(fields[key].annotation, model)
            if in_container:  # a name or a number comes next
                next(keys, None)
    names = [field.alias or name for name, field in model.model_fields.items()]
    return [*names, DEFAULTS] if model is Settings else names


def _model_in(annotation: Any, other: type[BaseModel]) -> tuple[bool, type[BaseModel]]:
    """The model in an annotation, else the other one, and whether it is in a dict or a tuple."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return False, annotation
    for inner in get_args(annotation):
        _, model = _model_in(inner, other)
        if model is not other:
            return get_origin(annotation) in (dict, tuple), model
    return False, other
