"""Reads cameras.toml, and says what is wrong in it and where."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import read_text
from actionstream.serve.camera_checks import check_cameras
from actionstream.serve.places import Places
from actionstream.serve.settings import Settings
from actionstream.serve.values import kind_of
from actionstream.serve.wording import DEFAULTS, Problem, dotted, escaped, problems_of

MOST_CHARACTERS = 1 << 20


class SettingsError(ActionstreamError):
    """A file of settings that cannot be used.

    problems  one line each, such as "cameras.toml:12: cameras.door.threshold is 3; expected 0 to 1"
    """

    def __init__(self, problems: list[str]):
        self.problems = [escaped(problem) for problem in problems]
        super().__init__("\n".join(self.problems))


def read_settings(path: Path) -> Settings:
    """The settings of a file; SettingsError, with all that is wrong in it, where it cannot be used."""
    try:
        text = read_text(path)
    except (ActionstreamError, OSError) as error:
        raise SettingsError([str(error)]) from None
    return parse_settings(text, path)


def parse_settings(text: str, path: Path) -> Settings:
    """The settings of a text, which is that of the file `path`; SettingsError as in `read_settings`."""
    if len(text) > MOST_CHARACTERS:
        raise SettingsError([f"{path} has {len(text):,} characters; expected {MOST_CHARACTERS:,} at most"])
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([_no_toml(error, text, path)]) from None
    except RecursionError:
        raise SettingsError([f"{path} has too many levels of lists and tables"]) from None
    problems: list[Problem] = []
    own, defaults = data.get("cameras", {}), data.pop(DEFAULTS, {})
    if not isinstance(defaults, dict):
        problems.append(Problem((DEFAULTS,), f"is {kind_of(defaults)}; expected a table"))
        defaults = {}
    data["cameras"] = _with_defaults(own, defaults)
    folder = path.absolute().parent
    settings = None
    try:
        settings = Settings.model_validate(data, context={"folder": folder})
    except ValidationError as error:
        problems += problems_of(error, data)
    problems += check_cameras(data["cameras"], folder)
    if settings is None or problems:  # outside of the handler: pydantic's error has values that may be secrets
        raise SettingsError(_in_lines(problems, own, text, path))
    return settings


def _with_defaults(cameras: Any, defaults: dict[str, Any]) -> Any:
    """The tables of the cameras, each with the keys of [defaults] that it has not."""
    if not isinstance(cameras, dict):
        return cameras
    return {name: defaults | own if isinstance(own, dict) else own for name, own in cameras.items()}


def _in_lines(problems: list[Problem], own: Any, text: str, path: Path) -> list[str]:
    """A line of each problem, in the order of the file; a problem of [defaults] is told once."""
    places = Places(text)
    found: dict[str, int] = {}
    for keys, words in problems:
        if len(keys) > 2 and keys[0] == "cameras" and keys[2] not in own[keys[1]]:
            keys = (DEFAULTS, *keys[2:])
        line = places.line(keys)
        found[f"{path}{f':{line}' if line else ''}: {dotted(keys)} {words}"] = line or 0
    return sorted(found, key=found.__getitem__)


def _no_toml(error: tomllib.TOMLDecodeError, text: str, path: Path) -> str:
    """The line of an error of tomllib, and what it is."""
    message = str(error)
    place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    line = text.count("\n") + 1 if place is None or place[1] is None else int(place[1])
    what = message[: place.start()] if place else message
    if twice := re.fullmatch(r"Cannot declare \((.*?),?\) twice", what):
        return f"{path}:{line}: [{dotted(ast.literal_eval(f'({twice[1]},)'))}] is there twice"
    if what == "Cannot overwrite a value":
        return f"{path}:{line}: this key is there twice"
    return f"{path}:{line}: this is no TOML: {what[:1].lower()}{what[1:]}"
