"""Check the addresses that visitors give."""

from __future__ import annotations

from urllib.parse import urlsplit

from actionstream.models.common.errors import ActionstreamError
from actionstream.sources.relay import PORTS

REGISTERED = 1024
"""The first port that is not reserved for system services."""


def check_address(text: str, *, allow_private: bool) -> str:
    """Return the address without spaces around it; ActionstreamError where scheme, host, port or text is not allowed.

    The host is not resolved here. `actionstream.sources.relay` does it, and checks whether the host is public.
    """
    text = text.strip()
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:  # urlsplit says so of a port or a bracket
        raise ActionstreamError(f"that is no address: {error}") from error
    if parts.scheme.lower() not in PORTS or not host:
        raise ActionstreamError(
            "give an address such as rtsp://camera/stream; it begins with rtsp, rtsps, http or https"
        )
    if any(character.isspace() or not character.isprintable() for character in text):
        raise ActionstreamError("an address has no spaces in it")
    if not allow_private and port is not None and port < REGISTERED and port not in PORTS.values():
        allowed = ", ".join(map(str, sorted(PORTS.values())))
        raise ActionstreamError(f"port {port} is for other services; expected {allowed}, or {REGISTERED} and above")
    return text
