"""Addresses of network sources, and how to hide their secrets."""

from __future__ import annotations

import re

SCHEMES = ("rtsp", "rtsps", "http", "https", "rtp", "udp", "rtmp", "srt", "tcp")

SHOWN = ("camera", "cam", "channel", "format", "fps", "profile", "rate", "resolution", "size", "stream", "subtype")

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_MISTYPED = re.compile(r"([a-z][a-z0-9+.-]+):[/\\]", re.IGNORECASE)
_VALUE = re.compile(r"([\w-]+)=[^&/;?#]+")


def scheme(text: str) -> str | None:
    """The scheme of an address, such as "rtsp"; None where the text is not an address."""
    match = _SCHEME.match(text)
    return match[1].lower() if match else None


def mistyped(text: str) -> str | None:
    """The scheme of a mistyped address, such as rtsp:/camera/stream; else None."""
    match = _MISTYPED.match(text)
    return match[1].lower() if match and scheme(text) is None else None


def masked(text: str) -> str:
    """The text of a source with its secrets masked: the user, the password, and the values of parameters.

    The user and the password are all text up to the last @ (a password without percent-encoding may have slashes). The
    value behind each = is masked, except for the names in SHOWN, such as channel=2.
    """
    if scheme(text) is None:
        return text
    begin, rest = text.split("://", 1)
    host, slash, path = rest.partition("/")
    login, at, place = (host.replace("%40", "@") + slash + path).rpartition("@")
    hidden = "***@" if at and "/" in login else ""
    return f"{begin}://{hidden}" + _VALUE.sub(_hide, place)


def _hide(match: re.Match[str]) -> str:
    return match[0] if match[1].lower() in SHOWN else f"{match[1]}=***"
