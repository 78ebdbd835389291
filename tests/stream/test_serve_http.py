"""The web server for metrics and health, and those who would like to hang it."""

import http.client
import json
import socket
import threading
import time
from contextlib import ExitStack, closing, suppress

import pytest
from broker import wait_for

from actionstream.models.common.errors import ActionstreamError
from actionstream.serve import http as served
from actionstream.serve.board import Board, Fact
from actionstream.serve.http import StatusServer
from actionstream.serve.page import CameraRow


class Service:
    def __init__(self, address="127.0.0.1:0"):
        self.board, self.alive, self.metrics = Board(), "alive for 3 seconds", lambda: b"frames 3\n"
        self.rows = []
        self.server = StatusServer(
            address,
            metrics=lambda: self.metrics(),
            alive=lambda: self.alive,
            board=self.board,
            rows=lambda: self.rows,
        )

    def ask(self, path, method="GET", host="127.0.0.1", timeout=10):
        with closing(http.client.HTTPConnection(host, self.server.port, timeout=timeout)) as connection:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.headers


@pytest.fixture
def service():
    running = Service()
    yield running
    running.server.close()


def test_metrics(service):
    status, body, headers = service.ask("/metrics?a=b")
    assert (status, body) == (200, "frames 3\n")
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "Python" not in headers["Server"]
    status, body, headers = service.ask("/metrics", "HEAD")
    assert (status, body, headers["Content-Length"]) == (200, "", "9")


def test_health(service):
    assert service.ask("/healthz")[:2] == (200, "alive for 3 seconds\n")
    service.alive = None
    assert service.ask("/healthz")[:2] == (503, "dead\n")


@pytest.mark.parametrize(
    ("statuses", "ready"),
    [
        ({}, False),
        ({"hall": "connecting"}, False),
        ({"hall": "live"}, True),
        ({"hall": "failed", "door": "live"}, True),
        ({"hall": "failed", "door": "disabled"}, False),
        ({"hall": "scheduled off", "door": "disabled"}, True),
        ({"hall": "ended"}, False),
    ],
)
def test_readiness(service, statuses, ready):
    for camera, status in statuses.items():
        service.board.set(Fact("status", camera), (status, "why"))
    service.board.set(Fact("label", "hall"), "wave")
    status, body, headers = service.ask("/readiness")
    assert status == (200 if ready else 503)
    cameras = {camera: {"status": status, "reason": "why"} for camera, status in statuses.items()}
    assert json.loads(body) == {"ready": ready, "cameras": cameras}
    assert headers["Content-Type"] == "application/json"


def row(camera, node=None, status="live", frames_a_second=10.04, lag_ms=12.6):
    return CameraRow(camera=camera, node=node, status=status, frames_a_second=frames_a_second, lag_ms=lag_ms)


def test_the_table_of_cameras(service):
    status, body, headers = service.ask("/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "0 cameras" in body
    service.rows = [row("<b>door</b>"), row("hall", status="failed: no such & file", frames_a_second=0, lag_ms=None)]
    body = service.ask("/")[1]
    assert '<th scope="row">&lt;b&gt;door&lt;/b&gt;</th><td>live</td>' in body
    assert '<td class="number">10.0</td><td class="number">13</td>' in body
    assert "<td>failed: no such &amp; file</td>" in body
    assert "node" not in body
    assert "<script" not in body
    assert 'http-equiv="refresh"' in body
    service.rows = [row("door", node="machine-1"), row("hall", node="")]
    body = service.ask("/")[1]
    assert '<th scope="row">door</th><td>machine-1</td>' in body
    assert '<th scope="row">hall</th><td></td>' in body


@pytest.mark.parametrize("path", ["/index.html", "/metrics/", "/../etc/passwd", "/Healthz", "/metrics%20"])
def test_all_else_is_not_found(service, path):
    assert service.ask(path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_other_methods_do_nothing(service, method):
    assert service.ask("/metrics", method)[0] == 501


def test_a_fault_is_an_answer(service):
    service.metrics = lambda: 1 / 0
    status, body, _ = service.ask("/metrics")
    assert status == 500
    assert "ZeroDivisionError" in body
    assert service.ask("/healthz")[0] == 200


def test_ipv6_and_names():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    for address in ("[::1]:0", "localhost:0"):
        running = Service(address)
        host = "::1" if running.server._server.address_family == socket.AF_INET6 else "127.0.0.1"
        assert running.ask("/healthz", host=host)[0] == 200
        running.server.close()


@pytest.mark.parametrize("address", ["", "9160", ":9160", "::1:9160", "host", "a b:1", "host:70000", "[::1]", "h:1:2"])
def test_addresses_that_cannot_be_read(address):
    with pytest.raises(ActionstreamError, match=r"the address is .*; expected HOST:PORT"):
        Service(address)


def test_addresses_that_cannot_be_used(service):
    with pytest.raises(ActionstreamError, match=r"the address 127.0.0.1:\d+ cannot be used: Address already in use"):
        Service(f"127.0.0.1:{service.server.port}")
    for host in ("no.such.host.invalid", "a..b", "a" * 64):
        with pytest.raises(ActionstreamError, match=f"the address {host}:0 cannot be used"):
            Service(f"{host}:0")


def test_clients_that_say_nothing_are_sent_away(service, monkeypatch):
    """However many they are, and however slowly they go on: the next one is served."""
    with ExitStack() as stack:
        slow = []
        for _ in range(served.MOST_CONNECTIONS + 5):
            slow.append(stack.enter_context(socket.create_connection(("127.0.0.1", service.server.port))))
            slow[-1].sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        wait_for(lambda: len(service.server._server._open) == served.MOST_CONNECTIONS)
        monkeypatch.setattr(served, "MOST_SECONDS", 0.3)
        going_on = threading.Event()

        def drip():
            while not going_on.wait(0.05):
                for each in slow:
                    with suppress(OSError):
                        each.sendall(b"y")

        thread = threading.Thread(target=drip)
        thread.start()

        def answers():
            try:
                return service.ask("/healthz")[0] == 200
            except (OSError, http.client.HTTPException):
                return False

        wait_for(answers)
        wait_for(lambda: not service.server._server._open)
        going_on.set()
        thread.join()


def test_a_client_that_does_not_read_holds_nobody_up(service, monkeypatch):
    monkeypatch.setattr(served, "MOST_SECONDS", 0.3)
    service.metrics = lambda: b"x" * 20_000_000
    with socket.create_connection(("127.0.0.1", service.server.port)) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        wait_for(lambda: service.server._server._open)
        assert service.ask("/healthz")[0] == 200
        wait_for(lambda: not service.server._server._open)


@pytest.mark.parametrize(
    "sent", [b"\r\n", b"\0\xff\r\n\r\n", b"GET " + b"a" * 100_000, b"GET /metrics HTTP/9.9\r\n\r\n"]
)
def test_nonsense_is_an_error_of_its_own_connection(service, sent):
    with socket.create_connection(("127.0.0.1", service.server.port)) as client:
        client.settimeout(10)
        with suppress(OSError):  # it may be sent away before it has said all
            client.sendall(sent + b"\r\n\r\n")
            client.shutdown(socket.SHUT_WR)
            while client.recv(65_536):
                pass
    assert service.ask("/healthz")[0] == 200


def test_closing_waits_for_nobody():
    running = Service()
    with socket.create_connection(("127.0.0.1", running.server.port)):
        begun = time.monotonic()
        running.server.close()
        assert time.monotonic() - begun < served.MOST_SECONDS
