"""The page's real server against what visitors without a browser send: each test is an attack."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from html import unescape
from http.client import HTTPConnection
from itertools import count
from select import select

import httpx
import pytest
from browser import Server, server, wait_until
from PIL import Image
from servers import free_port, http_server, silent_server

from actionstream.demos.page.limits import Limits
from actionstream.sources import SAMPLE

pytestmark = pytest.mark.waits
NUMBERS = count(1)
HEAD_SECONDS = BODY_SECONDS = STALLED_SECONDS = 3
UPLOAD_HEAD = "POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
FILE = b'--b\r\nContent-Disposition: form-data; name="files"; filename="film.mp4"\r\n\r\n'
PAGE = "https://page.example"

OPTIONS = (
    *("--max-megabytes", "2", "--max-stored-megabytes", "5", "--max-pages-per-client", "4"),
    *("--max-streams", "4", "--max-streams-per-client", "2", "--silent-seconds", "3", "--runtime", "torch"),
    *("--proxy", "127.0.0.9", "--allow-host", "page.example", "--allow-host", "friends.example"),
    *("--head-seconds", "3", "--body-seconds", "3", "--stalled-seconds", "3", "--max-uploads-per-client", "4"),
    *("--upload-seconds", "6", "--min-upload-kilobytes", "100", "--idle-seconds", "3"),
)


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """A server as strangers meet it, with small limits; a client at 127.0.0.9 is its proxy."""
    with server(*OPTIONS, folder=tmp_path_factory.mktemp("strict")) as one:
        wait_until(lambda: one.num_streams() == 0, 60)  # the sample is scored
        yield one


@contextmanager
def connected(site, source="127.0.0.1"):
    connection = socket.create_connection(("127.0.0.1", site.port), timeout=30, source_address=(source, 0))
    with connection:
        yield connection


def answer(connection):
    """All that comes until the server closes, or says all that it has to say."""
    got = b""
    with suppress(OSError):
        while data := connection.recv(65536):
            got += data
    return got


def hang_up(connection):
    """Raises OSError where the other side has hung up already, without a word."""
    for _ in range(3):
        connection.sendall(b"x")
        time.sleep(0.02)
    if connection.recv(1) == b"":
        raise ConnectionError("closed")


def ask(site, method, path, body=b"", headers=(), source="127.0.0.1"):
    """Status, headers and body of an answer to a request of which each part is ours."""
    connection = HTTPConnection("127.0.0.1", site.port, timeout=30, source_address=(source, 0))
    try:
        connection.request(method, path, body or None, dict(headers))
        answered = connection.getresponse()
        return answered.status, dict(answered.getheaders()), answered.read()
    finally:
        connection.close()


@contextmanager
def page(site, key, source=None, headers=()):
    """An open page, as gradio's script keeps it, of a client that nobody else is: status of its heartbeat."""
    source = source or f"127.1.{next(NUMBERS)}.1"
    connection = HTTPConnection("127.0.0.1", site.port, timeout=30, source_address=(source, 0))
    try:
        connection.request("GET", f"/gradio_api/heartbeat/{key}", headers=dict(headers))
        yield connection.getresponse().status
    finally:
        connection.close()


def call(site, key, event, data, **more):
    """What gradio's queue says of a call of a handler: its messages."""
    with httpx.Client(base_url=site.address, timeout=30) as client:
        asked = {"data": data, "fn_index": event, "trigger_id": None, "session_hash": key, **more}
        client.post("gradio_api/queue/join", json=asked).raise_for_status()
        with client.stream("GET", "gradio_api/queue/data", params={"session_hash": key}) as answers:
            return [json.loads(line.removeprefix("data: ")) for line in answers.iter_lines() if line]


def event_of(site, target, which):
    """The number of a handler, by the element that triggers it."""
    config = httpx.get(f"{site.address}config").json()
    names = {each["id"]: each["props"].get("elem_id") or each["props"].get("value") for each in config["components"]}
    return next(
        each["id"] for each in config["dependencies"] for of, name in each["targets"]
        if (names.get(of), name) == (target, which) and each["backend_fn"]
    )  # fmt: skip


def start(site, key, where="This device's camera", address=""):
    """Begin a live stream: its token, or the message why there is none."""
    messages = call(site, key, event_of(site, "live-begin", "click"), [where, address, 0.6, 0.3])
    (done,) = [each for each in messages if each["msg"] == "process_completed"]
    (found,) = done["output"]["data"]
    return found.get("token"), found.get("error")


def upload(site, name, contents, source=None):
    """The path that an upload gets, of a client that nobody else is, or the status."""
    source = source or f"127.1.{next(NUMBERS)}.1"
    transport = httpx.HTTPTransport(local_address=source)
    with httpx.Client(base_url=site.address, timeout=30, transport=transport) as client:
        got = client.post("gradio_api/upload", files={"files": (name, contents)})
    return got.json()[0] if got.status_code == 200 else got.status_code


