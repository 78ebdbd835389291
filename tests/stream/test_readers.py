"""Readers of live sources: processes that are forked, and memory that they share."""

import os
import signal
import time
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from helpers import images, write_video

from actionstream import Connection, Engine, SourceError, Watch
from actionstream.benchmarks.films import LiveFilm
from actionstream.frame import Frame
from actionstream.models.preprocessing import Preprocessing
from actionstream.sources import process
from actionstream.sources.desk import Rhythm
from actionstream.sources.fork_server import Ended, ForkServer
from actionstream.sources.head import HeadReceiver, HeadSender
from actionstream.sources.process import ProcessSource, RemotePicture
from actionstream.sources.shared_memory import SharedMemory
from actionstream.sources.source import Source

WANTED = Preprocessing(height=32, width=32)


@pytest.fixture
def camera(tmp_path):
    """Makes a source that plays a film like a camera, in a process of its own."""
    path = write_video(tmp_path / "film.mp4", images(40))

    def opened(rate=30.0, **options):
        return ProcessSource("camera", partial(LiveFilm, path, rate=rate), Connection(retries=0, **options))

    return opened


def is_running(pid):
    return Path(f"/proc/{pid}").exists()


def test_memory_grows_with_what_is_put_into_it():
    memory = SharedMemory()
    other = SharedMemory(os.dup(memory.descriptor))
    for side in (3, 50, 2, 400):
        image = np.random.default_rng(side).integers(0, 256, (side, side + 1, 3), dtype=np.uint8)
        other.put([image, image[:2]])
        for found, put in zip(memory.take([image.shape, image[:2].shape]), (image, image[:2]), strict=True):
            assert np.array_equal(found, put)
    (taken,) = memory.take([image.shape])
    other.put([255 - image])
    assert np.array_equal(taken, image)  # it is a copy
    memory.close()
    other.close()


def test_a_process_is_there_at_once_and_ends_as_it_is_told(camera):
    source = camera()
    with closing(iter(source)) as frames:
        next(frames)
        server, pid = process._current, source._reader.pid
        assert is_running(pid)
    assert not is_running(pid)
    assert source.cpu_seconds > 0
    assert server.end(pid) == Ended(None, 0.0)  # it is no process of the server any more
    with closing(iter(source)) as frames:
        begin = time.perf_counter()
        next(frames)
        assert time.perf_counter() - begin < 2
        assert process._current is server


def test_a_server_that_is_killed_takes_its_processes_along(camera):
    source = camera()
    frames = iter(source)
    next(frames)
    pid, server = source._reader.pid, process._current
    os.kill(server._process.pid, signal.SIGKILL)
    with pytest.raises(SourceError, match="its reader died with exit code -9"):
        list(frames)
    for _ in range(500):
        if not is_running(pid):
            break
        time.sleep(0.01)
    assert not is_running(pid)
    assert next(iter(camera())).index == 0
    assert process._current is not server


def test_a_process_has_the_variables_of_now(camera, monkeypatch):
    """Such as the limit on pixels, which an option sets."""
    next(iter(camera()))
    before = process._current
    monkeypatch.setenv("ACTIONSTREAM_MAX_PIXELS", "100")
    with pytest.raises(SourceError, match=r"the most are 100 pixels"):
        next(iter(camera()))
    assert process._current is not before


def test_a_server_ends_with_the_last_who_knows_it():
    server = ForkServer()
    pid = server._process.pid
    del server
    assert not is_running(pid)


def test_an_error_in_the_process_is_told_without_its_secret():
    fails = partial(exec, "raise RuntimeError('no route to rtsp://me:secret@camera')")
    source = ProcessSource("camera", fails, Connection(), secret="rtsp://me:secret@camera")
    with pytest.raises(SourceError, match=r"camera failed: .*no route to camera"):
        list(source)


def test_only_the_last_pictures_can_be_asked_for(camera):
    source = camera(rate=100)
    source.with_images = False
    going_on = iter(source)
    frames = list(islice(going_on, 20))
    small = WANTED.resize(frames[-1].picture)
    assert small.shape == (32, 32, 3)
    assert frames[-1].size == frames[-1].image.shape[:2] == (48, 64)
    assert np.array_equal(WANTED.resize(frames[-1].picture), small)
    assert frames[-4].image.any()
    with pytest.raises(SourceError, match="the picture of frame 0 of camera is gone; ask for it sooner"):
        _ = frames[0].image
    going_on.close()
    assert frames[-1].image.any()  # what was asked for once is here to stay
    with pytest.raises(SourceError, match="camera has ended, and its pictures are gone with it"):
        _ = frames[-2].image


