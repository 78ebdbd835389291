"""Limits on connections to the page: their number, and the time of a request's head and of an unread answer."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Collection
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from actionstream.demos.page.limits import Limits


def protocol(proxies: Collection[str], limits: Limits) -> type[H11Protocol]:
    """A protocol class for uvicorn with these limits; proxies have no limit per client."""
    most = min(limits.max_connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
    of_clients: dict[str, list[Connection]] = {}

    class Connection(H11Protocol):
        _late: asyncio.TimerHandle | None = None
        _stalled: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._peer = self.client[0] if self.client else ""
            mine = of_clients.setdefault(self._peer, [])
            mine.append(self)
            if self._peer not in proxies and len(mine) > limits.max_connections_per_client:
                self._end()
                return
            if len(self.connections) > most:  # the client with the most connections loses its oldest one
                greedy = max((of_clients[peer] for peer in of_clients if peer not in proxies), key=len, default=mine)
                (greedy[0] if len(greedy) > len(mine) else self)._end()
            self._watch_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch_head()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._leave()
            self._stop_watching()
            self._flows()

        def _end(self) -> None:
            self._leave()  # at once: others may come before the transport tells that it is closed
            self.connections.discard(self)
            self.transport.abort()

        def _leave(self) -> None:
            mine = of_clients.get(self._peer, [])
            if self in mine:
                mine.remove(self)
            if not mine:
                of_clients.pop(self._peer, None)

        def pause_writing(self) -> None:
            """The client does not read the answer; whoever reads nothing for long loses the connection."""
            super().pause_writing()
            self._stalled = self.loop.call_later(limits.stalled_seconds, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            self._flows()

        def _flows(self) -> None:
            if self._stalled is not None:
                self._stalled.cancel()
                self._stalled = None

        def _watch_head(self) -> None:
            if self.conn.their_state is not h11.IDLE:
                self._stop_watching()
            elif self._late is None:
                self._late = self.loop.call_later(limits.head_seconds, self.transport.abort)

        def _stop_watching(self) -> None:
            if self._late is not None:
                self._late.cancel()
                self._late = None

    return Connection
