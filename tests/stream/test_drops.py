"""Frames that nobody takes in time: what the network needs of them comes with the next one; no score changes."""

import threading
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from helpers import LABELS, images, random_network
from hypothesis import given, settings
from hypothesis import strategies as st
from precision import apart
from preparing import prepare

from actionstream import Connection, Engine, Frame, Prediction, Skipped, Source
from actionstream.engine.scorer import Scorer
from actionstream.live.feed import Feed
from actionstream.models.card import Card
from actionstream.models.modality import open_modality
from actionstream.models.preprocessing import Preprocessing
from actionstream.runtimes.eager import TorchRuntime
from actionstream.runtimes.slots import SlotPool
from actionstream.sampler import Sampler

GAP_SECONDS = 0.8037  # no sum of the steps, so that rounding decides nothing
PICTURES = images(8, height=32, width=32)


def card_of(modality="rgb", interval_seconds=0.1, frame_seconds=0.1):
    stack = 1 if modality == "rgb" else 2
    return Card(
        network="tsm_mobilenet_v2",
        arguments={"num_classes": len(LABELS), "in_channels": 3 * stack, "width": 0.35},
        labels=LABELS,
        preprocessing=Preprocessing(height=32, width=32, modality=modality, stack=stack, mean=(127.5,), std=(127.5,)),
        interval_seconds=interval_seconds,
        frame_seconds=frame_seconds,
    )


CARDS = {
    "rgb": [card_of()],
    "rgb-difference": [card_of("rgb-difference", interval_seconds=0.3)],
    "two rhythms": [card_of(), card_of(interval_seconds=0.34, frame_seconds=0.34)],
    "rgb and a stack": [card_of(interval_seconds=0.2, frame_seconds=0.2), card_of("rgb-difference", 0.4, 0.1)],
}


def echo(snippet, state):
    """A network that forgets half of what it knows with each snippet: its scores, and the state after it."""
    state = 0.5 * state + snippet.reshape(len(LABELS), -1).mean(axis=1)
    return state, state


class Echo(SlotPool):
    """The runtime of `echo`."""

    chunk = 4

    def __init__(self, card):
        super().__init__(4)
        self.card = card
        self._states = np.full((4, len(LABELS)), np.nan)

    def step(self, snippets, slots):
        scores = np.empty((*snippets.shape[:2], len(LABELS)), np.float32)
        for stream, slot in enumerate(slots):
            for time, snippet in enumerate(snippets[stream]):
                scores[stream, time], self._states[slot] = echo(snippet, self._states[slot])
        return scores

    def reset(self, slot):
        self._states[slot] = 0

    def read(self, slot):
        return self._states[slot].copy()

    def write(self, slot, state):
        self._states[slot] = state

    def _grow(self):
        self._states = np.concatenate([self._states, np.full_like(self._states, np.nan)])


class Let(Source):
    """A live source whose frames the test makes, one at a time."""

    live = True

    def __init__(self):
        super().__init__("let")
        self.frame, self.asked, self.made = None, threading.Semaphore(0), threading.Semaphore(0)

    def __iter__(self):
        while True:
            self.asked.release()
            assert self.made.acquire(timeout=10)
            if self.frame is None:
                return
            yield self.frame

    def put(self, frame):
        """Returns when the frame waits in the feed, or was dropped there."""
        self.frame = frame
        self.made.release()
        assert self.asked.acquire(timeout=10)

    def stop(self):
        self.frame = None
        self.made.release()


@dataclass
class Oracle:
    """One stream, by the book: which frames each network wants of all that came, and its scores of those not dropped.

    `since` has the sampled frames after the one that was scored last: their times, resets and snippets.
    """

    cards: list
    networks: list  # for each: snippet and state to scores and state
    empty: object  # the state to begin with
    weights: list
    since: list = field(default_factory=list)
    scored_seconds: float = 0.0
    told: str | None = None
    age: int = 0

    def __post_init__(self):
        self.start()
        self.forget()

    def start(self):
        self.samplers = [Sampler(card.frame_seconds, GAP_SECONDS) for card in self.cards]
        self.stages = [open_modality(c.preprocessing, interval_seconds=c.interval_seconds) for c in self.cards]

    def forget(self):
        self.states, self.last = [self.empty] * len(self.cards), [None] * len(self.cards)

    def see(self, frame):
        """Whether a network wants the frame."""
        size = frame.image.shape[:2]
        decisions = [s.push(frame.time_seconds, size, after_gap=frame.after_gap) for s in self.samplers]
        snippets = [None] * len(self.cards)
        for number, decision in enumerate(decisions):
            if decision.reset:
                self.stages[number].reset()
            if decision.sampled:
                snippets[number] = self.stages[number].push(frame.picture, frame.time_seconds)
        if not any(decision.sampled for decision in decisions):
            return False
        self.since.append((frame.time_seconds, decisions[0].reset, snippets))
        return True

    def score(self):
        """The frame that was seen last is taken: its scores or None, and the reset told with them."""
        begin = max((n for n, (_, reset, _) in enumerate(self.since) if reset), default=None)
        reset = None if begin is None else self.since[begin][1]
        time_seconds = self.since[-1][0]
        if begin is None and time_seconds - self.scored_seconds > GAP_SECONDS:
            reset = "gap"
        if reset:
            self.forget()
            self.told, self.age = reset, 0
        fresh = [False] * len(self.cards)
        for number in range(len(self.cards)):
            given = [snippets[number] for *_, snippets in self.since[begin or 0 :] if snippets[number] is not None]
            if given:
                self.last[number], self.states[number] = self.networks[number](given[-1], self.states[number])
                fresh[number] = True
        self.since, self.scored_seconds = [], time_seconds
        if not fresh[0] or any(scores is None for scores in self.last):
            return None
        self.age += 1
        told, self.told = self.told, None
        mean = sum(w * scores for w, scores in zip(self.weights, self.last, strict=True)) / sum(self.weights)
        return mean, told, self.age


