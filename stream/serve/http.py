"""A small web server: a table of cameras, /metrics for Prometheus, /healthz and /readiness for those who watch."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any

from actionstream.models.common.errors import ActionstreamError, in_a_line
from actionstream.serve.board import Board
from actionstream.serve.page import CameraRow, render

MOST_CONNECTIONS = 32
MOST_SECONDS = 10.0
"""A connection ends after this time in any case."""
POLL_SECONDS = 0.1
OFF_ON_PURPOSE = ("scheduled off", "disabled")


class StatusServer:
    """Serves GET and HEAD of four paths in a thread of its own; all else is not found.

    address  HOST:PORT, where the host may be an IPv6 address in brackets; port 0 is any free one
    metrics  the text for Prometheus
    alive    a text where the service is alive, else None: /healthz says 503
    board    what /readiness shows: the status of each camera, with 503 where none of those that should be live is
    rows     of the table of cameras, at /

    Raises ActionstreamError where the address cannot be read or used.
    """

    def __init__(
        self,
        address: str,
        *,
        metrics: Callable[[], bytes],
        alive: Callable[[], str | None],
        board: Board,
        rows: Callable[[], Sequence[CameraRow]],
    ):
        pages: dict[str, Callable[[], _Page]] = {
            "/": lambda: (HTTPStatus.OK, "text/html; charset=utf-8", render(rows())),
            "/metrics": lambda: (HTTPStatus.OK, "text/plain; version=0.0.4; charset=utf-8", metrics()),
            "/healthz": lambda: _health(alive()),
            "/readiness": lambda: _readiness(board),
        }
        host, port = _parse(address)
        try:
            self._server = _Server(host, port, pages)
        except (OSError, UnicodeError) as error:  # UnicodeError: DNS cannot have the host
            why = getattr(error, "strerror", None) or error
            raise ActionstreamError(f"the address {address} cannot be used: {why}") from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL_SECONDS,), name="http", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


_Page = tuple[HTTPStatus, str, bytes]


def _health(text: str | None) -> _Page:
    status = HTTPStatus.SERVICE_UNAVAILABLE if text is None else HTTPStatus.OK
    return status, "text/plain; charset=utf-8", f"{'dead' if text is None else text}\n".encode()


def _readiness(board: Board) -> _Page:
    found = {fact.camera: value for fact, value in board.facts().items() if fact.kind == "status"}
    wanted = [value[0] for value in found.values() if value[0] not in OFF_ON_PURPOSE]
    ready = "live" in wanted if wanted else bool(found)
    cameras = {camera: {"status": value[0], "reason": value[1]} for camera, value in sorted(found.items())}
    body: Mapping[str, Any] = {"ready": ready, "cameras": cameras}
    status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
    return status, "application/json", json.dumps(body, ensure_ascii=False, indent=2).encode() + b"\n"


def _parse(address: str) -> tuple[str, int]:
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.%\w]+)\]|([^\s:\[\]]+)):(\d{1,5})", address)
    if match is None or int(match[3]) > 65_535:
        raise ActionstreamError(f"the address is {address!r}; expected HOST:PORT, such as 127.0.0.1:9160 or [::1]:9160")
    return match[1] or match[2], int(match[3])


class _Server(ThreadingTCPServer):
    """A bounded number of connections, each for a bounded time: a slow client holds nobody up."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, host: str, port: int, pages: Mapping[str, Callable[[], _Page]]):
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        self.address_family = family
        self.pages = pages
        self._open: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        super().__init__(address, _Handler)  # type: ignore[arg-type]  # four values for IPv6

    def verify_request(self, request: Any, client_address: Any) -> bool:
        with self._lock:
            if len(self._open) >= MOST_CONNECTIONS:
                return False
            self._open[request] = time.monotonic()
        return True

    def service_actions(self) -> None:
        limit = time.monotonic() - MOST_SECONDS
        with self._lock:
            for request in [request for request, begun in self._open.items() if begun < limit]:
                with suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone ends its own connection only."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 5.0
    server_version = "actionstream"
    sys_version = ""
    error_message_format = "%(code)d %(message)s\n"
    error_content_type = "text/plain; charset=utf-8"

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            status, kind, body = page()
        except Exception as error:  # noqa: BLE001  the service goes on; who asks sees what is wrong
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR, in_a_line(error))
            return
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass
