"""A wrong user name or password, at real servers: final, told clearly, unless frames came before."""

import base64
import json
import socket
import threading
from http.server import SimpleHTTPRequestHandler

import pytest
from helpers import images, write_video
from PIL import Image
from servers import MotionJpeg, ball, http_server, rtsp_server

from actionstream import Connection, Engine, Watch, open_source
from actionstream.live import reconnect
from actionstream.sources.source import AccessRefused

pytestmark = pytest.mark.waits

LOGIN = "Basic " + base64.b64encode(b"me:secret").decode()


class Guarded(SimpleHTTPRequestHandler):
    """Files for who knows the password; nobody gets /never."""

    def do_GET(self):
        if self.path == "/never.mp4":
            self.send_error(403)
        elif self.headers.get("Authorization") != LOGIN:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="films"')
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *_): ...


def test_http(run, tmp_path):
    write_video(tmp_path / "film.mkv", images(20))
    with http_server(tmp_path, Guarded) as address:
        host = address.removeprefix("http://")
        for login, name, words in [
            ("", "film.mkv", "refused the user name or password (401)"),
            ("me:wrong@", "film.mkv", "refused the user name or password (401)"),
            ("me:secret@", "never.mp4", "refused access (403)"),
        ]:
            code, out, err = run("watch", f"http://{login}{host}/{name}", "--json")
            (close,) = map(json.loads, out.splitlines())
            assert (code, err) == (2, f"actionstream: {address}/{name} {words}\n")
            assert (close["event"], close["reason"]) == ("close", f"{address}/{name} {words}")
        with pytest.raises(AccessRefused):
            list(open_source(f"{address}/film.mkv"))
        code, out, _ = run("watch", f"http://me:secret@{host}/film.mkv", "--json")
        assert (code, out.count('"labels"')) == (0, 10)
        code, out, _ = run("watch", f"{address}/film.mkv", "--json", "--retry-refused", "--retries", 1)
        assert [json.loads(line)["event"] for line in out.splitlines()] == ["retry", "close"]


def test_rtsp(run):
    with rtsp_server({"cam": ball()}, login="me:secret") as server:
        code, _, err = run("watch", server.address("cam", "me:wrong"))
        assert (code, err) == (2, f"actionstream: {server.address('cam')} refused the user name or password (401)\n")


class Forgetful(MotionJpeg):
    """A camera that gives some pictures, forgets who may see them, and remembers a while later."""

    connections = 0

    def do_GET(self):  # noqa: N802
        Forgetful.connections += 1
        if Forgetful.connections in (2, 3):
            self.send_error(401)
            return
        end = threading.Timer(1.5, self.connection.shutdown, [socket.SHUT_RDWR])
        end.start()
        super().do_GET()
        end.cancel()


def test_a_camera_that_gave_frames_before_is_tried_again_slowly(tmp_path, monkeypatch):
    monkeypatch.setattr(reconnect, "REFUSED_WAIT_SECONDS", 0.123)
    Image.fromarray(images(1)[0]).save(tmp_path / "0.jpg")
    with http_server(tmp_path, Forgetful) as address, Watch(Engine(), connection=Connection()) as session:
        session.add(f"{address}/video.mjpg", name="cam")
        notices = []
        for update in session:
            if update.notice:
                notices.append(update.notice)
            if update.notice and update.notice.event == "reconnect":
                session.stop()
    assert [notice.event for notice in notices] == ["connect", "disconnect", "retry", "retry", "reconnect", "close"]
    assert {notice.reason for notice in notices[2:4]} == {
        f"{address}/video.mjpg refused the user name or password (401); trying again in 0.1 s"
    }
