"""The parts of the page without a browser: who may connect where, what is kept of whom, and what a moment was."""

import io
import os
import threading
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest
from helpers import images, write_video
from PIL import Image

from actionstream.demos.page.address import check_address
from actionstream.demos.page.answers import quiet_classes
from actionstream.demos.page.clips import UploadedVideo
from actionstream.demos.page.cost import check_cost, cost_of
from actionstream.demos.page.hub import Hub, Settings, SharedEngine
from actionstream.demos.page.limits import Limits
from actionstream.demos.page.site import Site
from actionstream.demos.page.uploads import Room
from actionstream.demos.page.visitor import PageSource, Visitor, read_picture
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.locate import locate
from actionstream.models.weights.checkpoint import save
from actionstream.models.weights.loading import load
from actionstream.sources.video import FileSource


@pytest.mark.parametrize(
    "text", ["", "film.mp4", "file:///etc/passwd", "ftp://host/x", "rtsp://", "concat:a|b", "http://[::1", "0"]
)
def test_only_some_schemes_make_sense(text):
    with pytest.raises(ValueError, match=r"begins with rtsp|is no address"):
        check_address(text, allow_private=True)


def test_addresses_of_cameras_and_videos_pass():
    for text in ("rtsp://user:secret@camera/stream", "http://host:8080/a.mp4", "https://host:443/a.mp4"):
        assert check_address(f" {text} ", allow_private=False) == text
    assert check_address("http://camera:81/", allow_private=True) == "http://camera:81/"


@pytest.mark.parametrize("text", ["http://camera:22/", "rtsp://camera:25/", "https://camera:1023/"])
def test_ports_of_other_services_are_for_nobody(text):
    with pytest.raises(ValueError, match=r"is for other services; expected 80, 322, 443, 554, or 1024 and above"):
        check_address(text, allow_private=False)


def test_pictures_from_a_page():
    data = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(data, "PNG")
    assert read_picture(data.getvalue(), max_pixels=1200).shape == (30, 40, 3)
    with pytest.raises(ActionstreamError, match=r"a frame of 40 x 30 pixels; the most is 1199"):
        read_picture(data.getvalue(), max_pixels=1199)
    with pytest.raises(ActionstreamError, match=r"that is no picture"):
        read_picture(b"GIF89a", max_pixels=1200)
    with pytest.raises(ActionstreamError, match=r"that is no picture"):  # Pillow raises ValueError
        read_picture(data.getvalue().replace(b"\0\0\0\rIHDR", b"\0\0\0\x05IHDR"), max_pixels=1200)


def test_a_frame_with_thousands_of_scans_is_not_decoded():
    """80,000 scans, each of the whole picture, fit into 1 MB, and take minutes."""
    data = io.BytesIO()
    Image.new("RGB", (640, 480), "red").save(data, "JPEG", progressive=True)
    begin = data.getvalue()[:-2]
    scan = begin[begin.rindex(b"\xff\xda") :]
    bomb = begin + 80_000 * scan + b"\xff\xd9"
    assert len(bomb) < Limits().max_frame_kilobytes * 1000
    with pytest.raises(ActionstreamError, match=r"a frame is a progressive JPEG"):
        read_picture(bomb, max_pixels=640 * 480)


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
            said = engine.push(stream, frame.picture, frame.time_seconds) or said
    engine.close(stream)
    return said


def labelled(hub, path, **limits):
    clip = UploadedVideo(path, name=path.name, hub=hub, **{"max_minutes": 1, "max_height": 100, **limits})
    clip.begin()
    assert clip.done.wait(20)
    return clip


@pytest.mark.parametrize("kind", ["mp4", "h264", "ts"])
def test_a_moment_is_what_the_live_engine_would_have_said(hub, tmp_path, kind):
    """Also in a file without times, in one that cannot seek, and when snapshots have been thinned out."""
    path = write_video(tmp_path / f"film.{kind}", images(80))
    clip = labelled(hub, path, max_snapshots=2)
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