def label(site, key, path):
    given = {"path": path, "meta": {"_type": "gradio.FileData"}}
    messages = call(site, key, event_of(site, "video-upload", "upload"), [given])
    done = [each for each in messages if each["msg"] == "process_completed"][-1]
    _, told, ticket = done["output"].get("data") or (None, "", None)
    return ticket, [unescape(said) for said in re.findall(r'<p class="as-error" role="alert">(.*)</p>', told)]


def kept(site):
    """Files of sessions; what was uploaded and not taken goes by itself, later."""
    return [file for file in site.files() if "uploads" not in file.parts]


def is_taken(site, key, given):
    """Whether the server makes anything of what is given in the place of an upload."""
    try:
        messages = call(site, key, event_of(site, "video-upload", "upload"), [given])
    except httpx.HTTPStatusError:  # it does not come in
        return False
    data = [each["output"].get("data") for each in messages if each["msg"] == "process_completed"]
    return any(each and each[-1] for each in data)


def test_a_list_that_is_called_a_video_reads_no_file_of_the_server(strict):
    """As film.m3u8, and as film.mp4: what FFmpeg finds in a file counts, and not its name."""
    lists = (f"#EXTM3U\n#EXTINF:1,\nfile:{SAMPLE}\n#EXT-X-ENDLIST\n", f"ffconcat version 1.0\nfile '{SAMPLE}'\n")
    with page(strict, "lists"):
        for text in lists:
            for name in ("film.m3u8", "film.mp4", "film.MP4", "film.m3u8.ts", "film.mp4\u202e", "f" * 300 + ".mkv"):
                path = upload(strict, name, text.encode())
                if isinstance(path, str):
                    ticket, said = label(strict, "lists", path)
                    assert ticket is None
                    assert said
                    assert str(SAMPLE) not in said[0]


@pytest.mark.parametrize(
    "name",
    ["film.html", "film.svg", "film.mp4.html", "film.xhtml", "film", ".mp4", "film.\uff4dp4", "a\\b.js"],
)
def test_a_video_with_another_name_is_not_taken(strict, name):
    with page(strict, "names"):
        path = upload(strict, name, SAMPLE.read_bytes())
        if isinstance(path, str):
            ticket, said = label(strict, "names", path)
            assert ticket is None
            assert "expected .mp4" in said[0]


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd", "", "\0", "x" * 5000, "..", "/", {"a": 1}, ["/etc/passwd"], None, 7, "file:///etc/passwd",
        "/proc/self/environ", "C:\\x", str(SAMPLE),
    ],
)  # fmt: skip
def test_what_is_no_upload_is_not_read(strict, path):
    """Neither by us nor by gradio, which would copy a file, or what is at an address, to where uploads are."""
    meta = {"meta": {"_type": "gradio.FileData"}}
    wait_until(lambda: kept(strict) == [])
    with silent_server() as port, page(strict, "paths"):
        for given in ({"path": path}, {"path": str(SAMPLE), "url": f"http://127.0.0.1:{port}/film.mp4"}):
            assert not is_taken(strict, "paths", {**given, **meta})
        url = f"http://127.0.0.1:{port}/film.mp4"
        assert not is_taken(strict, "paths", {"path": url, "url": url, **meta})
        assert kept(strict) == []


@pytest.mark.parametrize("given", [None, [], "text", 5, {}, {"path": None}, {"meta": 1}, str(SAMPLE), [str(SAMPLE)]])
def test_an_upload_that_is_something_else(strict, given):
    with page(strict, "odd"):
        assert not is_taken(strict, "odd", given)


def test_what_was_uploaded_comes_back_as_a_video_and_nothing_else(strict):
    with page(strict, "back"):
        ticket, _ = label(strict, "back", upload(strict, 'a"b;\r\n<script>.mp4', SAMPLE.read_bytes()))
        token = ticket["token"]
        for path, kind in (
            ("file", "video/mp4"), ("download/json", "application/json"), ("download/csv", "text/csv"),
            ("download/srt", "application/x-subrip"), ("download/png", "image/png"), ("timeline", "application/json"),
        ):  # fmt: skip
            status, headers, _ = ask(strict, "GET", f"/video/{token}/{path}")
            assert (status, headers["content-type"].partition(";")[0]) == (200, kind)
            assert headers["x-content-type-options"] == "nosniff"
            assert "sandbox" in headers["content-security-policy"]
        assert ask(strict, "GET", f"/video/{token}/download/html")[0] == 404
    assert ask(strict, "GET", "/video/x/file")[0] == 404
    wait_until(lambda: kept(strict) == [])


