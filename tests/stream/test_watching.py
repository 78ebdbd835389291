"""Several streams at once: each as if it were alone, and none disturbed by another."""

import os
import sys
import threading
import time
from collections import Counter
from functools import partial
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import images, random_card, random_network, write_video
from hypothesis import given, settings
from hypothesis import strategies as st
from precision import apart, float64_bound
from servers import ball, free_port, rtsp_server, silent_server

from actionstream import Connection, Engine, Frame, Prediction, Source, SourceError, Watch, watch
from actionstream.engine.sampling import Sampling
from actionstream.runtimes.eager import TorchRuntime
from actionstream.sampler import Sampler
from actionstream.scoring import EventDetector
from actionstream.sources import process
from actionstream.sources.camera import CameraSource
from actionstream.sources.process import ProcessSource

pytestmark = pytest.mark.alone

CARD = random_card()
PICTURES = images(8)
INTERVAL = CARD.interval_seconds


NETWORK = random_network(CARD)
RUNTIME = TorchRuntime(NETWORK, CARD, device="cpu")
FRAMES = CARD.preprocessing.normalise(torch.from_numpy(np.stack(list(map(CARD.preprocessing.resize, PICTURES)))[None]))
_, LIMIT = float64_bound(NETWORK, FRAMES, of=CARD.probabilities)


def engine():
    return Engine(RUNTIME)


class Camera(Source):
    """Pictures at a steady rate, live unless told otherwise."""

    def __init__(self, name, *, rate=30.0, count=10**9, live=True, first=0, fail=None):
        super().__init__(name)
        self.rate, self.count, self.live, self.first, self.fail = rate, count, live, first, fail

    def __iter__(self):
        begin = time.perf_counter()
        for index in range(self.count):
            seconds = index / self.rate
            if self.live:
                time.sleep(max(0.0, begin + seconds - time.perf_counter()))
            picture = PICTURES[(self.first + index) % len(PICTURES)]
            yield Frame(stream=self.name, index=index, time_seconds=seconds, picture=picture)
        if self.fail:
            raise self.fail


class NullRuntime:
    """Scores without a network; `work` is called with the slots of each step."""

    chunk = 1

    def __init__(self, work=lambda slots: None):
        self.card = CARD
        self.work = work
        self.slots = iter(range(10**9))

    def allocate(self):
        return next(self.slots)

    def step(self, snippets, slots):
        scores = np.zeros((*snippets.shape[:2], len(CARD.labels)), np.float32)
        scores[..., 0] = 0 if (work := self.work(slots)) is None else work
        return scores

    def free(self, slot): ...

    def reset(self, slot): ...


def alone(pictures):
    """Probabilities of the network over pictures, from an empty state: (T, K)."""
    clip = torch.from_numpy(np.stack(list(map(CARD.preprocessing.resize, pictures))))[None]
    with torch.inference_mode():
        return CARD.probabilities(NETWORK(CARD.preprocessing.normalise(clip), None)[0][0].numpy())


def assert_as_alone(updates):
    """The predictions of a stream are those of the network alone; where no frame is missing, for the right ones."""
    updates = [update for update in updates if update.frame]
    scored = [update for update in updates if update.prediction]
    resets = [n for n, update in enumerate(scored) if update.prediction.reset]
    assert resets[0] == 0
    for begin, end in zip(resets, [*resets[1:], len(scored)], strict=True):
        part = scored[begin:end]
        found = np.stack([update.prediction.probabilities for update in part])
        assert apart(found, alone([update.frame.picture for update in part])) < LIMIT
        assert [update.prediction.frames_since_reset for update in part] == list(range(1, len(part) + 1))
        assert np.diff([update.frame.time_seconds for update in part]).max(initial=0) <= 8 * INTERVAL + 1e-9
    if [update.frame.index for update in updates] == list(range(len(updates))):
        sampler = Sampler(CARD.frame_seconds)
        for frame, prediction in ((update.frame, update.prediction) for update in updates):
            decision = sampler.push(frame.time_seconds, frame.image.shape[:2], after_gap=frame.after_gap)
            assert decision.sampled == (prediction is not None)
            assert decision.reset == (prediction and prediction.reset)


