"""The parts of the page without a browser: who may connect where, what is kept of whom, and what a moment was."""

import io
import os
import socket
import threading
from contextlib import closing
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest
from helpers import images, write_video
from PIL import Image

from actionstream.demos.page import clips, visitor
from actionstream.demos.page.address import check_address
from actionstream.demos.page.clips import UploadedVideo
from actionstream.demos.page.hub import Hub, Settings, SharedEngine
from actionstream.demos.page.site import Limits, Site
from actionstream.demos.page.visitor import PageSource, Visitor, read_picture
from actionstream.models.locate import locate
from actionstream.sources.video import FileSource


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "[::1]", "[fe80::1]", "[fd00::1]", "[::ffff:127.0.0.1]", "[2002:7f00:1::]", "localhost", "2130706433", "127.1",
    ],
)  # fmt: skip
def test_private_addresses_are_refused_unless_allowed(host):
    text = f"rtsp://user:secret@{host}:554/stream"
    with pytest.raises(ValueError, match=r"is a private address|cannot be reached") as refused:
        check_address(text, allow_private=False)
    assert "secret" not in str(refused.value)
    assert check_address(f" {text} ", allow_private=True) == text


def test_public_addresses_pass(monkeypatch):
    assert check_address("http://8.8.8.8/film.mp4", allow_private=False) == "http://8.8.8.8/film.mp4"
    mixed = [(0, 0, 0, "", (address, 80)) for address in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: mixed)
    with pytest.raises(ValueError, match=r"is a private address"):
        check_address("http://both.example/film.mp4", allow_private=False)


@pytest.mark.parametrize(
    "text", ["", "film.mp4", "file:///etc/passwd", "ftp://host/x", "rtsp://", "concat:a|b", "http://[::1", "0"]
)
def test_only_some_schemes_make_sense(text):
    with pytest.raises(ValueError, match=r"begins with rtsp|is no address"):
        check_address(text, allow_private=True)


def test_a_host_that_nobody_has():
    with pytest.raises(ValueError, match=r"no machine is called nobody.invalid"):
        check_address("rtsp://nobody.invalid/stream", allow_private=False)


def test_pictures_from_a_page():
    data = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(data, "PNG")
    assert read_picture(data.getvalue()).shape == (30, 40, 3)
    with pytest.raises(ValueError, match=r"that is no picture"):
        read_picture(b"GIF89a")
    with pytest.raises(ValueError, match=r"the most is 1000000"):
        read_picture(bytes(visitor.MAX_BYTES + 1))
    Image.new("L", (4000, 4000)).save(data := io.BytesIO(), "PNG")
    with pytest.raises(ValueError, match=r"a frame of 4000 x 4000 pixels"):
        read_picture(data.getvalue())


def until(condition, seconds=10.0):
    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end
        sleep(0.01)


@pytest.fixture
def hub(checkpoint):
    with closing(Hub(SharedEngine(checkpoint, runtime="torch", device="cpu"))) as one:
        yield one


def test_frames_of_a_page_become_news_and_its_slot_is_freed(hub):
    source = PageSource("page")
    guest = Visitor(source)
    hub.add("page", source, guest, Settings(threshold=1.0, smoothing_seconds=0.0), realtime=True)
    for n, picture in enumerate(images(4)):
        source.put(picture, n * 0.1)
        until(lambda n=n: hub.counts("page").labelled == n + 1)
    source.put(picture, 0.2)
    assert dict(source.lost) == {"late": 1}
    assert hub.streams == ["page"]
    hub.remove("page")
    until(lambda: hub.streams == [] and guest.ended)
    source.put(picture, 0.9)  # nobody minds


def test_a_page_that_sends_faster_than_its_frames_are_prepared_is_not_kept_in_memory():
    source = PageSource("page")
    for n, picture in enumerate(images(9)):
        source.put(picture, n * 0.1)
    source.stop()
    assert [frame.time_seconds for frame in source] == [0.0, 0.1]
    assert dict(source.lost) == {"late": 7}