def test_who_looks_back_at_one_video_does_not_delay_another(strict):
    """40 requests for moments of one video wait for each other; what a second visitor asks comes before the last."""
    with ExitStack() as stack:
        tokens = []
        for key in ("busy", "other"):
            stack.enter_context(page(strict, key))
            tokens.append(label(strict, key, upload(strict, "film.mp4", SAMPLE.read_bytes()))[0]["token"])
        lines = [stack.enter_context(connected(strict, "127.0.19.1")) for _ in range(40)]
        for each in lines:
            each.sendall(f"GET /video/{tokens[0]}/at?time=21.9 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert select(lines, [], [], 20)[0]
        assert ask(strict, "GET", f"/video/{tokens[1]}/at?time=21.9")[0] == 200
        assert len(select(lines, [], [], 0)[0]) < 30
    wait_until(lambda: strict.num_streams() == 0)
    for _ in range(20):  # those that hung up while they waited for their turn cost nothing more
        assert strict.num_streams() == 0
        time.sleep(0.05)


def test_the_page_may_do_little(strict):
    _, headers, _ = ask(strict, "GET", "/")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["permissions-policy"].startswith("camera=(self), microphone=()")
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/gradio_api/file={upload}"), ("GET", "/gradio_api/file=/etc/passwd"), ("GET", "/file={upload}"),
        ("GET", "/gradio_api/file/{upload}"), ("GET", "/gradio_api/file=http://127.0.0.1:9/"),
        ("GET", "/gradio_api/proxy=http://127.0.0.1:9/"), ("GET", "/gradio_api//file={upload}"),
        ("GET", "/assets/../gradio_api/file={upload}"), ("GET", "/gradio_api/%66ile={upload}"),
        ("GET", "/assets/..%2f..%2f..%2f..%2f..%2fetc/passwd"), ("GET", "/static/%2e%2e/%2e%2e/blocks.py"),
        ("GET", "/assets/%2fetc/passwd"), ("GET", "/monitoring"), ("GET", "/gradio_api/runs"), ("GET", "/docs"),
        ("GET", "/gradio_api/openapi.json"), ("GET", "/gradio_api/custom_component/1/server/x/..%2fx"),
        ("GET", "/gradio_api/stream/x/1/1/playlist.m3u8"), ("POST", "/gradio_api/component_server"),
        ("POST", "/gradio_api/process_recording"), ("POST", "/gradio_api/vibe-edit"), ("POST", "/gradio_api/run/begin"),
        ("POST", "/gradio_api/call/begin"), ("POST", "/login"), ("PUT", "/"), ("DELETE", "/"), ("OPTIONS", "*"),
        ("GET", "/teach/x/add-label"), ("POST", "/teach/x/state"), ("GET", "/teach/x/lessons"),
        ("GET", "/annotate/x/save"), ("POST", "/annotate/x/state"), ("GET", "/annotate/x/state/../../../etc/passwd"),
        ("GET", "/page/..%2fserver.py"), ("GET", "/page/server.py"), ("CONNECT", "/"), ("TRACE", "/"),
    ],
)  # fmt: skip
def test_nothing_else_of_gradio_answers(strict, method, path):
    """Its own route of files would give each upload to everybody who knows its path."""
    here = upload(strict, "film.mp4", SAMPLE.read_bytes()[:1000])
    status, _, body = ask(strict, method, path.format(upload=here))
    assert status in (400, 403, 404, 405)
    assert SAMPLE.read_bytes()[:64] not in body
    assert b"root:" not in body


@pytest.mark.parametrize("kind", ["declared", "chunked", "lies"])
@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("/gradio_api/queue/join", 64_000), ("/gradio_api/cancel", 1000), ("/live/x/leave", 1000),
        ("/teach/x/add-label", 1000), ("/annotate/x/save", 2_000_000), ("/annotate/x/label", 1000),
        ("/live/x/frame", 1_000_000), ("/gradio_api/upload", 2_010_000), ("/config", 0),
    ],
)  # fmt: skip
def test_bodies_end_at_their_limit(strict, path, limit, kind):
    """The server stops to read soon after the limit: 400 MB are neither kept nor waited for."""
    method = "GET" if path == "/config" else "POST"
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    sent = 0
    with connected(strict) as connection:
        if kind == "declared":
            connection.sendall(f"{head}Content-Length: 400000000\r\n\r\n".encode())
        else:
            head += "Transfer-Encoding: chunked\r\n" + ("Content-Length: 5\r\n" if kind == "lies" else "")
            connection.sendall(f"{head}\r\n".encode())
            chunk = FILE + bytes(64_000 - len(FILE))
            with suppress(OSError):
                for _ in range(6000):
                    connection.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                    sent += len(chunk)
        said = answer(connection)
    assert said == b"" or said.split()[1] in (b"413", b"400")
    if kind == "declared":
        assert said.split()[1] == b"413"
    assert sent < limit + 20_000_000  # what the system keeps on its way
    assert strict.num_streams() == 0