def test_the_images_of_all_frames(camera):
    """As for a program that reads a source by itself."""
    frames = list(islice(camera(rate=100), 20))
    expected = list(islice(LiveFilm(camera()._make.args[0], rate=100), 20))
    for frame, there in zip(frames, expected, strict=True):
        assert np.array_equal(frame.image, there.image)


def test_a_picture_is_made_only_where_it_is_asked_for(camera, monkeypatch):
    """A watch without images asks for the input of the network, of sampled frames, and for nothing else."""
    asked, ahead = [], []
    ask, take = process._Reader.ask, process._Reader.take

    def noted(reader, index, wanted):
        asked.append((index, wanted))
        return ask(reader, index, wanted)

    def taken(reader, head):
        made = take(reader, head)
        ahead.extend((head.index, wanted) for wanted in made)
        return made

    monkeypatch.setattr(process._Reader, "ask", noted)
    monkeypatch.setattr(process._Reader, "take", taken)
    engine = Engine(runtime="torch", device="cpu")
    with Watch(engine, policy="every", max_frames=20) as watch:
        watch.add(camera(rate=30), images=False)
        labelled = [update.frame.index for update in watch if update.prediction]
    assert [index for index, _ in asked] == [0, 2]  # then the rhythm is known
    assert [index for index, _ in asked + ahead] == labelled == list(range(0, 20, 2))
    assert {wanted for _, wanted in asked + ahead} == {engine.card.preprocessing}


def test_what_was_asked_for_is_told_when_the_reader_knows_it():
    """Another thread may ask while the source goes on: a request under way has no number yet."""

    class Reader:
        def ask(self, index, wanted):
            assert wanted not in picture.asked
            return np.zeros((32, 32, 3), np.uint8)

    picture = RemotePicture(Reader(), 0, (48, 64), made={None: np.zeros((48, 64, 3), np.uint8)}, of="camera")
    picture.resized(WANTED)
    assert picture.asked == {WANTED}
    assert picture.image().shape == (48, 64, 3)
    assert picture.asked == {WANTED, None}


def test_a_rhythm_is_followed_and_forgotten():
    rhythm = Rhythm()
    assert not rhythm.expects(0.0)
    rhythm.push(0.0)
    assert not rhythm.expects(1.0)
    rhythm.push(1.0)
    assert [rhythm.expects(1.0 + passed) for passed in (0.1, 0.7, 0.8, 1.0, 2.9, 3.1)] == [
        False,
        False,
        *3 * [True],
        False,
    ]
    rhythm.push(11.0)  # a gap is not the rhythm
    assert rhythm.expects(12.0)
    rhythm.push(5.0)  # a clock that was set back
    assert not rhythm.expects(5.1)
    assert rhythm.expects(6.1)
    for number in range(200):
        rhythm.push(6.0 + number / 2)
    assert rhythm.expects(6.0 + 199 / 2 + 0.4)


def test_heads_say_what_has_changed():
    """Of a source whose rate, losses and packets change."""
    source, receive = Source("camera"), HeadReceiver()
    send = HeadSender(source)
    sizes = []
    for index in range(6):
        if index == 3:
            source.lost["damaged"] += 2
            source.rate = 12.5
        frame = Frame(stream="camera", index=index, time_seconds=index / 10, picture=images(1)[0])
        message = send(frame, bytes([0, 3]) if index % 2 else b"")
        sizes.append(len(message))
        head = receive(message)
        assert (head.index, head.time_seconds, head.available) == (index, frame.time_seconds, frame.available)
        assert (head.size, list(head.made), head.packets) == (frame.size, [0, 3] if index % 2 else [], ())
        assert (head.rate, head.lost, head.live) == (source.rate, source.lost, source.live)
    assert sizes[0] > 2 * sizes[2]
    assert sizes[3] > 2 * sizes[5]


@pytest.mark.parametrize("images", [True, False])
def test_scores_do_not_depend_on_who_looks(camera, images):
    with Watch(Engine(runtime="torch", device="cpu"), policy="every", max_frames=12) as watch:
        watch.add(camera(), images=images)
        found = [update.prediction.scores for update in watch if update.prediction]
    path = camera()._make.args[0]
    with Watch(Engine(runtime="torch", device="cpu"), max_frames=12) as watch:
        watch.add(path)
        expected = [update.prediction.scores for update in watch if update.prediction]
    assert np.array_equal(np.stack(found), np.stack(expected))
