"""Addresses of sources on a network, and what may be shown of them."""

from __future__ import annotations

import re

SCHEMES = ("rtsp", "rtsps", "http", "https", "rtp", "udp", "rtmp", "srt", "tcp")

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_SECRET = re.compile(r"(?i)((?:user|login|pass|pwd|token|key|secret|auth|sig)[^=&/;?#]*=)[^&/;?#]+")


def scheme(text: str) -> str | None:
    """The scheme of an address, such as "rtsp"; None where the text is none."""
    match = _SCHEME.match(text)
    return match[1].lower() if match else None


def masked(text: str) -> str:
    """What may be shown of a source's text: an address without its user and password, wherever they stand.

    A password that was not percent-encoded may have slashes in it, so all up to the last @ goes.
    """
    if scheme(text) is None:
        return text
    begin, rest = text.split("://", 1)
    login, at, place = rest.rpartition("@")
    hidden = "***@" if at and "/" in login else ""
    return f"{begin}://{hidden}" + _SECRET.sub(r"\1***", place)
