"""A relay for addresses from strangers: FFmpeg connects to the relay, and the relay to the public internet only.

FFmpeg resolves a host each time it connects, follows redirects, and fetches the files that a playlist names. None of
that can be checked in advance. So FFmpeg gets the address of a relay on loopback and never learns the host; the relay
resolves the host once, checks each of its addresses, and connects to those only.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import threading
from contextlib import closing, suppress
from urllib.parse import quote, urlsplit, urlunsplit

from actionstream.models.video import SourceError

PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}
REDIRECT = b"\nlocation:"
"""The header of a redirect, in HTTP and in RTSP; FFmpeg ignores carriage returns in RTSP."""
CHUNK_BYTES = 65_536
INTERNET = ipaddress.ip_network("2000::/3")
UNWRAPPED = tuple(map(ipaddress.ip_network, ("2001::/32", "2002::/16")))
"""Teredo and 6to4: addresses with an IPv4 address in them."""


class Relay:
    """A relay to one host, open until `close`; raises SourceError where the host is not on the public internet.

    address  address of the relay, which FFmpeg opens
    options  options for FFmpeg with this address
    """

    def __init__(self, address: str):
        parts = urlsplit(address)
        scheme, host = parts.scheme.lower(), parts.hostname or ""
        plain = scheme.removesuffix("s")
        self._port = parts.port or PORTS[scheme]
        self._addresses = public_addresses(host, self._port)
        self._host = host if scheme != plain else None
        """The host for TLS, else None; the relay does TLS instead of FFmpeg, and checks certificates."""
        self._listening = socket.create_server(("127.0.0.1", 0))
        ours = f"127.0.0.1:{self._listening.getsockname()[1]}"
        login, at, place = parts.netloc.rpartition("@")
        netloc = quote(login, safe="%:!$&'()*+,;=~") + at + ours
        self.address = urlunsplit((plain, netloc, parts.path, parts.query, ""))
        self.options = {}
        if plain == "http":
            self.options = {"headers": f"Host: {place}\r\n", "max_redirects": "0", "http_proxy": ""}
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        async with await asyncio.start_server(self._pass_on, sock=self._listening):
            await self._ended.wait()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:  # including a connection that just came
            for task in others:
                task.cancel()
            await asyncio.wait(others)

    async def _pass_on(self, asked: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError), closing(answers):
            reader, writer = await self._connect()
            upwards = asyncio.create_task(_copy(asked, writer))
            try:
                await _copy(reader, answers, no_redirects=True)
            finally:
                upwards.cancel()
                writer.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        tls = ssl.create_default_context() if self._host else None
        for address in self._addresses[:-1]:
            with suppress(ConnectionError, TimeoutError):
                return await asyncio.open_connection(address, self._port, ssl=tls, server_hostname=self._host)
        return await asyncio.open_connection(self._addresses[-1], self._port, ssl=tls, server_hostname=self._host)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, no_redirects: bool = False) -> None:
    """Copy bytes until they end; with `no_redirects`, end before a redirect."""
    seen = b""
    with suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            if no_redirects:
                seen += data.replace(b"\r", b"").lower()
                if REDIRECT in seen:
                    return
                seen = seen[1 - len(REDIRECT) :]
            writer.write(data)
            await writer.drain()


def public_addresses(host: str, port: int) -> list[str]:
    """The IP addresses of a host; SourceError unless all are on the public internet."""
    try:
        found = [str(place[0]) for *_, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise SourceError(f"no host {host} is found") from error
    for text in found:
        if not is_public(text):
            raise SourceError(f"{host} is not on the public internet")
    return found


def is_public(text: str) -> bool:
    """Whether an IP address is on the public internet and is not one of this machine."""
    address = ipaddress.ip_address(text)
    if address.version == 6 and (address not in INTERNET or any(address in each for each in UNWRAPPED)):
        return False
    return address.is_global and not address.is_multicast and not _is_own(address)


def _is_own(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is one of this machine: only to those a socket can be bound."""
    with socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
        return True