def test_uploads_of_all_together_end_where_the_room_does(strict):
    """5 MB; what two have begun to send counts as well."""
    with ExitStack() as stack:
        for _ in range(2):
            begun = stack.enter_context(connected(strict))
            begun.sendall(f"{UPLOAD_HEAD}Content-Length: 2000000\r\n\r\n--b\r\n".encode())
        time.sleep(0.3)
        assert upload(strict, "film.mp4", bytes(1_900_000)) == 503
    wait_until(lambda: upload(strict, "film.mp4", bytes(1_000)) != 503)


def memory(site):
    """Megabytes."""
    with open(f"/proc/{site.process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_uploads_that_break_off_leave_nothing(strict):
    """200 of 200 kB: never more on the disk than clients may send at once, and nothing when they have gone."""
    wait_until(lambda: strict.files() == [])
    for n in range(5):
        with ExitStack() as stack:
            for m in range(40):
                begun = stack.enter_context(connected(strict, f"127.0.12.{10 * n + m // 4 + 1}"))
                begun.sendall(f"{UPLOAD_HEAD}Content-Length: 210000\r\n\r\n".encode() + FILE)
                with suppress(OSError):  # no room
                    begun.sendall(bytes(200_000))
            assert sum(file.stat().st_size for file in strict.files()) <= 5e6
    wait_until(lambda: strict.uploads() == [])


def test_one_file_is_one_upload(strict):
    """Gradio would open a file for each of a thousand parts, all at once."""
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    field = b'--b\r\nContent-Disposition: form-data; name="files"\r\n\r\nx\r\n'
    for part in (FILE + b"x\r\n", field, b"--b\r\n\r\n\r\n"):
        body = (FILE + b"x\r\n" + 20_000 * part)[:1_900_000] + b"--b--\r\n"
        assert ask(strict, "POST", "/gradio_api/upload", body, form)[0] == 400
    for kind in ("multipart/form-data", "text/plain", "", "multipart/form-data; boundary=" + 300 * "b"):
        assert ask(strict, "POST", "/gradio_api/upload", b"--b--", {"Content-Type": kind})[0] == 400
    assert ask(strict, "POST", "/gradio_api/upload", b"--b--")[0] == 400
    wait_until(lambda: strict.uploads() == [])


def test_an_upload_comes_at_least_so_fast(strict):
    """Else one client keeps the room of all for hours: a byte now and then is not enough."""
    with connected(strict) as connection:
        connection.sendall(f"{UPLOAD_HEAD}Content-Length: 2000000\r\n\r\n".encode() + FILE)
        begun = time.monotonic()
        with suppress(OSError):
            while time.monotonic() < begun + BODY_SECONDS + 5:
                connection.sendall(b"x")
                time.sleep(0.2)
        assert answer(connection)[:12] in (b"HTTP/1.1 408", b"")
        assert time.monotonic() < begun + BODY_SECONDS + 3


def test_the_same_file_of_two_clients_has_two_names(strict):
    given = []
    with page(strict, "twice"):
        for n in (1, 2):
            path = upload(strict, "film.mp4", SAMPLE.read_bytes(), f"127.0.17.{n}")
            assert len(path.rpartition("/uploads/")[2].partition("/")[0]) == 32
            given.append({"path": path, "meta": {"_type": "gradio.FileData"}})
            assert is_taken(strict, "twice", given[-1])  # at once: what nobody takes is removed after some seconds
        assert given[0] != given[1]
        assert not any(is_taken(strict, "twice", each) for each in given)


def has_hung_up(connection):
    try:
        hang_up(connection)
    except OSError:
        return True
    return False


def test_clients_that_do_not_read(strict):
    """Each asks for 8 MB, and reads nothing: it loses its connection, and costs little until then."""
    before = memory(strict)
    with ExitStack() as stack:
        deaf = []
        for _ in range(12):
            each = stack.enter_context(socket.socket())
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            each.bind(("127.0.13.1", 0))
            each.connect(("127.0.0.1", strict.port))
            each.settimeout(1)
            with suppress(OSError):
                each.sendall(128 * b"GET /config HTTP/1.1\r\nHost: localhost\r\n\r\n")
            deaf.append(each)
        assert strict.num_streams() == 0
        assert memory(strict) < before + 40
        for each in deaf:
            wait_until(lambda: has_hung_up(each))  # noqa: B023


def test_clients_with_many_connections_make_room_for_one_with_few(strict):
    with ExitStack() as stack:
        lines = [stack.enter_context(connected(strict, f"127.0.16.{n // 60 + 1}")) for n in range(540)]
        for each in lines:
            with suppress(OSError):
                each.sendall(b"GET /gradio_api/upload_progress?upload_id=x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for n in range(20):
            assert ask(strict, "GET", "/live/status", source=f"127.0.18.{n + 1}")[0] == 200


@pytest.mark.parametrize(
    ("head", "num_answers"),
    [
        ("Content-Length: 5\r\nContent-Length: 6", 1), ("Transfer-Encoding: chunked, identity", 1),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 1), ("Transfer-Encoding : chunked", 1),
        ("Content-Length: +0", 1), ("Content-Length: 0_0", 1), ("Content-Length: 0\r\nContent-Length: 0", 2),
    ],
)  # fmt: skip
def test_two_lengths_are_no_second_request(strict, head, num_answers):
    """A proxy that reads the one, and a server that reads the other, would not agree where a request ends."""
    after = "GET /live/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with connected(strict) as connection:
        connection.sendall(f"POST /live/x/leave HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n{after}".encode())
        said = answer(connection)
    assert said.count(b"HTTP/1.1 ") == num_answers
    assert said.startswith(b"HTTP/1.1 400" if num_answers == 1 else b"HTTP/1.1 204")


def test_heads_that_do_not_end(strict):
    """A thousand clients begin a request: most find no place, none stays, nothing is written of them."""
    with ExitStack() as stack:
        lines = [stack.enter_context(connected(strict, f"127.0.1.{n // 4 + 1}")) for n in range(200)]
        for each in lines:
            with suppress(OSError):
                each.sendall(b"GET / HTTP/1.1\r\nX: ")
        assert strict.num_streams() == 0
        begun = time.monotonic()
        while time.monotonic() < begun + HEAD_SECONDS + 1:
            for each in lines:
                with suppress(OSError):
                    each.sendall(b"x")
            time.sleep(0.5)
        for each in lines:
            each.settimeout(0.1)
            with pytest.raises(OSError, match=r"reset|Broken pipe|closed"):
                hang_up(each)


def test_a_head_without_end_is_refused(strict):
    with connected(strict) as connection:
        with suppress(OSError):
            for _ in range(100):
                connection.sendall(b"X" * 1000)
        assert answer(connection)[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 431")


def test_a_client_has_so_many_connections(strict):
    with ExitStack() as stack:
        lines = [
            stack.enter_context(connected(strict, "127.0.2.1")) for _ in range(Limits.max_connections_per_client + 20)
        ]
        lines[-1].settimeout(5)
        assert answer(lines[-1]) == b""
        assert ask(strict, "GET", "/live/status", source="127.0.2.2")[0] == 200


def test_a_body_that_comes_slowly(strict):
    with connected(strict) as connection:
        connection.sendall(b"POST /live/x/leave HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n")
        begun = time.monotonic()
        assert answer(connection).split()[1] == b"408"
        assert time.monotonic() < begun + BODY_SECONDS + 5


def test_made_up_keys_make_no_sessions(strict):
    """A session is a page that is connected, of which there are so many, and so many of one client."""
    body = json.dumps({"data": [], "fn_index": 0, "session_hash": "madeup"}).encode()
    for method, path in (("POST", "/gradio_api/queue/join"), ("GET", "/gradio_api/queue/data?session_hash=madeup")):
        status, _, said = ask(strict, method, path, body * (method == "POST"), {"Content-Type": "application/json"})
        assert (status, json.loads(said)) == (404, {"detail": "this page is not connected; load it again"})
    with ExitStack() as stack:
        status = [stack.enter_context(page(strict, f"key{n}", "127.0.3.1")) for n in range(6)]
        assert status == [200] * 4 + [429] * 2
    for key in ("x" * 65, "a/b", "..", "%00", "é"):
        assert ask(strict, "GET", f"/gradio_api/heartbeat/{key.encode().hex() if key == 'é' else key}/")[0] == 404


def test_answers_that_nobody_reads_are_not_kept(strict):
    """Of an open page so many; of one that has ended, none."""
    data, event = ["An address", "", 0.6, 0.3], event_of(strict, "live-begin", "click")
    body = json.dumps({"data": data, "fn_index": event, "session_hash": "unread"}).encode()

    def join():
        return ask(strict, "POST", "/gradio_api/queue/join", body, {"Content-Type": "application/json"})[0]

    with page(strict, "unread"):
        assert [join() for _ in range(20)] == [200] * 16 + [429] * 4
    wait_until(lambda: join() == 404)
    with page(strict, "unread"):
        answers = [each for each in call(strict, "unread", event, data) if each["msg"] == "process_completed"]
    assert len(answers) == 1


def test_uploads_go_with_their_page(strict):
    with page(strict, "going"):
        ticket, _ = label(strict, "going", upload(strict, "film.mp4", SAMPLE.read_bytes()))
        assert ticket
        assert kept(strict)
    wait_until(lambda: kept(strict) == [])


def project(site, key):
    """The token of what a page annotates: the sample, uploaded."""
    given = {"path": upload(site, "film.mp4", SAMPLE.read_bytes()), "meta": {"_type": "gradio.FileData"}}
    messages = call(site, key, event_of(site, "annotate-upload", "upload"), [given])
    (done,) = [each for each in messages if each["msg"] == "process_completed"]
    return done["output"]["data"][-1]["token"]


def test_a_visitor_annotates_what_they_uploaded_and_nothing_else(strict):
    """The token names it, and a video of it is one that was uploaded; all goes with the page."""
    entry = {"video": "film", "version": "", "duration": 22.0, "annotations": [], "proposals": [], "reviewed": False}
    with page(strict, "mine"), page(strict, "other"):
        mine, other = project(strict, "mine"), project(strict, "other")
        status, headers, data = ask(strict, "GET", f"/annotate/{mine}/video?video=film", headers={"Range": "bytes=0-9"})
        assert (status, headers["content-type"], data) == (206, "video/mp4", SAMPLE.read_bytes()[:10])
        assert headers["content-security-policy"].endswith("sandbox")
        for name in ("", "..", "/etc/passwd", "../uploads", "film.mp4", "film%00", "%2e%2e%2ffilm"):
            assert ask(strict, "GET", f"/annotate/{mine}/video?video={name}")[0] == 400
            body = json.dumps({**entry, "video": name}).encode()
            assert ask(strict, "POST", f"/annotate/{mine}/save", body)[0] == 400
        assert json.loads(ask(strict, "GET", f"/annotate/{mine}/state")[2])["file"] is None
        entry["version"] = json.loads(ask(strict, "GET", f"/annotate/{mine}/entry?video=film")[2])["version"]
        assert ask(strict, "POST", f"/annotate/{mine}/save", json.dumps(entry).encode())[0] == 200
        assert json.loads(ask(strict, "GET", f"/annotate/{mine}/file")[2])["database"].keys() == {"film"}
        assert ask(strict, "GET", f"/annotate/{other}/file")[0] == 404
        assert project(strict, "mine") != mine  # another video takes its place
        assert ask(strict, "GET", f"/annotate/{mine}/state")[0] == 404
        assert len(kept(strict)) == 2
    wait_until(lambda: kept(strict) == [])
    assert ask(strict, "GET", f"/annotate/{other}/state")[0] == 404


def test_annotations_that_are_something_else(strict):
    version = ""

    def entry(**wrong):
        right = {
            "video": "film",
            "version": version,
            "duration": 9,
            "annotations": [],
            "proposals": [],
            "reviewed": False,
        }
        return json.dumps({**right, **wrong}).encode()

    with page(strict, "wrong"):
        token = project(strict, "wrong")
        version = json.loads(ask(strict, "GET", f"/annotate/{token}/entry?video=film")[2])["version"]
        wrong = [
            entry(duration=float("nan")), entry(duration=float("inf")), entry(duration=-1), entry(duration="9"),
            entry(annotations=[1]), entry(proposals={}), entry(reviewed=2), entry(more=1), entry(version=None),
            entry(annotations=[{"label": "a", "segment": [float("nan"), 1]}]),
            entry(annotations=[{"x": json.loads(40 * "[" + 40 * "]")}]), b'{"video": ' + 9999 * b"[",
            b"", b"{", b"[]", b"null", b"\xff", b"{}", b"1e999", b'{"video": NaN}', 1_900_000 * b"[", 5000 * b"9",
        ]  # fmt: skip
        for body in wrong:
            assert ask(strict, "POST", f"/annotate/{token}/save", body)[0] == 400, body[:100]
            assert ask(strict, "POST", f"/annotate/{token}/label", body[:900])[0] == 400, body[:100]
        assert ask(strict, "GET", f"/annotate/{token}/file")[0] == 404


def test_few_videos_are_drafted_at_once(strict):
    with ExitStack() as stack:
        tokens = []
        for key in ("first", "second", "third"):
            stack.enter_context(page(strict, key))
            tokens.append(project(strict, key))
        answers = [ask(strict, "POST", f"/annotate/{token}/begin-draft?video=film") for token in tokens]
        assert [status for status, *_ in answers] == [204, 204, 400]
        assert answers[2][2] == b"other videos are being labelled; try again later"
        assert ask(strict, "POST", f"/annotate/{tokens[0]}/stop-draft")[0] == 204
        assert ask(strict, "GET", f"/annotate/{tokens[0]}/draft?video=film")[0] == 404
        assert ask(strict, "POST", f"/annotate/{tokens[2]}/begin-draft?video=film")[0] == 204
    wait_until(lambda: strict.num_streams() == 0)


def test_a_client_is_who_connects_unless_a_proxy_says_so(strict):
    """Only who was named with --proxy is believed, and of what it says the last address, which is its own word."""

    def forged(n):
        return {"X-Forwarded-For": f"9.9.9.{n}", "Forwarded": f"for=9.9.9.{n}", "X-Real-IP": f"9.9.9.{n}"}

    with ExitStack() as stack:
        status = [stack.enter_context(page(strict, f"f{n}", "127.0.4.1", forged(n))) for n in range(5)]
        assert status == [200] * 4 + [429]
    with ExitStack() as stack:
        headers = [{"X-Forwarded-For": f"9.9.9.{n}, 1.2.3.4"} for n in range(5)]
        status = [stack.enter_context(page(strict, f"p{n}", "127.0.0.9", each)) for n, each in enumerate(headers)]
        assert status == [200] * 4 + [429]


def test_a_forged_host_is_not_in_the_page(strict):
    headers = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "1"}
    assert b"evil.example" not in ask(strict, "GET", "/", headers=headers)[2]
    assert b"evil.example" not in ask(strict, "GET", "/config", headers=headers)[2]
    mine = {"X-Forwarded-Host": "page.example", "X-Forwarded-Proto": "https"}
    assert json.loads(ask(strict, "GET", "/config", headers=mine, source="127.0.0.9")[2])["root"] == PAGE


def picture():
    data = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(data, "JPEG")
    return data.getvalue()


def test_a_place_is_for_who_sends_frames(strict):
    """Who asks and asks, and sends none, loses it after --silent-seconds; one client has so many."""
    with ExitStack() as stack:
        assert [stack.enter_context(page(strict, f"live{n}", "127.0.5.1")) for n in range(3)] == [200] * 3
        silent, sending = start(strict, "live0")[0], start(strict, "live1")[0]
        assert start(strict, "live2") == (None, "too many live streams are open; try again later")
        for n in range(14):
            gone = json.loads(ask(strict, "POST", f"/live/{silent}/frame")[2]).get("gone")
            still = json.loads(ask(strict, "POST", f"/live/{sending}/frame?time={n}", picture())[2])
            assert "gone" not in still
            time.sleep(0.2)
        assert gone
        assert start(strict, "live2")[0]
    wait_until(lambda: strict.num_streams() == 0)


def test_addresses_of_this_machine_say_nothing(strict, tmp_path):
    """A private server that answers, one that refuses, one that is not there, and a name of nobody: one message."""
    (tmp_path / "film.mp4").write_bytes(SAMPLE.read_bytes())
    with http_server(tmp_path) as there, page(strict, "looks"):
        port = there.rpartition(":")[2]
        said = set()
        for address in (
            f"{there}/film.mp4", f"{there}/missing.mp4", f"http://127.0.0.1:{free_port()}/", "http://nobody.invalid/",
            f"http://localhost:{port}/film.mp4", f"http://[::ffff:127.0.0.1]:{port}/film.mp4",
            f"http://8.8.8.8@127.0.0.1:{port}/film.mp4", f"rtsp://0x7f.1:{port}/film.mp4",
        ):  # fmt: skip
            token, why = start(strict, "looks", "An address", address)
            assert token, why
            ended, told = False, []
            while not ended:
                news = json.loads(ask(strict, "POST", f"/live/{token}/frame")[2])
                ended, told = news["ended"], told + [each.get("reason") for each in news["news"]]
                if any(told):
                    break
            said |= set(filter(None, told))
        assert len(said) == 1
        assert "cannot be opened" in said.pop()


@pytest.mark.parametrize("port", [22, 25, 1, 1023])
def test_ports_of_other_services(strict, port):
    with page(strict, "ports"):
        _, said = start(strict, "ports", "An address", f"http://camera.example:{port}/")
    assert said.startswith(f"port {port} is for other services")


def test_a_page_of_somebody_else_may_not_ask(strict):
    """A browser tells the site of who asks in one header or the other; without https often in Origin alone."""
    for headers in (
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "null"},
        {"Origin": "https://evil.example"}, {"Origin": f"http://127.0.0.1:{strict.port + 1}"}, {"Origin": ""},
        {"Origin": f"http://127.0.0.1:{strict.port}.evil.example"}, {"Origin": "http://127.0.0.1"},
    ):  # fmt: skip
        for method, path in (
            ("POST", "/gradio_api/queue/join"), ("POST", "/live/x/leave"), ("GET", "/config"),
            ("GET", "/gradio_api/heartbeat/foreign"),
        ):  # fmt: skip
            status, answered, _ = ask(strict, method, path, headers=headers)
            assert status == 403
            assert "access-control-allow-origin" not in {name.lower() for name in answered}
    mine = {"Origin": f"http://127.0.0.1:{strict.port}", "Sec-Fetch-Site": "same-origin"}
    assert ask(strict, "POST", "/live/x/leave", headers=mine)[0] == 204
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert ask(strict, "GET", "/", headers=link)[0] == 200
    assert ask(strict, "GET", "/gradio_api/heartbeat/foreign", headers=link)[0] == 403


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:7860", 200), ("localhost", 200), ("LOCALHOST:1", 200), ("[::1]:7860", 200), ("192.0.2.7", 200),
        ("friends.example", 200), ("Friends.Example:8443", 200), (socket.gethostname(), 200),
        ("evil.example", 421), ("localhost.evil.example", 421), ("127.0.0.1.evil.example", 421), ("0x7f.1", 421),
        ("friends.example.evil.example", 421), ("xfriends.example", 421), ("localhost.", 421), ("evil.example:80", 421),
        ("", 400), ("a b", 400), ("evil.example@localhost", 400), ("localhost, evil.example", 400), ("[::1", 400),
        ("localhost:99999999", 400), ("localhost/x", 400), ("\xff", 400), ("[fe80::1%25eth0]", 400),
    ],
)  # fmt: skip
def test_a_name_of_somebody_else_that_leads_here(strict, host, status):
    """DNS rebinding: to the browser of a visitor, a page of evil.example and ours are one site."""
    assert ask(strict, "GET", "/live/status", headers={"Host": host})[0] == status
    assert ask(strict, "GET", "/", headers={"Host": host, "X-Forwarded-Host": "localhost"})[0] == status


