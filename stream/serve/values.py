"""The types of single values in the settings: secrets, paths, names, times. Each says what it expects.

Relative paths count from the folder in the context of the validation, `{"folder": Path}`, else from the working folder.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, SecretStr, Tag, ValidationInfo
from pydantic import WithJsonSchema as Schema
from pydantic_core import PydanticCustomError

MOST_SECRET_BYTES = 65_536
MINUTES_A_DAY = 24 * 60
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_HOURS = re.compile(r"\s*(\d\d?):([0-5]\d)\s*-\s*(\d\d?):([0-5]\d)\s*")
_HOST_AND_PORT = re.compile(r"([\w.-]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def wanted(what: str) -> PydanticCustomError:
    """The error "KEY is VALUE; expected WHAT"."""
    return PydanticCustomError("wanted", what)


def told(what: str) -> PydanticCustomError:
    """The error "KEY WHAT", which does not show the value."""
    return PydanticCustomError("told", what)


def folder_of(info: ValidationInfo) -> Path:
    """The folder from which relative paths count."""
    return (info.context or {}).get("folder", Path())


def kind_of(value: Any) -> str:
    """What a value of TOML is, without the value."""
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list", dict: "a table"}
    return kinds.get(type(value), "a date or a time")


def _read_secret(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, str | SecretStr):
        return value
    if not isinstance(value, dict):
        raise told(f'is {kind_of(value)}; expected a text, {{ env = "NAME" }} or {{ file = "PATH" }}')
    match list(value.items()):
        case [("env", str(name))]:
            if name not in os.environ:
                raise told(f"is in the environment variable {name}, which is not set; set it before the start")
            return os.environ[name]
        case [("file", str(name))]:
            return _read_secret_file(folder_of(info) / name)
    raise told('is a table; expected { env = "NAME" } or { file = "PATH" }')


def _read_secret_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_SECRET_BYTES + 1)
        text = data.decode().strip()
    except OSError as error:
        raise told(f"is in the file {path}, which cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise told(f"is in the file {path}, which is no text in UTF-8") from None
    except ValueError:  # open's, for a NUL
        raise told(f"is in the file {path}, which is no path") from None
    if len(data) > MOST_SECRET_BYTES:
        raise told(f"is in the file {path}, which is too long; expected {MOST_SECRET_BYTES:,} bytes at most")
    return text


def _web_address(secret: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(secret.get_secret_value())
        _ = parts.port  # ValueError where it is none, as of a host that DNS cannot have
        is_address = parts.scheme in ("http", "https") and bool((parts.hostname or "").encode("idna"))
        is_address = is_address and re.fullmatch("[!-~]+", secret.get_secret_value()) is not None
    except ValueError:
        is_address = False
    if not is_address:
        raise told("is no address; expected http://HOST/PATH or https://HOST/PATH")
    return secret


def shares(count: int) -> Schema:
    """The JSON Schema of a list of this many shares."""
    share = {"type": "number", "minimum": 0, "maximum": 1}
    return Schema({"type": "array", "items": share, "minItems": count, "maxItems": count})


def _path(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, str) and value.strip() and "\0" not in value:
        return folder_of(info) / os.path.expanduser(value)
    if isinstance(value, Path):
        return value
    raise wanted("a path")


def _share(value: float) -> float:
    if not 0 <= value <= 1:
        raise wanted("0 to 1")
    return value


def _name(value: str) -> str:
    if not value.strip() or value != value.strip() or not value.isprintable() or len(value) > 100:
        raise told("is no name; expected 1 to 100 printable characters, without spaces around them")
    return value


def _topic(value: str) -> str:
    if not all(value.split("/")) or value.startswith("$") or re.search(r"[+#\0\s]", value):
        raise wanted("a topic such as home/actionstream, without spaces, + and #, and no $ in front")
    return value


def _header(value: str) -> str:
    if not _HEADER.fullmatch(value):
        raise told("is no name of an HTTP header; expected letters, digits and dashes, such as Authorization")
    return value


def _header_value(secret: SecretStr) -> SecretStr:
    if not re.fullmatch("[ -~]*", secret.get_secret_value()):
        raise told("has a line break, a control character or a letter beyond ASCII; an HTTP header has one plain line")
    return secret


def _host_and_port(value: str) -> str | None:
    if value == "off":
        return None
    match = _HOST_AND_PORT.fullmatch(value)
    if not match or int(match[2]) > 65_535:
        raise wanted('HOST:PORT such as 127.0.0.1:9160, or "off"')
    return value


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, LookupError):
        near = get_close_matches(value, available_timezones(), n=1, cutoff=0)
        raise wanted(f"a time zone such as Europe/Berlin{f'; nearest is {near[0]}' if near else ''}") from None
    return value


def _hours(value: Any) -> Any:
    """Minutes since midnight of the begin and the end; an end on the next day is above MINUTES_A_DAY."""
    if isinstance(value, tuple):
        return value
    match = _HOURS.fullmatch(value) if isinstance(value, str) else None
    if match:
        start, end = (int(match[n]) * 60 + int(match[n + 1]) for n in (1, 3))
        if start < MINUTES_A_DAY and end <= MINUTES_A_DAY and start != end:
            return start, end if end > start else end + MINUTES_A_DAY
    raise wanted("hours from 00:00 to 24:00, such as 08:00-18:00, or 22:00-06:00 over midnight")


def _days(value: Any) -> Any:
    """The days of the week in their order, 0 for Monday."""
    if isinstance(value, tuple):
        return value
    found: set[int] = set()
    for part in [value] if isinstance(value, str) else value if isinstance(value, list) and value else [None]:
        first, dash, last = part.strip().lower().partition("-") if isinstance(part, str) else ("", "", "")
        if first not in DAYS or (dash and last not in DAYS):
            raise wanted('days such as "mon-fri" or ["mon", "sat"]')
        start = DAYS.index(first)
        length = (DAYS.index(last) - start) % 7 if dash else 0
        found |= {(start + n) % 7 for n in range(length + 1)}
    return tuple(sorted(found))


_SECRET_SCHEMA = Schema(
    {
        "anyOf": [
            {"type": "string"},
            *(
                {
                    "type": "object",
                    "properties": {key: {"type": "string", "description": what}},
                    "required": [key],
                    "additionalProperties": False,
                }
                for key, what in {
                    "env": "The name of an environment variable.",
                    "file": "The path of a file; spaces around its text do not count.",
                }.items()
            ),
        ]
    }
)

Secret = Annotated[SecretStr, BeforeValidator(_read_secret), _SECRET_SCHEMA]
"""A text that no message shows: the text itself, or where it stands, { env = "NAME" } or { file = "PATH" }."""
WebAddress = Annotated[Secret, AfterValidator(_web_address)]
FilePath = Annotated[Path, BeforeValidator(_path), Schema({"type": "string"})]
Name = Annotated[str, AfterValidator(_name)]
Text = Annotated[str, Field(min_length=1, max_length=4096)]
Topic = Annotated[str, AfterValidator(_topic)]
Headers = dict[Annotated[str, AfterValidator(_header)], Annotated[Secret, AfterValidator(_header_value)]]
HostAndPort = Annotated[str, AfterValidator(_host_and_port)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Share = Annotated[float, AfterValidator(_share), Schema({"type": "number", "minimum": 0, "maximum": 1})]
Thresholds = Annotated[
    Annotated[Share, Tag("number")] | Annotated[dict[str, Share], Tag("table")],
    Discriminator(lambda value: "table" if isinstance(value, dict) else "number"),
]
"""One for all labels, or a table of them by label with "*" for the others."""
Seconds = Annotated[float, Field(ge=0, le=timedelta(days=1).total_seconds())]
Timeout = Annotated[float, Field(gt=0, le=timedelta(days=1).total_seconds())]
Hours = Annotated[tuple[int, int], BeforeValidator(_hours), Schema({"type": "string", "examples": ["08:00-18:00"]})]
Days = Annotated[
    tuple[int, ...],
    BeforeValidator(_days),
    Schema(
        {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
            "examples": ["mon-fri", ["mon", "sat"]],
        }
    ),
]