class Stream:
    """A stream of an engine, its feed, and its oracle."""

    def __init__(self, machine, oracle):
        self.machine, self.oracle, self.source = machine, oracle, Let()
        self.name = machine.open()
        self.feed = Feed(self.name, self.source, threading.Condition(threading.RLock()), connection=Connection())
        self.feed.start(machine.prepare)
        assert self.source.asked.acquire(timeout=10)
        self.num = self.labelled = self.passed = 0
        self.seconds = 0.0
        self.waiting = None  # the index of the frame that waits, and whether it is sampled

    def put(self, step, small, after_gap):
        self.seconds += step
        picture = PICTURES[self.num % 8][: 24 if small else 32]
        frame = Frame(
            stream="", index=0, time_seconds=self.seconds, picture=picture, after_gap=after_gap and self.num > 0
        )
        self.source.put(frame)
        sampled = self.oracle.see(frame)
        if sampled or self.waiting is None or not self.waiting[1]:
            self.waiting = self.num, sampled
        self.num += 1

    def take(self):
        self.feed.notices()
        pair = self.feed.take()
        waiting, self.waiting = self.waiting, None
        assert (None if pair is None else (pair.frame.index, pair.prepared.sampled)) == waiting
        return pair

    def drop(self):
        self.feed.notices()
        if self.waiting is not None and self.waiting[1]:
            self.feed.drop(self.feed.peek(), "stale")
            self.waiting = None

    def check(self, pair, result, limit):
        expected = self.oracle.score() if pair.prepared.sampled else None
        if expected is None:
            assert isinstance(result, Skipped)
            assert result.reason == ("inside a stack" if pair.prepared.sampled else "between samples")
            self.passed += 1
            return
        scores, reset, age = expected
        assert isinstance(result, Prediction)
        assert (result.reset, result.frames_since_reset) == (reset, age)
        assert apart(result.scores, scores) < limit
        self.labelled += 1

    def check_counts(self):
        received, dropped = self.feed.counts()
        assert received == self.num == self.labelled + self.passed + dropped.total() + (self.waiting is not None)

    def end(self):
        self.feed.stop()
        self.feed.join()


def steps_of(times, resets, then):
    """Moves of a run: whose turn it is, seconds, a picture of another size, a new connection, and what is done then."""
    rare = st.integers(0, 9).map(lambda n: resets and n == 0)
    return st.tuples(st.integers(0, 1), st.sampled_from(times), rare, rare, st.sampled_from(then))


STEPS = st.lists(
    steps_of([1 / 30, 1 / 30, 0.05, 0.1, 0.1, 0.13, 0.3, 0.7, 1.0, -0.2], True, ["wait", "take", "drop", "reset"]),
    max_size=40,
) | st.lists(steps_of([0.05, 0.1, 0.13, 0.3], False, ["wait", "wait", "wait", "take", "drop"]), max_size=60)


def check_a_run(scorer, oracle, steps, limit):
    machine = Engine(scorer)
    streams = [Stream(machine, oracle()) for _ in range(2)]
    try:
        for turn, step, small, after_gap, then in [*steps, (0, 0.1, False, False, "take"), (1, 0.1, 0, 0, "take")]:
            stream = streams[turn]
            if then == "reset":
                machine.reset(stream.name)
                stream.oracle.start()
            stream.put(step, small, after_gap)
            if then == "drop":
                stream.drop()
            if then == "take":
                taken = [(each, pair) for each in streams if (pair := each.take())]
                results = machine.score([pair for _, pair in taken])
                for (each, pair), result in zip(taken, results, strict=True):
                    each.check(pair, result, limit)
            stream.check_counts()
    finally:
        for stream in streams:
            stream.end()