def open_session(site, key, client="192.0.2.1"):
    site.open_page(key, client)
    return site.session(key)


def arrive(site, name, data, client="192.0.2.1"):
    """The path of an upload that has arrived."""
    with site.uploads.receive(client) as upload:
        upload.name = name
        upload.path.write_bytes(data)
    return str(upload.path)


def test_only_uploads_are_read_and_a_session_takes_them_with_it(site, tmp_path):
    session = open_session(site, "a")
    assert session is site.session("a")
    assert os.stat(session.folder).st_mode & 0o077 == 0
    outside = tmp_path / "secret.mp4"
    outside.write_text("secret")
    (site.uploads.folder / "link.mp4").symlink_to(outside)
    with suppress(ZeroDivisionError), site.uploads.receive("192.0.2.1") as begun:
        begun.name = "begun.mp4"
        begun.path.write_bytes(b"x")
        with pytest.raises(ActionstreamError, match=r"that is no file that was uploaded here"):
            site.take_upload(session, str(begun.path), (".mp4",))
        1 / 0  # noqa: B018
    assert not begun.folder.exists()
    for path in (outside, site.uploads.folder / "link.mp4", begun.path, "", site.uploads.folder, "x" * 5000, "\0"):
        with pytest.raises(ActionstreamError, match=r"that is no file that was uploaded here"):
            site.take_upload(session, str(path), (".mp4",))
    large = arrive(site, "large.mp4", bytes(600_000))
    with pytest.raises(ActionstreamError, match=r"large.mp4 is larger than 0.5 MB"):
        site.take_upload(session, large, (".mp4",))
    for name, kind in (("notes.txt", "of type .txt"), ("film.mp4.m3u8", "of type .m3u8"), ("film", "without a suffix")):
        path = arrive(site, name, b"#EXTM3U")
        with pytest.raises(ActionstreamError, match=f"{name} is a file {kind}; expected .mp4, .mkv; choose another"):
            site.take_upload(session, path, (".mp4", ".mkv"))
    kept, name = site.take_upload(session, arrive(site, "small.MP4", b"x"), (".mp4",))
    assert (name, kept.parent) == ("small.MP4", session.folder)
    assert [path.name for path in site.uploads.folder.iterdir()] == ["link.mp4"]
    site.end_session("a")
    assert not session.folder.exists()
    assert outside.read_text() == "secret"


def test_the_same_file_of_two_visitors_is_two_files(site):
    """Neither can name that of the other, and one that is taken, or forgotten, leaves the other's."""
    sessions = [open_session(site, key) for key in "ab"]
    first, second, third = (arrive(site, "film.mp4", b"the same") for _ in range(3))
    assert len({first, second, third}) == 3
    kept, _ = site.take_upload(sessions[0], first, (".mp4",))
    with pytest.raises(ActionstreamError, match=r"that is no file that was uploaded here"):
        site.take_upload(sessions[1], first, (".mp4",))
    also, _ = site.take_upload(sessions[1], second, (".mp4",))
    site.end_session("a")
    assert not kept.exists()
    assert also.read_bytes() == b"the same"
    site.limits = Limits(upload_seconds=0.1)
    until(lambda: third not in site.uploads)
    until(lambda: list(site.uploads.folder.iterdir()) == [])


def test_so_many_uploads_of_a_client(site):
    for _ in range(site.limits.max_uploads_per_client):
        arrive(site, "film.mp4", b"x")
    with pytest.raises(ActionstreamError, match=r"8 uploads wait, which is the most"):
        arrive(site, "film.mp4", b"x")
    arrive(site, "film.mp4", b"x", client="192.0.2.2")


def test_a_live_stream_ends_when_another_begins_but_not_for_one_that_is_refused(site):
    session = open_session(site, "a")
    first = site.begin_live(session, None, Settings())["token"]
    with pytest.raises(ValueError, match=r"port 9 is for other services"):
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
    token = site.begin_live(open_session(site, "a"), None, Settings())["token"]
    opening = threading.Thread(target=site.hub, args=(locate("motion"),))
    opening.start()
    assert begun.wait(10)
    assert site.num_streams() == 1
    site.end_live(token)
    site.hub(site.model)
    go.set()
    opening.join()


