"""The names under which the page answers: a name of somebody else that leads here would make their page ours."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable

HOST = re.compile(r"(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9_.-]{1,253}))(?::[0-9]{1,5})?")


class Hosts:
    """The host names that are ours: those of this machine, IP addresses, and names that the user allows.

    An IP address is always ours: a page that a browser got under a name of somebody else asks with that name (DNS
    rebinding). Names may be added while the server runs.
    """

    def __init__(self, names: Iterable[str]):
        self._names = {"localhost", socket.gethostname().lower(), *map(str.lower, names)}

    def add(self, name: str) -> None:
        self._names.add(name.lower())

    def __contains__(self, host: str) -> bool:
        """Whether a Host header, with or without a port, is ours."""
        name = name_of(host)
        return name is not None and (name in self._names or _is_address(name))


def name_of(host: str) -> str | None:
    """The name in a Host header, without its port; None where it is no host."""
    found = HOST.fullmatch(host.lower())
    return found and (found[1] or found[2])


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
