"""Thresholds that are chosen on footage without action, and the false starts counted there."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionstream.models.common.errors import ActionstreamError
from actionstream.scoring import EventDetector, Smoother
from actionstream.scoring.calibration import GRID, FalseStarts, count_false_starts, poisson_interval

INTERVAL = 0.1


def stream(seed, length=40, num_labels=3):
    scores = np.random.default_rng(seed).normal(size=(length, num_labels)).cumsum(axis=0)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32), np.arange(length) * INTERVAL


def by_an_event_detector(streams, labels, thresholds):
    starts = dict.fromkeys(labels, 0)
    for probabilities, times in streams:
        smoother, detector = Smoother(0.3), EventDetector("", labels, start=thresholds, background="nothing")
        for row, seconds in zip(probabilities, times, strict=True):
            for event in detector.push(smoother.push(row, seconds), seconds):
                starts[event.label] += event.event == "start"
    return starts


def test_counts_are_those_of_the_engine():
    labels = ("wave", "nothing", "clap")
    streams = [stream(seed) for seed in range(4)]
    found = count_false_starts(streams, labels, background="nothing", interval_seconds=INTERVAL)
    assert (found.labels, found.seconds) == (("wave", "clap"), pytest.approx(4 * 40 * INTERVAL))
    assert 0 < found.at(0.6) < found.at(0.3)
    for threshold in (0.05, 0.3, 0.6, 0.61, 0.97):
        starts = by_an_event_detector(streams, labels, threshold)
        assert found.at(threshold) == sum(starts.values())
        assert found.only("clap").at(threshold) == starts["clap"]
    starts = by_an_event_detector(streams, labels, {"wave": 0.4, "*": 0.8})
    assert found.at({"wave": 0.4, "*": 0.8}) == sum(starts.values())


columns = st.lists(st.integers(0, 5), min_size=len(GRID), max_size=len(GRID))


@given(st.lists(columns, min_size=1, max_size=4), st.integers(1, 20))
def test_the_promise_is_kept_and_lower_thresholds_would_break_it(counts, allowed):
    labels = tuple(f"label {number}" for number in range(len(counts)))
    falling = np.sort(np.array(counts).T, axis=0)[::-1]
    falling[-1] = 0
    found = FalseStarts(labels, falling, seconds=3600.0)
    chosen = found.choose(allowed)
    assert set(chosen) == set(labels)
    assert found.at(chosen) <= allowed
    for label, number in chosen.items():
        place = int(np.searchsorted(GRID, number - 1e-9))
        assert place == 0 or found.at({**chosen, label: float(GRID[place - 1])}) > allowed


def test_starts_are_shared_evenly():
    """A label that starts often does not take what others could have."""
    often, seldom = np.arange(len(GRID))[::-1], np.arange(len(GRID))[::-1] // 10
    found = FalseStarts(("often", "seldom"), np.stack([often, seldom], axis=1), seconds=3600.0)
    chosen = found.choose(8)
    assert [found.only(label).at(chosen[label]) for label in ("often", "seldom")] == [4, 4]
    quiet = FalseStarts(("often", "never"), np.stack([often, 0 * often], axis=1), seconds=3600.0)
    assert quiet.choose(8) == {"often": pytest.approx(GRID[-9]), "never": pytest.approx(GRID[0])}


def test_a_lower_threshold_that_joins_two_starts_is_no_way_around():
    """At a threshold that is always reached there is one start, which lasts for ever."""
    counts = np.r_[np.ones(20), np.full(30, 9), np.zeros(len(GRID) - 50)].astype(int)[:, None]
    assert FalseStarts(("wave",), counts, seconds=3600.0).choose(2)["wave"] == pytest.approx(GRID[50])


def test_footage_that_is_too_short_for_a_promise():
    found = FalseStarts(("wave",), np.zeros((len(GRID), 1), int), seconds=120.0)
    with pytest.raises(
        ActionstreamError, match=r"2\.0 minutes, .* 10 false .* expected 6 minutes .* or 30 false starts"
    ):
        found.choose(10)
    assert found.choose(30) == {"wave": GRID[0]}


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.39), (100, 81.36, 121.63)]
)
def test_poisson_intervals(count, low, high):
    """Values of Garwood's table (Biometrika 28, 1936)."""
    assert poisson_interval(count) == (pytest.approx(low, rel=1e-3), pytest.approx(high, rel=1e-3))