def test_a_clip_of_a_session_is_forgotten_with_it(site, tmp_path):
    session = open_session(site, "a")
    upload = arrive(site, "film.mp4", write_video(tmp_path / "film.mp4", images(30)).read_bytes())
    clip = site.begin_clip(session, *site.take_upload(session, upload, (".mp4",)))
    assert clip.done.wait(20)
    token = site.finish_clip(session, clip)["token"]
    assert all(path.is_file() for path in site.finished(token).files.values())
    site.end_session("a")
    assert site.finished(token) is None
    assert not clip.path.exists()


def test_checkpoints_of_a_session_are_its_own(site, checkpoint, tmp_path):
    session = open_session(site, "a")
    with pytest.raises(ValueError, match=r"none.safetensors is no checkpoint of ours"):
        site.take_checkpoint(session, arrive(site, "none.safetensors", b"none"))
    assert list(session.folder.iterdir()) == []
    site.limits = Limits()
    name = site.take_checkpoint(session, arrive(site, "mine.safetensors", Path(checkpoint).read_bytes()))
    assert name in site.models(session)
    assert name not in site.models(open_session(site, "b"))
    with pytest.raises(ValueError, match=r"no model 'mine.safetensors' is here"):
        site.find_model(open_session(site, "b"), name)
    with pytest.raises(ValueError, match=r"no model '/etc/passwd' is here"):
        site.find_model(session, "/etc/passwd")
    site.hub(site.find_model(session, name))
    site.end_session("a")
    assert not session.folder.exists()


def test_so_many_pages_and_models(site):
    site.limits = Limits(max_pages=3, max_pages_per_client=2)
    for key in ("a", "b", "a"):
        site.open_page(key, "192.0.2.1")
    with pytest.raises(ValueError, match=r"too many pages are open"):
        site.open_page("c", "192.0.2.1")
    site.open_page("c", "192.0.2.2")
    with pytest.raises(ValueError, match=r"too many pages are open"):
        site.open_page("d", "192.0.2.3")
    with pytest.raises(ValueError, match=r"this page is not connected; load it again"):
        site.session("d")
    site.limits = Limits(max_models=1)
    with pytest.raises(ValueError, match=r"1 models are open, which is the most"):
        site.hub(locate("motion"))


def test_a_session_ends_with_the_last_connection_of_its_page(site):
    site.limits = Limits(idle_seconds=0.3)
    folder = open_session(site, "a").folder
    site.open_page("a", "192.0.2.1")
    site.close_page("a")
    sleep(1.2)
    assert folder.exists()
    site.close_page("a")
    until(lambda: not folder.exists())
    site.close_page("a")  # nobody minds


def test_the_sweeper_goes_on(site, monkeypatch, caplog):
    """What goes wrong is told once, however often it does."""
    calls = []

    def fail(seconds):
        calls.append(1)
        raise RuntimeError("a disk that fails")

    site.limits = Limits(idle_seconds=0.1)
    monkeypatch.setattr(site.uploads, "remove_forgotten", fail)
    until(lambda: len(calls) > 2)
    open_session(site, "a")
    site.close_page("a")
    until(lambda: not site._sessions)
    assert caplog.text.count("could not be removed") == 1


def test_the_sample_is_scored_once_for_all_visitors(site, monkeypatch):
    """By the engine that they share, which has no stream of it afterwards; who asks early gets the rest later."""
    engine, opened = site.hub(site.model).engine, []
    monkeypatch.setattr(engine, "open", lambda open=engine.open: opened.append(open()) or opened[-1])
    first = site.sample.state(0)
    until(lambda: site.sample.state(0)["done"], 60)
    found = site.sample.state(0)
    rows = found["rows"]
    assert rows[: len(first["rows"])] == first["rows"]
    assert site.sample.state(len(rows) - 2)["rows"] == rows[-2:]
    assert len(opened) == 1
    until(lambda: site.num_streams() == 0)
    assert found["about"]["labels"] == engine.card.labels
    times = [row["time"] for row in rows]
    assert times == sorted(times)
    assert 20 < times[-1] < 22
    assert all(sum(score for _, score in row["scores"]) == pytest.approx(1, abs=0.03) for row in rows)


