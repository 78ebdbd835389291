"""Which addresses a visitor may have this machine connect to."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from actionstream.models.errors import ActionstreamError
from actionstream.sources.address import masked

SCHEMES = ("rtsp", "rtsps", "http", "https")


def check_address(text: str, *, allow_private: bool) -> str:
    """The address, if it may be connected to; ValueError says why not.

    Unless `allow_private`, all that its host resolves to has to be on the public internet: this machine, its
    neighbours and what a cloud answers on link-local addresses are none of a visitor's business. What the host
    resolves to later, or what a playlist from it names, is not known here: a firewall has to hold where that matters.
    """
    text = text.strip()
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ActionstreamError(f"that is no address: {error}") from error
    if parts.scheme.lower() not in SCHEMES or not host:
        raise ActionstreamError(
            "give an address such as rtsp://camera/stream; it begins with rtsp, rtsps, http or https"
        )
    if any(character.isspace() or not character.isprintable() for character in text):
        raise ActionstreamError("an address has no spaces in it")
    if allow_private:
        return text
    try:
        found = socket.getaddrinfo(host, port or 80, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ActionstreamError(f"{masked(text)} cannot be reached: no machine is called {host}") from error
    for *_, place in found:
        if not _is_public(str(place[0])):
            raise ActionstreamError(
                f"{masked(text)} is a private address; whoever started this page can allow those with --allow-private"
            )
    return text


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    inside = address if address.version == 4 else address.ipv4_mapped or address.sixtofour or address
    return inside.is_global and not inside.is_multicast
