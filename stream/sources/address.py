"""Addresses of sources on a network, and what may be shown of them."""

from __future__ import annotations

import re

SCHEMES = ("rtsp", "rtsps", "http", "https", "rtp", "udp", "rtmp", "srt", "tcp")

SHOWN = ("camera", "cam", "channel", "format", "fps", "profile", "rate", "resolution", "size", "stream", "subtype")

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_MISTYPED = re.compile(r"([a-z][a-z0-9+.-]+):[/\\]", re.IGNORECASE)
_VALUE = re.compile(r"([\w-]+)=[^&/;?#]+")


def scheme(text: str) -> str | None:
    """The scheme of an address, such as "rtsp"; None where the text is none."""
    match = _SCHEME.match(text)
    return match[1].lower() if match else None


def mistyped(text: str) -> str | None:
    """The scheme of what was meant to be an address, such as rtsp:/camera/stream."""
    match = _MISTYPED.match(text)
    return match[1].lower() if match and scheme(text) is None else None


def masked(text: str) -> str:
    """What may be shown of a source's text: an address without its user and password, wherever they stand.

    That is all up to the last @ (a password that was not percent-encoded may have slashes in it), and what stands
    behind an = anywhere, but for a few names that are no secret, such as channel=2.
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