def test_a_proxy_is_asked_with_our_names_too(strict):
    """What a client forges and a proxy passes on counts as well."""
    for forwarded, status in (
        ("friends.example", 200), ("evil.example", 421), ("friends.example, evil.example", 421), ("", 400),
    ):  # fmt: skip
        headers = {"Host": "127.0.0.1", "X-Forwarded-Host": forwarded}
        assert ask(strict, "GET", "/live/status", headers=headers, source="127.0.0.9")[0] == status
    origin = {"Host": "127.0.0.1", "X-Forwarded-Host": "friends.example", "Origin": "https://friends.example"}
    assert ask(strict, "POST", "/live/x/leave", headers=origin, source="127.0.0.9")[0] == 204
    assert ask(strict, "POST", "/live/x/leave", headers=origin)[0] == 403


def end_with(number, folder, *, kill=False):
    """End a server that has uploads, a heartbeat and a request under way: seconds, and what is left."""
    one = Server("--runtime", "torch", folder=folder)
    try:
        with page(one, "key"), connected(one) as silent, connected(one) as half:
            silent.sendall(b"GET / HTTP")
            half.sendall(b"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
            upload(one, "film.mp4", SAMPLE.read_bytes())
            assert one.files()
            begun = time.monotonic()
            one.process.send_signal(number)
            said = one.process.communicate(timeout=20)[1]
            return time.monotonic() - begun, said
    finally:
        one.process.kill()
        one.process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_end_it_soon_and_leave_nothing(tmp_path, number):
    seconds, said = end_with(number, tmp_path)
    assert said == ""
    assert list(tmp_path.glob("actionstream-*")) == []
    assert seconds < 2


def test_what_a_killed_server_left_is_removed_by_the_next(tmp_path):
    """And what another one that runs has is not."""
    end_with(signal.SIGKILL, tmp_path)
    (left,) = tmp_path.glob("actionstream-page-*")
    with server("--runtime", "torch", folder=tmp_path / ".") as first:
        assert not left.exists()
        (mine,) = tmp_path.glob("actionstream-page-*")
        code = "from actionstream.demos.page.storage import remove_stale; remove_stale()"
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        subprocess.run([sys.executable, "-c", code], env=environment, check=True)
        assert mine.exists()
        wait_until(lambda: first.num_streams() == 0, 60)  # that of the sample ends


def test_bad_calls_are_not_written_down(tmp_path):
    """Each is told to who made it; a log that grows with them is a disk that fills."""
    with server("--runtime", "torch", folder=tmp_path) as one, page(one, "bad"):
        event = event_of(one, "live-begin", "click")
        for data in ([], [1, 2, 3], ["x", "y", "z", "w"], [None] * 4, [{}] * 4, [[[]]] * 4):
            call(one, "bad", event, data)
        with connected(one) as connection:
            connection.sendall(b"\x16\x03\x01\r\n\r\n")
            answer(connection)
        with connected(one) as connection:
            connection.sendall(
                b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
            )
            connection.settimeout(2)
            answer(connection)
        for body in (b"{", b"[]", b'{"data": 1}', b'{"fn_index": 10000, "data": [], "session_hash": "bad"}'):
            ask(one, "POST", "/gradio_api/queue/join", body, {"Content-Type": "application/json"})


def test_gradio_is_asked_to_fetch_nothing(strict):
    """It would fetch an address that stands for a file, wherever in a call, and keep all that comes."""
    file = {"path": "https://films.example/large.mp4", "meta": {"_type": "gradio.FileData"}}
    for data in ([file], [0.5, [[{"x": file}]]], file):
        body = json.dumps({"data": data, "fn_index": 0, "session_hash": "fetch"}).encode()
        for text in (body, body.replace(b"path", b"\\u0070ath"), body.decode().encode("utf-16")):
            status, _, said = ask(strict, "POST", "/gradio_api/queue/join", text, {"Content-Type": "application/json"})
            assert (status, said) == (400, b"that is no file that was uploaded here")
