"""Changes to the settings of a run by NAME=VALUE; a value is parsed by the type annotation of its setting."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import is_dataclass, replace
from difflib import SequenceMatcher
from inspect import signature
from types import NoneType, UnionType
from typing import Any, Literal, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

from actionstream.models.catalogue import find_entry
from actionstream.models.common.checked import parse_json
from actionstream.models.common.errors import ActionstreamError

ARGUMENTS = "arguments"
OTHERS = "arguments.**"
"""Any other argument, for networks that pass unknown arguments on to an inner network."""
WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
NONE = ("none", "null")
REPLACED = {"optimisation.num_steps": "epochs or steps", "arguments.num_classes": "labels"}
"""Settings that a run computes, and what it computes them from."""


class Settings(Protocol):
    """Settings of a training: a dataclass with a network, its arguments, and others."""

    @property
    def network(self) -> str: ...

    @property
    def arguments(self) -> dict[str, Any]: ...


S = TypeVar("S", bound=Settings)


def changed(settings: S, changes: Sequence[str]) -> S:
    """Settings with some changed by NAME=VALUE, such as optimisation.mixup=0.2 or arguments.dropout=0.5.

    Raises ValueError for an unknown name, with the nearest one, and for an invalid value.
    """
    kinds = _kinds(settings)
    parts: dict[str, dict[str, Any]] = {}
    for change in changes:
        path, equals, text = (part.strip() for part in change.partition("="))
        section, _, name = path.rpartition(".")
        try:
            if not equals:
                raise ActionstreamError(
                    f"expected NAME=VALUE; the names are {', '.join(get_type_hints(type(settings)))}"
                )
            value = _parse(text, _find(path, kinds), path)
        except ActionstreamError as error:
            raise ActionstreamError(f"--set {change}: {error}") from error
        parts.setdefault(section, {})[name] = value
    given = parts.pop("", {})
    arguments = {**given.get(ARGUMENTS, settings.arguments), **parts.pop(ARGUMENTS, {})}
    try:  # all together: whether a value is valid may depend on others
        given |= {section: replace(getattr(settings, section), **values) for section, values in parts.items()}
        return replace(settings, **{**given, ARGUMENTS: arguments})  # type: ignore[type-var]
    except ActionstreamError as error:
        raise ActionstreamError(f"--set {' --set '.join(changes)}: {error}") from error


def _kinds(settings: Settings) -> dict[str, Any]:
    """The type annotations of all settings, by their full names."""
    kinds: dict[str, Any] = {}
    for name, kind in get_type_hints(type(settings)).items():
        kinds[name] = kind
        if is_dataclass(kind):
            kinds |= {f"{name}.{each}": inner for each, inner in get_type_hints(kind).items()}
    if "streaming" in settings.arguments:
        kinds |= {f"{ARGUMENTS}.num_frames": int, f"{ARGUMENTS}.fading": bool}  # of `create`
    build = find_entry(settings.network).network_class().__init__
    hints = get_type_hints(build)
    for name, parameter in signature(build).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            kinds[OTHERS] = Any
        elif name in hints:
            kinds[f"{ARGUMENTS}.{name}"] = hints[name]
    return kinds


def _find(path: str, kinds: Mapping[str, Any]) -> Any:
    """The type annotation of a setting; ValueError, with the nearest name, where there is none."""
    if path in REPLACED:
        raise ActionstreamError(f"a run computes it from {REPLACED[path]}")
    known = [name for name in kinds if name not in (*REPLACED, OTHERS) and not is_dataclass(kinds[name])]
    section, _, name = path.rpartition(".")
    if path in known or (section == ARGUMENTS and name and OTHERS in kinds):
        return kinds.get(path, Any)
    nearest = max(known, key=lambda each: max(_alike(path, each), _alike(name, each.rpartition(".")[2])))
    has_parts = is_dataclass(kinds.get(path))
    inside = path if has_parts else section
    names = [each.removeprefix(f"{inside}.") for each in known if inside and each.startswith(f"{inside}.")]
    names = names or [each for each in kinds if "." not in each]
    what = "has parts, which are set one by one" if has_parts else "there is no such setting"
    raise ActionstreamError(f"{what}; nearest is {nearest}, and the names are {', '.join(names)}")


def _alike(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other).ratio()


def _parse(text: str, kind: Any, name: str) -> Any:
    """Parse a text by a type annotation; ValueError says what is expected."""
    inner, origin = get_args(kind), get_origin(kind)
    if not text:
        raise ActionstreamError(f"{name} is given no value")
    if origin in (Union, UnionType):
        if NoneType in inner and text.lower() in NONE:
            return None
        return _parse(text, next(each for each in inner if each is not NoneType), name)
    if origin is Literal:
        if text not in inner:
            raise ActionstreamError(f"no {name.rpartition('.')[2]} {text!r}; there are {', '.join(inner)}")
        return text
    if origin in (dict, Mapping):
        values = _read(text, dict, name, 'names and values, {"name": value}')
        return {each: _parse(_text(value), inner[1], f"{name}.{each}") for each, value in values.items()}
    if origin in (tuple, Sequence, Iterable):
        each = text.split(",") if text[0] != "[" else map(_text, _read(text, list, name, "a list, [a, b]"))
        return tuple(_parse(one.strip(), inner[0], name) for one in each)
    if kind is bool and text.lower() in WORDS:
        return WORDS[text.lower()]
    if kind is int and re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    if kind is float:
        with suppress(ValueError):
            if math.isfinite(float(text)):
                return float(text)
    if kind is str:
        return parse_json(text, str, name) if re.fullmatch(r'"[^"\\]*"', text) else text
    if kind is Any:
        with suppress(ValueError):
            return parse_json(text.lower() if text.lower() in ("true", "false", "null") else text, Any, name)
        return text
    wanted = {bool: "true or false", int: "a whole number", float: "a finite number"}[kind]
    raise ActionstreamError(f"{text!r} is no value of {name}; expected {wanted}")


def _read(text: str, kind: type, name: str, wanted: str) -> Any:
    try:
        values = parse_json(text, Any, name)
    except ActionstreamError:
        values = None
    if not isinstance(values, kind):
        raise ActionstreamError(f"{text!r} is no value of {name}; expected {wanted}")
    return values


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
