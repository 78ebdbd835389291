"""Addresses from strangers against real servers that send, list or rename: nothing but the first host is reached."""

import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager, suppress
from http.server import SimpleHTTPRequestHandler
from time import sleep
from urllib.parse import urlsplit

import pytest
from PIL import Image
from servers import MotionJpeg, ball, http_server, rtsp_server

from actionstream.models.video import SourceError
from actionstream.sources import SAMPLE, relay
from actionstream.sources.connection import Connection
from actionstream.sources.network import NetworkSource
from actionstream.sources.relay import Relay, is_public, public_addresses

STRANGER = Connection(public=True, open_seconds=5.0)


def read(address, num_frames=3):
    """The first frames at an address that a stranger gave."""
    source = NetworkSource(address, STRANGER)
    try:
        return [frame for frame, _ in zip(source, range(num_frames), strict=False)]
    finally:
        source.close()


def _received(connection):
    with suppress(OSError):
        return connection.recv(65536)


@contextmanager
def tcp_server(answer, host="127.0.0.1"):
    """Its port, and what it was told by each who connected; `answer` makes what it says from what it is told."""
    heard = []

    def serve():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                heard.append(b"")
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while data := _received(connection):
                    heard[-1] += data
                    with suppress(OSError):
                        for part in answer(data):
                            connection.sendall(part)
                            sleep(0.01)  # a packet each

    with socket.create_server((host, 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1], heard
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.fixture
def trap():
    """The port of a server that nobody may connect to."""
    with tcp_server(lambda _: []) as (port, heard):
        yield port
        assert heard == []


@pytest.fixture
def loopback(monkeypatch):
    """This machine is the public internet: what is reached then is what the relay lets through by itself."""
    monkeypatch.setattr(relay, "is_public", lambda _: True)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0", "0", "localhost", "10.1.2.3",
        "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1",
        "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "fe80::1",
        "fe80::1%lo", "fec0::1", "fd00::1", "ff02::1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::",
        "2001:0:7f00:1::", "2001:db8::1", "①②⑦.0.0.1", "127。0。0。1",
    ],
)  # fmt: skip
def test_hosts_that_are_not_on_the_internet(host):
    with pytest.raises(SourceError, match=r"is not on the public internet|no host .* is found"):
        public_addresses(host, 80)


def test_hosts_that_are():
    assert is_public("8.8.8.8")
    assert is_public("2001:4860:4860::8888")


def test_an_address_of_this_machine_itself_is_not_for_strangers(monkeypatch):
    """A firewall that holds outside does not hold from here."""
    monkeypatch.setattr("ipaddress.IPv4Address.is_global", True)
    assert not is_public("127.0.0.1")
    assert is_public("192.0.2.1")


def test_a_host_with_one_private_address_of_two(monkeypatch):
    mixed = [(0, 0, 0, "", (address, 80)) for address in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: mixed)
    with pytest.raises(SourceError, match=r"both.example is not on the public internet"):
        public_addresses("both.example", 80)


@pytest.mark.parametrize("scheme", ["http", "https", "rtsp", "rtsps"])
@pytest.mark.parametrize("login", ["", "8.8.8.8@", "user:8.8.8.8%20@", "8.8.8.8:80#@8.8.8.8@", "8.8.8.8\\@"])
def test_a_private_address_is_not_connected_to(trap, scheme, login):
    with pytest.raises(SourceError, match=r"not on the public internet|cannot be opened"):
        read(f"{scheme}://{login.replace('#', '%23')}127.0.0.1:{trap}/stream")


def test_ffmpeg_sees_no_host_but_the_relays(loopback):
    way = Relay("http://user:p%40ss@localhost:8080/a%20b?x=//other.example/#part")
    try:
        parts = urlsplit(way.address)
        assert (parts.hostname, parts.username, parts.password) == ("127.0.0.1", "user", "p%40ss")
        assert way.address.endswith("/a%20b?x=//other.example/")
        assert way.options["headers"] == "Host: localhost:8080\r\n"
    finally:
        way.close()