def test_frames_are_prepared_while_the_engine_is_busy_with_those_of_others(hub, monkeypatch):
    """Each in a thread of its own visitor."""
    prepared = []

    def prepare(engine, frame, prepare=SharedEngine.prepare):
        prepared.append((frame.stream, threading.current_thread().name))
        return prepare(engine, frame)

    monkeypatch.setattr(SharedEngine, "prepare", prepare)
    sources = {name: PageSource(name) for name in "ab"}
    for name, source in sources.items():
        hub.add(name, source, Visitor(source), Settings(), realtime=True)
        until(lambda name=name: name in hub.engine.streams)
    with hub.engine._lock:  # as `score` holds it
        for source in sources.values():
            source.put(images(1)[0], 0.0)
        until(lambda: len(prepared) == 2)
    assert sorted(prepared) == [(name, f"feed of {name}") for name in "ab"]
    until(lambda: all(hub.counts(name).labelled for name in "ab"))


def oracle(engine, path, time_seconds):
    """What an engine that was shown all frames up to a moment said last."""
    stream = engine.open()
    said = None
    for frame in FileSource(str(path)):
        if frame.time_seconds <= time_seconds:
            said = engine.push(stream, frame.image, frame.time_seconds) or said
    engine.close(stream)
    return said


def labelled(hub, path, **limits):
    clip = UploadedVideo(path, name=path.name, hub=hub, **{"max_minutes": 1, "max_height": 100, **limits})
    clip.begin()
    assert clip.done.wait(20)
    return clip


@pytest.mark.parametrize("kind", ["mp4", "h264", "ts"])
def test_a_moment_is_what_the_live_engine_would_have_said(hub, tmp_path, kind, monkeypatch):
    """Also in a file without times, in one that cannot seek, and when snapshots have been thinned out."""
    monkeypatch.setattr(clips, "MAX_SNAPSHOTS", 2)
    path = write_video(tmp_path / f"film.{kind}", images(80))
    clip = labelled(hub, path)
    found = clip.finish()
    assert len(found.scores.scores) > 20
    assert len(clip._moments) <= 2
    for time_seconds in (0.0, 0.31, 1.0, 1.72, 2.6, 99.0):
        said, wanted = clip.at(time_seconds), oracle(hub.engine, path, time_seconds)
        assert said.time_seconds == wanted.time_seconds
        np.testing.assert_array_equal(said.smoothed, wanted.smoothed)
    assert clip.at(-1.0) is None
    assert hub.streams == []


def test_clips_beyond_the_limits(hub, tmp_path):
    long = write_video(tmp_path / "long.mp4", images(8), rate=1)
    with pytest.raises(ValueError, match=r"long.mp4 is longer than 0.1 minutes, which is the most"):
        labelled(hub, long, max_minutes=0.1)
    high = labelled(hub, write_video(tmp_path / "high.mp4", images(4, height=120, width=160)))
    with pytest.raises(ValueError, match=r"high.mp4 has 160 x 120 pixels; the most are 100 lines"):
        high.finish()


