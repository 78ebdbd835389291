"""The engine: one state for each stream, whoever else is there and however they come and go."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import SIZE, images, random_card, random_network
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from precision import apart, float64_bound

from actionstream import Engine, Frame
from actionstream.models.weights.loading import load
from actionstream.runtimes.eager import TorchRuntime

CARD = random_card()
NETWORK = random_network(CARD)
PICTURES = images(8, height=SIZE, width=SIZE)


def engine(**options):
    return Engine(TorchRuntime(NETWORK, CARD, device="cpu", num_slots=2), **options)


def offline(pictures, network=NETWORK, card=CARD):
    """Probabilities of one offline call over the pictures, (T, K), and how far from them live may be."""
    clip = torch.from_numpy(np.stack([card.preprocessing.resize(picture) for picture in pictures]))[None]
    return float64_bound(network, card.preprocessing.normalise(clip), of=lambda scores: card.probabilities(scores[0]))


_, LIMIT = offline(PICTURES)


def check(row, pictures):
    """The row is the last one of an offline call over the pictures."""
    assert apart(row.probabilities, offline(pictures)[0][-1]) < LIMIT


def test_scores_are_those_of_one_offline_call(checkpoint):
    machine = Engine(checkpoint, device="cpu")
    network, card = load(checkpoint)
    stream = machine.open("door")
    pictures = images(9)
    rows = [machine.push(stream, picture, n * 0.1) for n, picture in enumerate(pictures)]
    expected, limit = offline(pictures, network, card)
    assert apart(np.stack([row.probabilities for row in rows]), expected) < limit
    assert [row.frames_since_reset for row in rows] == list(range(1, 10))
    assert [row.reset for row in rows] == ["start"] + [None] * 8
    assert [row.frame for row in rows] == list(range(9))
    assert all(row.latency_ms > 0 for row in rows)
    top = rows[0].top(2)
    assert [label.score for label in top] == sorted(rows[0].probabilities, reverse=True)[:2]
    assert top[0].label == card.labels[expected[0].argmax()]


def test_frames_between_samples_are_passed_over():
    machine = engine()
    stream = machine.open()
    rows = [machine.push(stream, PICTURES[n % 8], n / 30) for n in range(12)]
    assert [n for n, row in enumerate(rows) if row] == [0, 3, 6, 9]
    check(rows[9], [PICTURES[n % 8] for n in (0, 3, 6, 9)])


def test_a_reset_while_a_prepared_frame_is_scored_also_holds_for_copies():
    machine = engine()
    stream = machine.open()
    machine.push(stream, PICTURES[0], 0.0)
    frame = Frame(stream=stream, index=1, time_seconds=0.1, picture=PICTURES[1])
    prepared = machine.prepare(frame)
    machine.reset(stream)  # as by another thread, between the preparation and the scores
    (row,) = machine.score([(frame, prepared)])
    check(row, PICTURES[:2])
    twin = machine.fork(stream)
    for name in (stream, twin):
        row = machine.push(name, PICTURES[2], 0.2)
        assert row.reset == "start", name
        check(row, PICTURES[2:3])


def test_a_gap_empties_the_state():
    machine = engine()
    stream = machine.open()
    for n in range(4):
        machine.push(stream, PICTURES[n], n * 0.1)
    after = machine.push(stream, PICTURES[4], 9.0)
    assert after.reset == "gap"
    assert after.frames_since_reset == 1
    check(after, [PICTURES[4]])


def test_no_event_before_the_context():
    machine = engine(threshold=0.0, min_duration_seconds=0.0)
    stream = machine.open()
    rows = [machine.push(stream, PICTURES[n], n * 0.1) for n in range(3)]
    assert CARD.context == 1
    assert rows[0].events == ()
    assert {event.label for event in rows[1].events} == set(CARD.labels)
    ended = machine.push(stream, PICTURES[0], 50.0).events
    assert {(event.event, event.time_seconds) for event in ended} == {("end", 0.2)}


def test_there_is_no_label_until_the_warm_up_is_over():
    """After each reset, whatever its reason; and no score that is above a threshold."""
    machine = Engine(TorchRuntime(NETWORK, replace(CARD, context=3), device="cpu"), threshold=0.0, end_threshold=0.0)
    stream = machine.open()
    turned = [np.ascontiguousarray(picture[: SIZE // 2]) for picture in PICTURES]
    times = np.arange(6) * 0.1
    parts = {"start": times, "gap": 5 + times, "jump back": 1 + times, "new size": 1.6 + times}
    for why, part in parts.items():
        pictures = turned if why == "new size" else PICTURES
        rows = [machine.push(stream, picture, time) for picture, time in zip(pictures, part, strict=False)]
        assert rows[0].reset == why
        assert [row.warming_up for row in rows] == [True] * 3 + [False] * 3
        assert [row.label is None for row in rows] == [True] * 3 + [False] * 3
        assert [row.score > 0 for row in rows] == [False] * 3 + [True] * 3
        assert not any(event.event == "start" for row in rows[:3] for event in row.events)
        assert all(np.isfinite(row.scores).all() and len(row.top(4)) == 4 for row in rows)
        assert [row.to_dict()["warming_up"] for row in rows] == [row.warming_up for row in rows]
    machine.reset(stream)
    assert machine.push(stream, PICTURES[0], 9.0).label is None


def test_without_context_there_is_no_warm_up():
    machine = Engine(TorchRuntime(NETWORK, replace(CARD, context=0), device="cpu"))
    row = machine.push(machine.open(), PICTURES[0], 0.0)
    assert (row.warming_up, row.label) == (False, CARD.labels[row.smoothed.argmax()])


def test_flush_ends_events_and_asks_for_a_reset():
    machine = engine(threshold=0.0, min_duration_seconds=0.0)
    stream = machine.open()
    for n in range(3):
        machine.push(stream, PICTURES[n], n * 0.1)
    assert {(event.event, event.time_seconds) for event in machine.flush(stream)} == {("end", 0.2)}
    with pytest.raises(ValueError, match=r"was flushed; reset\(\) it before pushing more"):
        machine.push(stream, PICTURES[3], 0.3)
    machine.reset(stream)
    row = machine.push(stream, PICTURES[3], 0.3)
    assert row.reset == "start"
    check(row, [PICTURES[3]])


def test_refuses_what_it_cannot_do():
    machine = engine()
    with pytest.raises(ValueError, match=r"no stream 'a' is open \(open: none\); open\(\) it first"):
        machine.push("a", PICTURES[0], 0.0)
    machine.open("a")
    with pytest.raises(ValueError, match="'a' is open already"):
        machine.open("a")
    with pytest.raises(ValueError, match="one frame of a stream"):
        machine.push_frames([Frame(stream="a", index=n, time_seconds=n, picture=PICTURES[0]) for n in range(2)])
    with pytest.raises(ValueError, match="this is uint8"):
        machine.push("a", PICTURES[0][..., 0], 0.0)
    with pytest.raises(ValueError, match="has the time nan"):
        machine.push("a", PICTURES[0], float("nan"))
    assert machine.push("a", PICTURES[0], 0.0) is not None
    machine.close("a")
    with pytest.raises(ValueError, match="no stream 'a' is open"):
        machine.close("a")


def test_a_network_that_needs_whole_clips_is_refused():
    card = random_card(shift="bi")
    with pytest.raises(ValueError, match='with shift "bi" needs whole clips and cannot label frame by frame'):
        TorchRuntime(random_network(card), card)


def test_a_network_in_training_mode_is_put_right():
    network = random_network(CARD)
    network.train()
    machine = Engine(TorchRuntime(network, CARD, device="cpu"))
    row = machine.push(machine.open(), PICTURES[0], 0.0)
    check(row, [PICTURES[0]])


def test_unknown_device(checkpoint):
    with pytest.raises(ValueError, match="no device 'tpu'; there are auto, cpu, cuda, mps"):
        Engine(checkpoint, device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device 'cuda' is not available here; use one of cpu"):
            Engine(checkpoint, device="cuda")


class Streams(RuleBasedStateMachine):
    """Random interleavings of all that an engine does, each stream against an oracle of its own.

    The oracle of a stream is the list of pictures since its last reset: its last score is that of one offline
    call over them.
    """

    names = Bundle("names")
    snapshots = Bundle("snapshots")

    @initialize()
    def begin(self):
        self.engine = engine()
        self.seen: dict[str, list[int]] = {}
        self.clock: dict[str, int] = {}

    @rule(target=names)
    def open(self):
        name = self.engine.open()
        self.seen[name], self.clock[name] = [], 0
        return name

    def _push(self, names, data):
        names = [name for name in dict.fromkeys(names) if name in self.seen]
        frames = []
        for name in names:
            picture = data.draw(st.integers(0, len(PICTURES) - 1))
            gap = bool(self.seen[name]) and data.draw(st.integers(0, 9)) == 0
            self.clock[name] += 100 if gap else 1
            self.seen[name] = [*([] if gap else self.seen[name]), picture]
            frames.append(Frame(stream=name, index=0, time_seconds=self.clock[name] * 0.1, picture=PICTURES[picture]))
        for name, row in zip(names, self.engine.push_frames(frames), strict=True):
            check(row, [PICTURES[n] for n in self.seen[name]])
            assert row.frames_since_reset == len(self.seen[name])

    @rule(names=st.lists(names, min_size=1, max_size=4), data=st.data())
    def push(self, names, data):
        self._push(names, data)

    @rule(name=names)
    def reset(self, name):
        if name in self.seen:
            self.engine.reset(name)
            self.seen[name] = []

    @rule(target=snapshots, name=names)
    def snapshot(self, name):
        if name not in self.seen:
            return None
        return self.engine.snapshot(name), list(self.seen[name]), self.clock[name]

    @rule(name=names, snapshot=snapshots)
    def restore(self, name, snapshot):
        if name in self.seen and snapshot is not None:
            self.engine.restore(name, snapshot[0])
            self.seen[name], self.clock[name] = list(snapshot[1]), snapshot[2]

    @rule(target=names, name=names)
    def fork(self, name):
        if name not in self.seen:
            return name
        twin = self.engine.fork(name)
        self.seen[twin], self.clock[twin] = list(self.seen[name]), self.clock[name]
        return twin

    @rule(name=names)
    def close(self, name):
        if name in self.seen:
            self.engine.close(name)
            del self.seen[name]

    @invariant()
    def knows_its_streams(self):
        if hasattr(self, "engine"):
            assert set(self.engine.streams) == set(self.seen)


TestStreams = Streams.TestCase
TestStreams.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


def test_settings_of_one_stream_change_from_its_next_frame_on():
    machine = engine(threshold=0.0, min_duration_seconds=0.0, smoothing_seconds=5.0)
    one, other = machine.open("one"), machine.open("other")
    for n in range(4):
        for stream in (one, other):
            machine.push(stream, PICTURES[n], n * 0.1)
    machine.adjust(one, threshold=1.0, smoothing_seconds=0.0)
    rows = {stream: machine.push(stream, PICTURES[4], 0.4) for stream in (one, other)}
    np.testing.assert_array_equal(rows[one].smoothed, rows[one].probabilities)
    assert np.abs(rows[other].smoothed - rows[other].probabilities).max() > 1e-3
    assert {event.event for event in rows[one].events} == {"end"}
    assert rows[other].events == ()
    with pytest.raises(ValueError, match=r"a threshold is a number from 0 to 1"):
        machine.adjust(one, threshold=1.5, smoothing_seconds=0.0)
