"""Limits on connections to the page: their number, and the time and size of a request's head."""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import Collection
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""The timeout for the head of a request, from its first byte or from the start of the connection."""
HEAD_BYTES = 16_384
CONNECTIONS = min(512, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
CONNECTIONS_OF_A_CLIENT = 64


def protocol(proxies: Collection[str]) -> type[H11Protocol]:
    """A protocol class for uvicorn with these limits; proxies have no limit per client."""

    of_clients: Counter[str] = Counter()

    class Connection(H11Protocol):
        _late: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._peer = self.client[0] if self.client else ""
            of_clients[self._peer] += 1
            of_it = 0 if self._peer in proxies else of_clients[self._peer]
            if len(self.connections) > CONNECTIONS or of_it > CONNECTIONS_OF_A_CLIENT:
                transport.abort()
                return
            self._watch_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch_head()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            of_clients[self._peer] -= 1
            if not of_clients[self._peer]:
                del of_clients[self._peer]
            self._stop_watching()

        def _watch_head(self) -> None:
            if self.conn.their_state is not h11.IDLE:
                self._stop_watching()
            elif self._late is None:
                self._late = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

        def _stop_watching(self) -> None:
            if self._late is not None:
                self._late.cancel()
                self._late = None

    return Connection
