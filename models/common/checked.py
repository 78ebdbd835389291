"""Dataclasses that check their fields against the annotations, and JSON that is read as them.

pydantic does the checking; only this module turns its ValidationError into an ActionstreamError of one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from reprlib import Repr
from typing import Annotated, Any, TypeVar, dataclass_transform, get_args, get_type_hints

from pydantic import AfterValidator, ConfigDict, Field, Strict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import read_text

CONFIG = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid")
MOST_CHARACTERS = 64 << 20
"""The most characters of a JSON text; 100,000 labels of 200 characters need a third of it."""
MOST_DEPTH, MOST_VALUES = 32, 1_000_000
"""The most levels of nested lists and objects, and the most values, in untyped JSON."""
WANTED = {"a integer": "a whole number", "a boolean": "true or false", "a array": "a list", "a tuple": "a list"}
"""Plain words for terms of pydantic and JSON."""
MOST_FRAMES = 4096
"""The most frames of a clip; Timeception takes 1024."""

T = TypeVar("T")
NumFrames = Annotated[int, Field(ge=1, le=MOST_FRAMES)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Share = Annotated[float, Field(ge=0, le=1)]
ShortText = Annotated[str, Field(max_length=4096)]
"""A name, a label or a path."""
LabelNames = Annotated[tuple[ShortText, ...], Field(max_length=100_000), Strict(False)]
"""Empty for a network that gives features."""
Seed = Annotated[int, Field(ge=0, le=2**40)]
"""Seeds derived from it fit into 63 bits."""


def _bounded(values: dict[str, Any]) -> dict[str, Any]:
    level: list[Any] = [values]
    count = 0
    for _ in range(MOST_DEPTH):
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
        count += len(level)
        level = [each for each in level if isinstance(each, dict | list | tuple)]
        if not level:
            break
    if level or count > MOST_VALUES:
        raise ActionstreamError(
            f"it has more than {MOST_DEPTH} levels or {MOST_VALUES:,} values; expected an object with fewer"
        )
    return values


Plain = Annotated[dict[str, Any], AfterValidator(_bounded)]
"""An object of any JSON, of bounded depth and size."""


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
def checked(cls: type[T]) -> type[T]:
    """Make a frozen dataclass with keyword arguments, whose fields are checked against their annotations.

    Types are strict: a string is not a number, and a number is not a boolean; an int is a float. Numbers are finite. A
    wrong, missing or unknown field raises ActionstreamError.
    """
    made: Any = dataclass(config=CONFIG, frozen=True, kw_only=True)(cls)
    initialise = made.__init__

    def checked_init(self: Any, **values: Any) -> None:
        try:
            initialise(self, **values)
        except ValidationError as error:
            raise ActionstreamError(_first_line(error, made)) from error

    made.__init__ = checked_init
    return made


def parse_json(text: str, kind: type[T], source: object) -> T:
    """Parse a JSON text as a checked dataclass or any other type.

    source  where the text is from, such as a file; the message begins with it

    Raises ActionstreamError for a text that is no JSON, nests too deeply, is too long, or is not of the type.
    """
    if len(text) > MOST_CHARACTERS:
        raise ActionstreamError(f"{source} has {len(text):,} characters of JSON; expected {MOST_CHARACTERS:,} at most")
    try:
        return TypeAdapter(kind).validate_json(text)
    except ValidationError as error:
        raise ActionstreamError(f"{source}: {_first_line(error, kind)}") from error


def read_json(path: Path, kind: type[T]) -> T:
    """The value of a JSON file, as in `parse_json`; its text as in `read_text`."""
    return parse_json(read_text(path), kind, path)


def _first_line(error: ValidationError, kind: Any) -> str:
    """The first of the errors: which field it is, what is there, and what is expected."""
    unknown = "unexpected_keyword_argument"  # reported first: a misspelt field is also a missing one
    first = min(error.errors(include_url=False), key=lambda each: each["type"] != unknown)
    *outer, name = first["loc"] or ("",)
    place = ".".join(map(str, first["loc"])) or "the value"
    match first["type"]:
        case "json_invalid":
            cut = ", it may have been cut short" if "EOF" in first["msg"] else ""
            return f"no whole JSON{cut}: {first['ctx']['error']}"
        case "missing":
            inside = f" in {'.'.join(map(str, outer))}" if outer else ""
            return f"there is no {name}{inside}; expected a value for it"
        case _ if first["type"] == unknown:
            nearest = get_close_matches(str(name), set(_names(kind)), n=1, cutoff=0)
            return f"there is no field {shown(place)}; nearest is {', '.join(nearest)}"
        case "value_error":
            prefix = f"{place}: " if first["loc"] else ""
            return f"{prefix}{first['ctx']['error']}"
    return f"{place} is {shown(first['input'])}; expected {in_plain_words(first['type'], first['msg'])}"


def in_plain_words(error_type: str, message: str) -> str:
    """What pydantic expects, in fewer words: "Input should be greater than or equal to 1" becomes "1 or more"."""
    if error_type == "dataclass_type":
        return "an object"
    wanted = re.sub(r"^\w+ should (be|have) ", "", message).replace("a valid ", "a ").replace(" after validation", "")
    wanted = re.sub(r"^greater than or equal to (\S+)$", r"\1 or more", wanted)
    wanted = re.sub(r"^less than or equal to (\S+)$", r"\1 at most", wanted)
    wanted = re.sub(r"^greater than (\S+)$", r"more than \1", wanted)
    return WANTED.get(wanted, wanted)


def _names(kind: Any) -> Iterator[str]:
    """The names of all fields of a type, and of the types inside it."""
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        for each in fields(kind):
            yield each.name
            yield from _names(hints[each.name])
    for inner in get_args(kind):
        yield from _names(inner)


def shown(value: Any) -> str:
    """A value in few characters."""
    if isinstance(value, int) and abs(value) >= 10**40:  # Python refuses to print more than 4300 digits
        return "a number of more than 40 digits"
    short = Repr()
    short.maxstring = short.maxother = 60
    short.maxlevel = 2
    return short.repr(value)