def closes(updates):
    """The last notice of each stream."""
    return {u.stream: u.notice for u in updates if u.notice and u.notice.event == "close"}


def assert_adds_up(notice):
    counts = notice.counts
    assert counts.waiting == 0
    assert counts.received == counts.labelled + sum(counts.dropped.values()), notice


def test_eight_streams_are_each_as_if_alone(tmp_path):
    """Four cameras by RTSP, four files of other rates and sizes; one server is killed, and nobody else minds."""
    files = [
        write_video(tmp_path / f"{n}.mkv", images(60 + 10 * n, n, height, width), rate=rate)
        for n, (rate, height, width) in enumerate([(30, 48, 64), (25, 64, 48), (50, 120, 160), (12, 48, 48)])
    ]
    cameras = {"a": ball(160, 120, 30), "b": ball(96, 96, 15), "c": ball(320, 240, 25)}
    with rtsp_server(cameras) as server, rtsp_server({"d": ball(160, 120, 20)}) as doomed:
        addresses = [*map(server.address, cameras), doomed.address("d")]
        updates = []
        with Watch(engine(), realtime=True, connection=Connection(retries=1)) as session:
            for source in [*addresses, *files]:
                session.add(source)
            labelled = dict.fromkeys(addresses, 0)
            killed = False
            for update in session:
                updates.append(update)
                if update.stream in labelled and update.prediction:
                    labelled[update.stream] += 1
                if min(labelled.values()) >= 10 and not killed:
                    doomed.kill()
                    killed = True
                enough = min(labelled[address] for address in addresses[:3]) >= 60
                if killed and enough and all(file.name in closes(updates) for file in files):
                    session.stop()
        doomed.start()
    by_stream = {name: [u for u in updates if u.stream == name] for name in [*addresses, *(f.name for f in files)]}
    ends = closes(updates)
    assert set(ends) == set(by_stream)
    for name, mine in by_stream.items():
        assert_as_alone(mine)
        assert_adds_up(ends[name])
    assert ends[doomed.address("d")].reason.endswith("connection refused")
    for name in addresses[:3]:
        events = [u.notice.event for u in by_stream[name] if u.notice]
        assert (events, ends[name].reason) == (["connect", "close"], None)
    for n, file in enumerate(files):
        frames = [u for u in by_stream[file.name] if u.frame]
        assert (len(frames), ends[file.name].counts.lost) == (60 + 10 * n, 0)


def test_a_server_that_comes_back():
    """Killed and started again: the return is told, labels go on from an empty state at the right time."""
    with rtsp_server({"cam": ball()}) as server, Watch(engine()) as session:
        session.add(server.address("cam"), name="cam")
        before = [u for u in islice(session, 20) if u.prediction]
        began = time.perf_counter()
        server.kill()
        later = []
        for update in session:
            later.append(update)
            if update.notice and update.notice.event == "disconnect":
                server.start()
            if sum(bool(u.prediction) for u in later) >= 10 and later[-1].prediction.reset is None:
                break
        passed = time.perf_counter() - began
    events = [u.notice.event for u in later if u.notice]
    assert events[0] == "disconnect"
    assert events[-1] == "reconnect"
    at = next(n for n, u in enumerate(later) if u.notice and u.notice.event == "reconnect")
    first = next(u.prediction for u in later[at:] if u.prediction)
    assert (first.reset, first.frames_since_reset) == ("gap", 1)
    assert before[-1].prediction.time_seconds < first.time_seconds
    assert later[-1].prediction.time_seconds - before[-1].prediction.time_seconds == pytest.approx(passed, abs=1.5)
    frames = [u for u in [*before, *later] if u.prediction]
    assert min(u.frame.image.max() for u in frames) > 100  # no made-up black picture


def test_a_server_that_stalls():
    with rtsp_server({"cam": ball()}) as server:
        connection = Connection(stall_seconds=1.5, read_seconds=1, open_seconds=4)
        with Watch(engine(), connection=connection) as session:
            session.add(server.address("cam"), name="cam")
            list(islice(session, 20))
            server.stop()
            threading.Timer(6, server.go_on).start()
            updates = []
            for update in session:
                updates.append(update)
                if update.prediction and any(u.notice and u.notice.event == "reconnect" for u in updates):
                    break
    told = [u.notice for u in updates if u.notice]
    assert told[0].event == "disconnect"
    assert "cam" in told[0].reason
    assert "for 1" in told[0].reason
    assert updates[-1].prediction.reset == "gap"