def test_labels_that_mean_that_nothing_happens():
    assert quiet_classes(["left", "Still", "nothing", "No gesture", "still life"]) == [1, 2, 3]


def test_a_hub_that_has_failed_starts_again(site, monkeypatch):
    """Whatever the engine's thread raises ends the streams of that moment, and not those that come."""
    session = open_session(site, "a")
    old = site.hub(site.model)

    def fault(pairs):
        raise RuntimeError("the engine is broken")

    monkeypatch.setattr(old.engine, "score", fault)
    token = site.begin_live(session, None, Settings())["token"]
    visitor = site._live[token].visitor
    visitor.source.put(images(1)[0], 0.0)
    until(lambda: old.failure is not None)
    assert "the engine is broken" in old.failure
    assert site.hub(site.model) is not old
    token = site.begin_live(session, None, Settings())["token"]
    assert site._live[token].hub.failure is None


def test_room_for_uploads(site):
    site.limits = Limits(max_stored_megabytes=1)
    arrive(site, "film.mp4", bytes(500_000))
    with site.room_for(400_000), pytest.raises(ValueError, match=r"no room for more videos"), site.room_for(200_000):
        raise AssertionError
    with site.room_for(200_000):
        pass


def test_what_a_model_would_take_is_known_before_it_is_there(checkpoint, tmp_path):
    network, card = load(checkpoint)
    mine = cost_of(card)
    assert mine.weights == sum(parameter.nbytes for parameter in network.parameters())
    assert mine.state == network.state_bytes(card.preprocessing.height, card.preprocessing.width)
    size = card.preprocessing
    large = replace(card, preprocessing=replace(size, height=4 * size.height, width=4 * size.width, short_side=None))
    assert 10 < cost_of(large).work / mine.work < 20
    save(tmp_path / "large.safetensors", network, large)
    with pytest.raises(ValueError, match=r"large takes \d+ MB with one stream; the most are 1 MB here"):
        check_cost(tmp_path / "large.safetensors", name="large", max_bytes=1e6)


def test_a_model_that_takes_too_much_is_not_opened(site, checkpoint, monkeypatch):
    site.limits = Limits(max_model_megabytes=0.01)
    monkeypatch.setattr("actionstream.demos.page.site.load", None)
    session = open_session(site, "a")
    mine = arrive(site, "mine.safetensors", Path(checkpoint).read_bytes())
    with pytest.raises(ValueError, match=r"mine.safetensors takes \d+ MB with one stream"):
        site.take_checkpoint(session, mine)
    assert list(session.folder.iterdir()) == []


@pytest.mark.parametrize("wrong", [{"max_megabytes": 0}, {"max_minutes": float("nan")}, {"max_height": -1}])
def test_limits_that_make_no_sense(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is .*; expected "):
        Limits(**wrong)


def test_room_is_counted_while_files_are_taken_away(tmp_path):
    """Uploads are moved and removed by other visitors meanwhile."""
    folder = tmp_path / "[server]"
    folder.mkdir()
    (folder / "kept.mp4").write_bytes(bytes(900))
    files = [folder / f"visitor{n}" / "film.mp4" for n in range(20)]
    ended = threading.Event()

    def come_and_go() -> None:
        while not ended.is_set():
            for file in files:
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(bytes(2))
            for file in files:
                file.unlink()
                file.parent.rmdir()

    room = Room(folder)
    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        for _ in range(200):
            with room.reserve(50, most=1000):
                pass
    finally:
        ended.set()
        thread.join()
    with pytest.raises(ActionstreamError, match="no room"), room.reserve(101, most=1000):
        pass