def test_videos_and_cameras_come_through(loopback, tmp_path):
    """A file whose index is at its end, for which FFmpeg connects again, and a camera's pictures without an end."""
    shutil.copy(SAMPLE, tmp_path / "film.mp4")
    with http_server(tmp_path) as address:
        assert [frame.index for frame in read(f"{address}/film.mp4")] == [0, 1, 2]
    Image.new("RGB", (32, 24), "red").save(tmp_path / "one.jpg")
    with http_server(tmp_path, MotionJpeg) as address:
        assert read(f"{address}/camera.mjpg")[0].image.shape == (24, 32, 3)


@pytest.mark.slow
def test_rtsp_comes_through(loopback):
    with rtsp_server({"cam": ball()}, login="user:secret") as server:
        assert len(read(server.address("cam", "user:secret"))) == 3


@pytest.mark.parametrize(
    ("status", "target"),
    [
        (301, "http://127.0.0.1:{}/film.mp4"),
        (302, "rtsp://127.0.0.1:{}/"),
        (303, "//127.0.0.1:{}/"),
        (307, "http://2130706433:{}/"),
        (308, "file:///etc/hosts#{}"),
    ],
)
def test_http_redirects_are_not_followed(loopback, trap, tmp_path, status, target):
    class Away(SimpleHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Location", target.format(trap))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with http_server(tmp_path, Away) as address, pytest.raises(SourceError, match=r"cannot be opened"):
        read(f"{address}/film.mp4")


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 302 Found\r\nLocation: ", b"x"],
        [b"RTSP/1.0 200 OK\r\nX: y\r\nloca", b"tion: x"],
        [b"RTSP/1.0 302 Moved\n\r\rLO\rCA\r\rTION", b"\r", b":", b" x"],
    ],
)
def test_the_line_that_redirects_does_not_come_through(loopback, pieces):
    """Whatever FFmpeg would do with it: versions before 8 go wherever RTSP sends them."""
    with tcp_server(lambda _: pieces) as (port, _):
        way = Relay(f"rtsp://127.0.0.1:{port}/")
        try:
            with socket.create_connection(("127.0.0.1", urlsplit(way.address).port), timeout=5) as asking:
                asking.sendall(b"OPTIONS")
                got = b""
                while data := asking.recv(4096):
                    got += data
        finally:
            way.close()
    assert b"".join(pieces).startswith(got)
    assert b":" not in got.rpartition(b"\n")[2].replace(b"\r", b"")


@pytest.mark.parametrize("at", [b"OPTIONS", b"DESCRIBE", b"SETUP", b"PLAY"])
@pytest.mark.parametrize("pieces", [["Location: "], ["Loca", "tion: "], ["LOCA\rTION:"], ["X: y\n", "location:"]])
def test_rtsp_redirects_are_not_followed(loopback, trap, at, pieces):
    """At any step, in any case, in pieces, and with carriage returns, which FFmpeg leaves out."""
    sdp = b"v=0\no=- 0 0 IN IP4 0\ns=-\nt=0 0\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:t\n"

    def answer(data):
        method, number = data.split()[0], data.lower().split(b"cseq:")[1].split()[0].decode()
        head = f"CSeq: {number}\r\nSession: 1\r\n"
        if method == at:
            *first, last = pieces
            yield f"RTSP/1.0 302 Moved\r\n{head}".encode()
            yield from (each.encode() for each in first)
            yield f"{last}rtsp://127.0.0.1:{trap}/\r\n\r\n".encode()
            return
        body = sdp if method == b"DESCRIBE" else b""
        transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n" if method == b"SETUP" else ""
        yield f"RTSP/1.0 200 OK\r\n{head}{transport}Content-Length: {len(body)}\r\n\r\n".encode() + body

    with tcp_server(answer) as (port, heard), pytest.raises(SourceError, match=r"cannot be opened"):
        read(f"rtsp://127.0.0.1:{port}/stream")
    assert at in heard[0]