@pytest.mark.parametrize("kind", CARDS)
def test_whatever_is_dropped_scores_are_those_of_the_frames_that_are_not(kind):
    cards = CARDS[kind]
    weights = [1.0, 3.0][: len(cards)]
    scorer = Scorer(*map(Echo, cards), weights=weights, gap_seconds=GAP_SECONDS)

    @settings(max_examples=200, deadline=None)
    @given(STEPS)
    def check(steps):
        check_a_run(scorer, lambda: Oracle(cards, [echo] * len(cards), np.zeros(len(LABELS)), weights), steps, 1e-6)

    check()


@pytest.mark.parametrize("kind", ["rgb", "rgb-difference", "two rhythms"])
def test_the_same_of_real_networks(kind):
    cards = CARDS[kind]
    weights = [1.0, 3.0][: len(cards)]
    networks = [random_network(card, seed).eval() for seed, card in enumerate(cards)]
    runtimes = [TorchRuntime(net, card, device="cpu") for net, card in zip(networks, cards, strict=True)]

    def by_hand(network, card):
        def advance(snippet, state):
            frames = card.preprocessing.normalise(torch.from_numpy(snippet)[None, None])
            with torch.inference_mode():
                scores, state = network(frames, state)
            return scores[0, 0].numpy(), state

        return advance

    advance = [by_hand(network, card) for network, card in zip(networks, cards, strict=True)]

    @settings(max_examples=6, deadline=None)
    @given(STEPS)
    def check(steps):
        scorer = Scorer(*runtimes, weights=weights, gap_seconds=GAP_SECONDS)
        check_a_run(scorer, lambda: Oracle(cards, advance, None, weights), steps, 1e-4)

    check()


def prepared(seconds, *, snippets=(1,), reset=None, good_until_seconds=9.0):
    frame = Frame(stream="", index=1, time_seconds=seconds, picture=PICTURES[0])
    return replace(prepare(frame), snippets=snippets, reset=reset, good_until_seconds=good_until_seconds)


def test_a_frame_takes_over_from_the_one_that_was_dropped_before_it():
    older = prepared(1.0, snippets=(1, None, 3), good_until_seconds=1.5)
    newer = prepared(1.2, snippets=(None, 5, 6), good_until_seconds=1.7)
    both = newer.after(older)
    assert (both.snippets, both.reset, both.good_until_seconds) == ((1, 5, 6), None, 1.5)
    assert newer.after(replace(older, reset="start")).reset == "start"
    late = replace(newer, time_seconds=1.6)
    assert late.after(older).reset == "gap"
    assert late.after(replace(older, reset="new size")).reset == "new size"
    anew = replace(newer, reset="jump back")
    assert anew.after(replace(older, reset="gap")) is anew


def test_over_several_that_were_dropped_the_gap_is_from_the_one_that_was_scored():
    chain = [prepared(0.1 * n, good_until_seconds=0.1 * n + 0.4) for n in range(1, 8)]
    resets = []
    last = chain[0]
    for each in chain[1:]:
        last = each.after(last)
        resets.append(last.reset)
    assert resets == [None] * 4 + ["gap"] * 2


def test_a_snapshot_is_of_the_frame_that_was_scored_last_though_others_are_prepared():
    """Its rhythm and its stack, too; what was prepared since goes on as if nothing were."""
    scorer = Scorer(*map(Echo, CARDS["rgb and a stack"]))
    machine = Engine(scorer)
    stream, other = machine.open(), machine.open()
    frames = [Frame(stream=stream, index=n, time_seconds=n / 15, picture=PICTURES[n % 8]) for n in range(40)]
    pairs = [(frame, machine.prepare(frame)) for frame in frames]
    rows, moments = [], []
    for pair in pairs:
        rows += machine.score([pair])
        moments.append(machine.snapshot(stream))
    assert sum(isinstance(row, Prediction) for row in rows) > 8
    for begin in range(0, 39, 3):
        machine.restore(other, moments[begin])
        again = [machine.push_frames([replace(frame, stream=other)])[0] for frame in frames[begin + 1 :]]
        for one, two in zip(rows[begin + 1 :], again, strict=True):
            assert type(one) is type(two)
            assert isinstance(one, Skipped) or np.array_equal(one.scores, two.scores)


class Endless(Source):
    """A live source of 40 s, whose frames come at once; then it waits."""

    live = True

    def __init__(self):
        super().__init__("camera")
        self.waits, self.stopped = threading.Event(), threading.Event()

    def __iter__(self):
        for index in range(400):
            yield Frame(stream="", index=index, time_seconds=index / 10, picture=PICTURES[0])
        self.waits.set()
        self.stopped.wait(10)

    def stop(self):
        self.stopped.set()


def test_a_stream_that_nobody_takes_in_time_says_so_once():
    source = Endless()
    feed = Feed("camera", source, threading.Condition(threading.RLock()), connection=Connection())
    feed.start(prepare)
    assert source.waits.wait(10)
    said = [notice.reason for notice in feed.notices() if notice.event == "warning"]
    feed.stop()
    assert [text[:46] for text in said] == ["camera: the model is too slow for this machine"]