@pytest.fixture
def site(checkpoint, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    limits = Limits(max_megabytes=0.5, max_minutes=1, max_height=100)
    with closing(Site(model=str(checkpoint), runtime="torch", device="cpu", limits=limits)) as one:
        yield one
    assert list(tmp_path.glob("actionstream-*")) == []


def test_only_uploads_are_read_and_a_session_takes_them_with_it(site, tmp_path):
    session = site.session("a")
    assert session is site.session("a")
    assert os.stat(session.folder).st_mode & 0o077 == 0
    outside = tmp_path / "secret.mp4"
    outside.write_text("secret")
    (site.uploads / "link.mp4").symlink_to(outside)
    for path in (outside, site.uploads / ".." / ".." / "secret.mp4", site.uploads / "link.mp4", "", site.uploads):
        with pytest.raises(ValueError, match=r"that is no file that was uploaded here"):
            site.take_upload(session, str(path), (".mp4",))
    (site.uploads / "large.mp4").write_bytes(bytes(600_000))
    with pytest.raises(ValueError, match=r"large.mp4 is larger than 0.5 MB"):
        site.take_upload(session, str(site.uploads / "large.mp4"), (".mp4",))
    for name, kind in (("notes.txt", "of type .txt"), ("film.mp4.m3u8", "of type .m3u8"), ("film", "without a suffix")):
        (site.uploads / name).write_text("#EXTM3U")
        with pytest.raises(ValueError, match=f"{name} is a file {kind}; expected .mp4, .mkv; choose another one"):
            site.take_upload(session, str(site.uploads / name), (".mp4", ".mkv"))
        assert not (site.uploads / name).exists()
    (site.uploads / "small.MP4").write_bytes(b"x")
    kept, name = site.take_upload(session, str(site.uploads / "small.MP4"), (".mp4",))
    assert (name, kept.parent) == ("small.MP4", session.folder)
    site.end_session("a")
    assert not session.folder.exists()
    assert outside.read_text() == "secret"


def test_a_live_stream_ends_when_another_begins_but_not_for_one_that_is_refused(site):
    session = site.session("a")
    first = site.begin_live(session, None, Settings())["token"]
    with pytest.raises(ValueError, match=r"127.0.0.1:9/ is a private address"):
        site.begin_live(session, "http://127.0.0.1:9/", Settings())
    assert site.live(first)
    second = site.begin_live(session, None, Settings())["token"]
    assert site.live(second)
    assert site.live(first) is None


def test_others_go_on_while_a_model_is_opened(site, checkpoint, monkeypatch):
    begun, go = threading.Event(), threading.Event()

    def slow(*arguments, **options):
        begun.set()
        assert go.wait(10)
        return SharedEngine(*arguments, **options)

    monkeypatch.setattr("actionstream.demos.page.site.SharedEngine", slow)
    token = site.begin_live(site.session("a"), None, Settings())["token"]
    opening = threading.Thread(target=site.hub, args=(locate("motion"),))
    opening.start()
    assert begun.wait(10)
    assert site.num_streams() == 1
    site.end_live(token)
    site.hub(site.model)
    go.set()
    opening.join()


def test_a_clip_of_a_session_is_forgotten_with_it(site, tmp_path):
    session = site.session("a")
    upload = write_video(site.uploads / "film.mp4", images(30))
    clip = site.begin_clip(session, *site.take_upload(session, str(upload), (".mp4",)))
    assert clip.done.wait(20)
    token = site.finish_clip(session, clip)["token"]
    assert all(path.is_file() for path in site.finished(token).files.values())
    site.end_session("a")
    assert site.finished(token) is None
    assert not clip.path.exists()


def test_checkpoints_of_a_session_are_its_own(site, checkpoint, tmp_path):
    session = site.session("a")
    (site.uploads / "none.safetensors").write_text("none")
    with pytest.raises(ValueError, match=r"none.safetensors is no checkpoint of ours"):
        site.take_checkpoint(session, str(site.uploads / "none.safetensors"))
    assert list(session.folder.iterdir()) == []
    site.limits = Limits()
    (site.uploads / "mine.safetensors").write_bytes(Path(checkpoint).read_bytes())
    name = site.take_checkpoint(session, str(site.uploads / "mine.safetensors"))
    assert name in site.models(session)
    assert name not in site.models(site.session("b"))
    with pytest.raises(ValueError, match=r"no model 'mine.safetensors' is here"):
        site.find_model(site.session("b"), name)
    with pytest.raises(ValueError, match=r"no model '/etc/passwd' is here"):
        site.find_model(session, "/etc/passwd")
    site.hub(site.find_model(session, name))
    site.end_session("a")
    assert not session.folder.exists()


@pytest.mark.parametrize("wrong", [{"max_megabytes": 0}, {"max_minutes": float("nan")}, {"max_height": -1}])
def test_limits_that_make_no_sense(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is .*; expected "):
        Limits(**wrong)