@pytest.mark.parametrize("option", ["?udp", "?multicast", "?http", "?https", "?tcp&udp"])
def test_options_in_an_rtsp_address_open_no_other_protocol(loopback, trap, option):
    """FFmpeg reads them there; by UDP it would send packets to whatever source the server names."""

    def answer(data):
        number = data.lower().split(b"cseq:")[1].split()[0].decode()
        source = f"Transport: RTP/AVP;unicast;source=127.0.0.1;server_port={trap}-{trap + 1}\r\n"
        body = "v=0\no=- 0 0 IN IP4 0\ns=-\nt=0 0\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
        told = f"CSeq: {number}\r\nSession: 1\r\n{source}Content-Length: {len(body)}\r\n\r\n{body}"
        yield f"RTSP/1.0 200 OK\r\n{told}".encode()

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as packets:
        packets.bind(("127.0.0.1", trap))
        packets.setblocking(False)
        with tcp_server(answer) as (port, _), pytest.raises(SourceError, match=r"cannot be opened"):
            read(f"rtsp://127.0.0.1:{port}/stream{option}")
        with pytest.raises(BlockingIOError):
            packets.recv(1)


LISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n",
    "master": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{}\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" '
    'bandwidth="1"><BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>',
    "concat": "ffconcat version 1.0\nfile '{}'\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n# {}\n",
    "ism": '<?xml version="1.0"?><SmoothStreamingMedia Duration="1">{}</SmoothStreamingMedia>',
    "rtsptext": "RTSPtext\n{}\n",
    "imf": '<?xml version="1.0"?><CompositionPlaylist>{}</CompositionPlaylist>',
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize(("suffix", "target"), [("m3u8", "http://127.0.0.1:{}/x.ts"), ("mp4", "file:SAMPLE")])
def test_lists_are_not_read(loopback, trap, tmp_path, name, suffix, target):
    text = LISTS[name].format(target.format(trap).replace("SAMPLE", str(SAMPLE)))
    (tmp_path / f"list.{suffix}").write_text(text)
    with http_server(tmp_path) as address, pytest.raises(SourceError, match=r"cannot be opened"):
        read(f"{address}/list.{suffix}")


def test_a_name_that_changes_its_address_is_resolved_once(monkeypatch, trap, tmp_path):
    """The first answer is public, all later ones are this machine; FFmpeg connects several times to seek."""
    answers = iter(["127.0.0.2"])
    asked = []

    def resolve(host, port, *arguments, **options):
        if host != "camera.example":
            return real(host, port, *arguments, **options)
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers, "127.0.0.1"), port))]

    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(relay, "is_public", lambda text: text == "127.0.0.2")
    with socket.create_server(("127.0.0.2", trap)) as public:

        def serve():
            for _ in range(2):
                connection, _ = public.accept()
                with connection:
                    heard.append(connection.recv(4096))
                    connection.sendall(b"HTTP/1.1 206 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(100))

        heard = []
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pytest.raises(SourceError, match=r"cannot be opened"):
            read(f"http://camera.example:{trap}/film.mp4")
    assert asked == ["camera.example"]
    assert b"Host: camera.example" in heard[0]


def test_certificates_are_checked(loopback, tmp_path):
    """Whoever answers in the place of a host, with a certificate of its own, gets no request."""
    key = tmp_path / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "1"]
    subprocess.run([*make, "-keyout", key, "-out", tmp_path / "own.pem"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "own.pem", key)
    refused = threading.Event()

    def serve():
        connection, _ = listening.accept()
        listening.close()
        with (
            pytest.raises(ssl.SSLError, match=r"EOF|(?i:unknown.ca)"),
            context.wrap_socket(connection, server_side=True) as one,
        ):
            one.recv(4096)
        refused.set()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(SourceError, match=r"cannot be opened"):
            read(f"https://localhost:{listening.getsockname()[1]}/film.mp4")
        assert refused.wait(5)