def test_arrival_in_any_order_changes_nothing():
    """The laws over the whole engine: whoever has a frame now is in the batch, and every stream is as if alone."""

    @settings(max_examples=15, deadline=None)
    @given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=5), seed=st.integers(0, 1000))
    def check(lengths, seed):
        random = np.random.default_rng(seed)
        pauses = [random.choice([0, 0, 0.002, 0.01], length) for length in lengths]

        class Halting(Camera):
            def __iter__(self):
                for frame, pause in zip(super().__iter__(), pauses[self.first], strict=True):
                    time.sleep(pause)
                    yield frame

        with Watch(engine()) as session:
            for n, length in enumerate(lengths):
                session.add(Halting(f"{n}", count=length, live=False, first=n, rate=10 + 5 * n))
            updates = list(session)
        for n, length in enumerate(lengths):
            mine = [u for u in updates if u.stream == f"{n}"]
            assert [u.frame.index for u in mine if u.frame] == list(range(length))
            assert_as_alone(mine)
        for notice in closes(updates).values():
            assert_adds_up(notice)

    check()


def test_a_source_and_a_sink_that_fail_end_their_own_streams():
    class Broken:
        closed = False

        def push(self, update):
            if update.frame and update.frame.index == 5:
                raise OSError(28, "No space left on device")

        def close(self):
            self.closed = True

    class Whole:
        def __init__(self):
            self.updates, self.closed = [], False

        def push(self, update):
            assert not self.closed
            self.updates.append(update)

        def close(self):
            self.closed = True

    broken, sound, whole = Broken(), Whole(), []
    with Watch(engine()) as session:
        session.add(Camera("good", count=60, live=False), sinks=lambda name: [sound])
        session.add(Camera("bug", count=7, live=False, fail=ZeroDivisionError("division by zero")))
        session.add(Camera("cut", count=9, live=False, fail=SourceError("cut is cut short")))
        session.add(Camera("full", count=60, live=False), sinks=lambda name: [broken])
        whole = list(session)
    ends = closes(whole)
    reasons = {name: notice.reason for name, notice in ends.items()}
    assert reasons == {
        "good": None,
        "bug": "bug: division by zero",
        "cut": "cut is cut short",
        "full": "full: No space left on device",
    }
    assert sum(1 for u in whole if u.notice) == 4
    assert broken.closed
    assert sound.closed
    assert sound.updates == [u for u in whole if u.stream == "good"]
    received = {name: notice.counts.received for name, notice in ends.items()}
    assert (received["good"], received["bug"], received["cut"]) == (60, 7, 9)
    assert 6 <= received["full"] < 60
    assert_as_alone([u for u in whole if u.stream == "good"])
    for notice in ends.values():
        assert_adds_up(notice)


def spoilt(where, monkeypatch):
    """An engine where the fifth frame of the stream "bad" raises while it is prepared or scored."""
    machine = engine()

    def raising(function, name_of):
        seen = count()

        def call(*arguments):
            if name_of(*arguments) == "bad" and next(seen) == 4:
                raise FloatingPointError("this frame is cursed\nwhatever it is")
            return function(*arguments)

        return call

    if where == "sampling":
        monkeypatch.setattr(Engine, "prepare", raising(Engine.prepare, lambda _, frame: frame.stream))
    elif where == "modality":
        monkeypatch.setattr(Sampling, "push", raising(Sampling.push, lambda _, frame: frame.stream))
    elif where == "scoring":
        monkeypatch.setattr(EventDetector, "push", raising(EventDetector.push, lambda self, *_: self.stream))
    return machine


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("where", ["sampling", "modality", "scoring"])
def test_a_frame_that_cannot_be_prepared_ends_its_own_stream(where, live, monkeypatch):
    names = [*map(str, range(7)), "bad"]
    with Watch(spoilt(where, monkeypatch), connection=Connection(retries=0)) as session:
        for n, name in enumerate(names):
            session.add(Camera(name, count=20, first=n, live=live), name=name)
        updates = list(session)
    monkeypatch.undo()
    reasons = {name: notice.reason for name, notice in closes(updates).items()}
    assert reasons.pop("bad") == "bad: this frame is cursed"
    assert reasons == {name: f"{name} has ended" if live else None for name in names[:-1]}
    for name in names:
        mine = [u for u in updates if u.stream == name]
        assert_adds_up(closes(mine)[name])
        frames = [u for u in mine if u.frame]
        if name == "bad":
            assert 1 <= len(frames) < 20
        else:
            assert frames[-1].frame.index >= (18 if live else 19)  # the last one that is sampled
            assert_as_alone(mine)
    assert closes(updates)["bad"].counts.dropped["failed"] == 1


