"""The sink for webhooks, with a real web server that fails in all ways."""

import hashlib
import hmac
import json
import threading
from base64 import b64encode
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from broker import wait_for
from event_records import records
from servers import free_port, silent_server

from actionstream.models.common.errors import ActionstreamError
from actionstream.serve.delivery import Delivery, SinkError
from actionstream.serve.store import Store, Stored
from actionstream.serve.webhook import MOST_TRIES, WebhookSink


class Receiver(ThreadingHTTPServer):
    """Keeps each request; `answer` gives the status of one, or None: the connection ends without an answer."""

    daemon_threads = True

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer, self.got, self.clients = answer, [], set()
        self.more, self.body = {}, b"thank you"

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/hook?key=hidden"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), body))
        self.server.clients.add(self.client_address)
        status = self.server.answer(len(self.server.got))
        if status is None:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in self.server.more.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def do_GET(self):
        self.server.got.append((self.path, {}, b"a redirect was followed"))

    def log_message(self, *_):
        pass


@contextmanager
def receiver(answer=lambda _: 200):
    server = Receiver(answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def stored(told):
    return [Stored(number, record) for number, record in enumerate(told, start=1)]


def keys(server):
    return [headers["Idempotency-Key"] for _, headers, _ in server.got]


def test_each_record_is_a_post_that_is_signed():
    told = records(5)
    with receiver() as server:
        url = server.url.replace("//", "//me:a%20word@")
        sink = WebhookSink("door", url, "a secret", headers={"X-Room": "7"}, say=print)
        assert sink.name == "webhook door"
        assert sink.send(stored(told)) == 5
    assert [json.loads(body) for _, _, body in server.got] == [record.to_dict() for record in told]
    assert keys(server) == [record.key for record in told]
    for path, headers, body in server.got:
        assert path == "/hook?key=hidden"
        assert headers["Content-Type"] == "application/json"
        assert headers["X-Room"] == "7"
        assert headers["Authorization"] == f"Basic {b64encode(b'me:a word').decode()}"
        digest = hmac.new(b"a secret", body, hashlib.sha256).hexdigest()
        assert headers["X-Actionstream-Signature"] == f"sha256={digest}"
    assert len(server.clients) == 1  # one connection


def test_no_signature_without_a_secret():
    with receiver() as server:
        WebhookSink("door", server.url, say=print).send(stored(records(1)))
    assert "X-Actionstream-Signature" not in server.got[0][1]


@pytest.mark.parametrize("status", [301, 307, 401, 404, 429, 500, 503, 599])
def test_a_record_that_is_not_taken_comes_again(status):
    with receiver(lambda count: 200 if count <= 2 else status) as server:
        server.more = {"Location": server.url}
        sink = WebhookSink("door", server.url, say=print)
        waiting = stored(records(5))
        assert sink.send(waiting) == 2
        for _ in range(MOST_TRIES + 2):
            with pytest.raises(SinkError, match=rf"http://127.0.0.1 answers {status}") as error:
                sink.send(waiting[2:])
            assert "hidden" not in str(error.value)
    assert set(keys(server)[2:]) == {waiting[2].record.key}
    assert sink.given_up == 0


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_record_that_is_refused_for_good_is_given_up_and_said(status):
    said, waiting = [], stored(records(3))
    with receiver(lambda count: status if count <= MOST_TRIES else 200) as server:
        sink = WebhookSink("door", server.url, say=said.append)
        for _ in range(MOST_TRIES - 1):
            with pytest.raises(SinkError, match=f"answers {status}"):
                sink.send(waiting)
            assert said == []
        assert sink.send(waiting) == 3
    assert keys(server) == [waiting[0].record.key] * MOST_TRIES + [each.record.key for each in waiting[1:]]
    assert sink.given_up == 1
    assert waiting[0].record.key in said[0]
    assert "hidden" not in said[0]


def test_the_tries_of_each_record_are_its_own():
    waiting = stored(records(6))
    with receiver(lambda _: 422) as server:
        sink = WebhookSink("door", server.url, say=[].append)
        for turn in range(MOST_TRIES * 3):
            with pytest.raises(SinkError):
                sink.send(waiting[turn % 2 :])
    assert sink.given_up == 0


def test_long_answers_are_not_read():
    with receiver() as server:
        server.body = b"x" * 3_000_000
        assert WebhookSink("door", server.url, say=print).send(stored(records(3))) == 3
        assert len(server.clients) == 3


def test_receivers_that_are_not_there_or_say_nothing_or_nonsense():
    waiting = stored(records(1))
    with pytest.raises(SinkError, match=r"http://127.0.0.1 cannot be reached: Connection refused"):
        WebhookSink("door", f"http://127.0.0.1:{free_port()}/hidden", say=print).send(waiting)
    with silent_server() as port, pytest.raises(SinkError, match="cannot be reached: timed out"):
        WebhookSink("door", f"http://127.0.0.1:{port}/hidden", timeout_seconds=0.2, say=print).send(waiting)
    with receiver() as server, pytest.raises(SinkError, match="cannot be reached"):  # no TLS there
        WebhookSink("door", server.url.replace("http:", "https:"), say=print).send(waiting)
    with receiver(lambda _: None) as server, pytest.raises(SinkError, match=r"cannot be reached|no answer of HTTP"):
        WebhookSink("door", server.url, say=print).send(waiting)


@pytest.mark.parametrize(
    "url",
    [
        *("", "ftp://a/b", "http://", "https:///hidden", "http://a:hidden/", "http://a/hid den", "http://[::1/hidden"),
        *("http://a..b/hidden", f"http://{'a' * 64}/hidden"),
    ],
)
def test_addresses_that_cannot_be(url):
    with pytest.raises(ActionstreamError, match="the address of webhook door cannot be") as error:
        WebhookSink("door", url, say=print)
    assert "hid" not in str(error.value)


@pytest.mark.parametrize("header", [("X Y", "a"), ("", "a"), ("X:", "a"), ("X", "hidden\r\nY: b"), ("X", "hiddén")])
def test_headers_that_cannot_be(header):
    with pytest.raises(ActionstreamError, match="cannot be sent: expected plain ASCII") as error:
        WebhookSink("door", "http://a/b", headers=dict([header]), say=print)
    assert "hidd" not in str(error.value)


def test_a_receiver_that_fails_each_second_time(tmp_path, monkeypatch):
    """Sometimes after it has taken the record: exactly once after joining by key, in order of first arrival."""
    monkeypatch.setattr("actionstream.live.reconnect.FIRST_WAIT_SECONDS", 0.001)
    monkeypatch.setattr("actionstream.live.reconnect.LONGEST_WAIT_SECONDS", 0.01)
    told, taken = records(120), []

    def answer(count):
        key = server.got[-1][1]["Idempotency-Key"]
        if count % 2:
            taken.append(key)
            return 200
        if count % 3:
            return 503
        taken.append(key)  # and the answer is lost
        return None

    store, said = Store(tmp_path), []
    with receiver(answer) as server:
        sink = WebhookSink("door", server.url, say=said.append)
        store.set_sinks([sink.name])
        delivery = Delivery(sink, store, said.append)
        delivery.start()
        for record in told:
            store.append([(record, None)])
        wait_for(lambda: store.backlog(sink.name) == 0, 60)
        delivery.stop(20)
    store.close()
    assert list(dict.fromkeys(taken)) == [record.key for record in told]
    assert len(taken) > len(told)
    assert len(server.got) == 2 * len(told) - 1
    assert sink.given_up == 0