def test_of_eight_live_streams_seven_go_on_with_the_scores_that_they_have_alone(monkeypatch):
    """Where the preparation of the other one raises."""
    spoilt("modality", monkeypatch)
    cameras = [Camera(name, count=40, first=n) for n, name in enumerate([*map(str, range(7)), "bad"])]
    predictions = []
    with pytest.raises(SourceError, match="bad: this frame is cursed"):
        predictions.extend(watch(*cameras, model=RUNTIME, connection=Connection(retries=0)))
    for camera in cameras[:7]:
        mine = [each for each in predictions if each.stream == camera.name]
        assert mine[-1].frame >= 30
        assert [each.reset for each in mine] == ["start"] + [None] * (len(mine) - 1)
        expected = alone([PICTURES[(camera.first + each.frame) % 8] for each in mine])
        assert apart(np.stack([each.probabilities for each in mine]), expected) < 1e-4
    assert max(each.frame for each in predictions if each.stream == "bad") < 4


def test_what_fails_at_the_end_of_a_stream_or_in_a_snapshot_ends_it_alone(monkeypatch):
    machine = engine()
    for name in ("flush", "snapshot"):
        inner = getattr(machine, name)

        def outer(stream, *rest, name=name, inner=inner):
            if stream == name:
                raise RuntimeError(f"no {name} today")
            return inner(stream, *rest)

        monkeypatch.setattr(machine, name, outer)

    class Keeper(Kept):
        def push(self, update):
            if update.frame and update.frame.index == 3:
                machine.snapshot(update.stream)

    with Watch(machine) as session:
        for name in ("flush", "snapshot", "good"):
            session.add(Camera(name, count=20, live=False), name=name, sinks=lambda _: [Keeper()])
        updates = list(session)
    assert {name: notice.reason for name, notice in closes(updates).items()} == {
        "flush": "flush: no flush today",
        "snapshot": "snapshot: no snapshot today",
        "good": None,
    }
    assert machine.streams == []
    assert_as_alone([u for u in updates if u.stream == "good"])


def test_an_engine_raises_what_is_wrong_with_a_frame_and_goes_on_from_a_reset(monkeypatch):
    machine = spoilt("modality", monkeypatch)
    bad = machine.open("bad")
    rows = [machine.push(bad, PICTURES[n], n * INTERVAL) for n in range(4)]
    with pytest.raises(FloatingPointError, match="cursed"):
        machine.push(bad, PICTURES[4], 4 * INTERVAL)
    after = machine.push(bad, PICTURES[5], 5 * INTERVAL)
    assert [rows[0].reset, rows[3].reset, after.reset, after.frames_since_reset] == ["start", None, "start", 1]


def test_counts_add_up_whenever_they_are_asked_for():
    """From other threads, while frames come, are lost in the source, replaced, passed over and labelled."""

    class Lossy(Camera):
        def __iter__(self):
            for frame in super().__iter__():
                self.lost["late" if frame.index % 3 else f"reason {frame.index % 50}"] += 1
                yield frame

    wrong, asked, over = [], Counter(), threading.Event()
    session = Watch(Engine(NullRuntime()))
    names = [session.add(Lossy(f"{n}", rate=3000.0, count=1500, live=n % 2 == 0, first=n)) for n in range(4)]

    def ask():
        try:
            while not over.is_set():
                for name in names:
                    counts = session.counts(name)
                    asked[name] += counts.received > 0
                    known = counts.labelled + sum(counts.dropped.values())
                    if counts.received != known + counts.waiting or counts.waiting < 0:
                        wrong.append(counts)
        except Exception as error:  # noqa: BLE001  told below
            wrong.append(error)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with session:
            for thread in threads:
                thread.start()
            for _ in session:
                if wrong or min(asked[name] for name in names) > 2000:
                    session.stop()
    finally:
        over.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(switch)
    assert wrong == []


def test_scores_that_are_not_finite_reset_that_stream_alone():
    bad = []

    def work(slots):
        return np.where(np.isin(slots, bad), np.nan, 1.0)[:, None]

    machine = Engine(NullRuntime(work), threshold=0.0, min_duration_seconds=0)
    for name in "ab":
        machine.open(name)

    def push(n):
        frames = [Frame(stream=name, index=n, time_seconds=n * INTERVAL, picture=PICTURES[0]) for name in "ab"]
        return machine.push_frames(frames)

    for n in range(3):
        assert all(isinstance(result, Prediction) for result in push(n))
    bad.append(0)
    a, b = push(3)
    assert (a.reason, b.frames_since_reset) == ("scores not finite", 4)
    bad.clear()
    a, b = push(4)
    assert (a.reset, a.frames_since_reset, b.reset, b.frames_since_reset) == ("scores not finite", 1, None, 5)
    assert {event.event for event in a.events} == {"end"}
    assert [event.time_seconds for event in a.events] == pytest.approx([3 * INTERVAL] * len(CARD.labels))
    assert np.isfinite(a.smoothed).all()


def test_an_overload_drops_fairly_and_keeps_the_latency():
    """Each row takes 0.4 intervals: of eight live streams two fit, and no label comes later than two intervals."""
    machine = Engine(NullRuntime(lambda slots: time.sleep(0.4 * INTERVAL * len(slots))))
    with Watch(machine) as session:
        for n in range(8):
            session.add(Camera(f"{n}", rate=15 + 5 * (n % 3)))
        begin = time.perf_counter()
        updates = []
        for update in session:
            updates.append(update)
            if time.perf_counter() - begin > 6:
                session.stop()
    latencies = {f"{n}": [] for n in range(8)}
    for update in updates:
        if update.prediction and update.prediction.time_seconds > 1:  # it has learned how long a step takes
            latencies[update.stream].append(update.prediction.latency_ms / 1000)
    for stream, seconds in latencies.items():
        assert np.quantile(seconds, 0.9) < 2 * INTERVAL, stream
    served = [len(seconds) for seconds in latencies.values()]
    assert min(served) > 5
    assert max(served) <= 1.5 * min(served)
    for notice in closes(updates).values():
        assert_adds_up(notice)
        assert notice.counts.lost > 20


def test_nobody_is_served_before_others_because_of_bad_scores():
    """A stream whose scores are not finite has had its turn."""

    def work(slots):
        time.sleep(1.2 * INTERVAL * len(slots))
        return np.where(slots == 0, np.nan, 1.0)[:, None]

    with Watch(Engine(NullRuntime(work))) as session:
        for name in "abc":
            session.add(Camera(name))
        begin = time.perf_counter()
        updates = []
        for update in session:
            updates.append(update)
            if time.perf_counter() - begin > 3:
                session.stop()
    counts = {name: notice.counts for name, notice in closes(updates).items()}
    bad = [each.dropped["scores not finite"] for each in counts.values()]
    turns = [lost + each.labelled for lost, each in zip(bad, counts.values(), strict=True)]
    assert sorted(map(bool, bad)) == [False, False, True]  # the one that was opened first
    assert max(turns) - min(turns) <= 2


def test_every_frame_is_in_the_counts_even_if_the_loop_is_left():
    session = Watch(engine())
    for n in range(4):
        session.add(Camera(f"{n}", live=False))
    for update in session:
        if update.prediction and update.prediction.frames_since_reset == 3:
            break
    session.stop()
    rest = list(session)
    for notice in closes(rest).values():
        assert_adds_up(notice)
    assert len(closes(rest)) == 4

    def work(slots):
        raise KeyboardInterrupt

    session = Watch(Engine(NullRuntime(work)))
    session.add(Camera("a", live=False))
    with pytest.raises(KeyboardInterrupt):
        list(session)
    session.stop()
    (notice,) = closes(session).values()
    assert_adds_up(notice)


def test_close_within_the_loop_and_a_source_that_cannot_stop():
    class Stubborn(Camera):
        def stop(self):
            raise RuntimeError("no")

    session = Watch(engine())
    for camera in (Camera("a"), Stubborn("b"), Camera("c")):
        session.add(camera)
    for update in session:
        if update.prediction:
            session.close()
    assert (session.streams, threads()) == ([], [])
    with pytest.raises(ValueError, match="this watch was stopped"):
        session.add(Camera("d"))


def test_streams_come_and_go_while_it_runs():
    with Watch(engine(), keep_open=True) as session:
        session.add(Camera("a"))
        seen = []

        def change():
            time.sleep(0.5)
            session.add(Camera("b"))
            session.add(Camera("a"))
            time.sleep(0.5)
            session.remove("a")
            time.sleep(0.5)
            session.stop()

        thread = threading.Thread(target=change)
        thread.start()
        seen.extend(session)
        thread.join()
    labelled = {name: [u for u in seen if u.stream == name and u.prediction] for name in ("a", "b", "a (2)")}
    assert all(len(updates) >= 4 for updates in labelled.values())
    assert labelled["a"][-1].prediction.time_seconds < labelled["a (2)"][-1].prediction.time_seconds + 0.5
    order = [u.stream for u in seen if u.notice and u.notice.event == "close"]
    assert order[0] == "a"
    with pytest.raises(ValueError, match="no stream 'c' is watched"):
        session.remove("c")


def threads():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("feed of")]


def children():
    """The readers of live sources."""
    server = process._current._process.pid
    return Path(f"/proc/{server}/task/{server}/children").read_text().split()


def test_close_takes_less_than_two_seconds_in_any_state(monkeypatch):
    """Connecting, stalled, waiting to connect again, with a full queue, with a silent pipe, and while frames come."""
    read, write = os.pipe()
    with silent_server() as port, rtsp_server({"cam": ball(), "stalled": ball()}) as server:
        session = Watch(engine(), connection=Connection(open_seconds=60, stall_seconds=60, read_seconds=60))
        with os.fdopen(read) as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            for source in [
                f"rtsp://127.0.0.1:{port}/connecting",
                f"http://127.0.0.1:{port}/connecting",
                f"rtsp://127.0.0.1:{free_port()}/refused",
                server.address("cam"),
                server.address("stalled"),
                "-",
                Camera("full", live=False),
            ]:
                session.add(source)
            begin = time.perf_counter()
            for _ in session:
                if time.perf_counter() - begin > 3:
                    break
            server.stop()
            time.sleep(1)
            assert len(threads()) == 7
            assert len(children()) >= 4
            begin = time.perf_counter()
            session.close()
            took = time.perf_counter() - begin
        os.close(write)
        server.go_on()
    assert took < 2
    assert (threads(), children(), session.streams) == ([], [], [])


def test_a_source_that_does_not_let_go_is_left_behind():
    let_go = threading.Event()

    class Stuck(Source):
        def __iter__(self):
            let_go.wait(20)
            yield from ()

    with Watch(engine()) as session:
        session.add(Stuck("stuck"))
        session.add(Camera("fine"))
        list(islice(session, 3))
        begin = time.perf_counter()
        session.close()
        assert time.perf_counter() - begin < 3
    let_go.set()


def resources():
    """Resident memory in bytes, threads and open files of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), threading.active_count(), len(os.listdir("/proc/self/fd"))


@pytest.mark.slow
def test_nothing_grows(tmp_path, monkeypatch):
    """20,000 frames of four live sources that end and come back all the time."""
    monkeypatch.setattr("actionstream.live.reconnect.wait_seconds", lambda failures: 0.01)
    path = write_video(tmp_path / "camera.mkv", images(400))
    session = Watch(Engine(NullRuntime()), policy="every")
    with session:
        for n in range(4):
            session.add(
                ProcessSource(f"camera {n}", partial(CameraSource, str(path)), Connection()), name=f"camera {n}"
            )
        frames, reconnects, before = 0, 0, None
        for update in session:
            frames += update.frame is not None
            reconnects += update.notice is not None and update.notice.event == "reconnect"
            if frames == 4000 and before is None:
                before = resources()
            if frames == 24_000:
                after = resources()
                break
    assert reconnects > 40
    assert after[0] - before[0] < 20e6
    assert abs(after[1] - before[1]) <= 1
    assert abs(after[2] - before[2]) <= 8  # a connection may just be made or ended


def test_frames_are_prepared_where_they_are_read(tmp_path, monkeypatch):
    one, two = (write_video(tmp_path / f"{n}.mkv", images(40 + n, n), rate=20 + 10 * n) for n in range(2))
    where = Counter()

    def prepare(machine, frame, prepare=Engine.prepare):
        where[frame.stream, threading.current_thread().name] += 1
        return prepare(machine, frame)

    monkeypatch.setattr(Engine, "prepare", prepare)
    with Watch(engine(), connection=Connection(retries=0)) as session:
        for source in (one, two, Camera("camera", count=20)):
            session.add(source)
        updates = list(session)
    names = {"0.mkv": 40, "1.mkv": 41, "camera": 20}
    assert where == {(name, f"feed of {name}"): count for name, count in names.items()}
    for name in names:
        assert_as_alone([update for update in updates if update.stream == name])


def test_a_stream_that_is_prepared_ahead_gets_over_a_bad_score():
    """Those that were prepared already are none the worse, though the state stays bad until it is emptied."""
    steps, bad = count(), []

    def work(slots):
        bad.extend([slots[0]] if next(steps) == 20 else [])
        return np.nan if bad else None

    runtime = NullRuntime(work)
    runtime.reset = lambda slot: bad.clear()
    with Watch(Engine(runtime)) as session:
        session.add(Camera("file", live=False, rate=1 / INTERVAL, count=100))
        updates = list(session)
    resets = [u.prediction.reset for u in updates if u.prediction and u.prediction.reset]
    assert resets == ["start", "scores not finite"]
    counts = updates[-1].notice.counts
    assert (counts.labelled, counts.dropped) == (99, {"scores not finite": 1})


def test_a_stream_that_cannot_be_opened_leaves_the_files_of_others_whole(monkeypatch):
    machine = Engine(NullRuntime())
    opening, sinks = machine.open, {name: Kept() for name in "ab"}

    def full(name, **options):
        if name == "b":
            raise MemoryError("no room for another state")
        return opening(name, **options)

    monkeypatch.setattr(machine, "open", full)
    session = Watch(machine)
    for name, sink in sinks.items():
        session.add(Camera(name, live=False, count=50), name=name, sinks=lambda _, sink=sink: [sink])
    with pytest.raises(MemoryError):
        list(session)
    session.close()
    assert [sink.closed for sink in sinks.values()] == [True, True]
    assert session.streams == []


class Kept:
    closed = False

    def push(self, update): ...

    def close(self):
        self.closed = True


def test_watch_in_python(tmp_path):
    one = write_video(tmp_path / "one.mkv", images(30))
    two = write_video(tmp_path / "two.mkv", images(60))
    two.write_bytes(two.read_bytes()[: two.stat().st_size // 2])
    predictions = []
    with pytest.raises(SourceError, match=r"^two.mkv is cut short"):
        predictions.extend(watch(one, two))
    seen = [prediction.stream for prediction in predictions]
    assert seen.count("one.mkv") == 15
    assert 5 < seen.count("two.mkv") < 25
    with pytest.raises(ValueError, match="no source to watch"):
        watch()
    with pytest.raises(ValueError, match="no policy 'oldest'; there are auto, newest, every"):
        watch(one, policy="oldest")
    with Watch(engine()) as session:
        session.add(one, name="x")
        with pytest.raises(ValueError, match="a stream 'x' is watched already"):
            session.add(one, name="x")


def test_nothing_runs_before_it_is_asked_for(tmp_path):
    one = write_video(tmp_path / "one.mkv", images(3))
    predictions = watch(one, f"rtsp://127.0.0.1:{free_port()}/x")
    assert (threads(), children()) == ([], [])
    del predictions
