"""Smoothing and events in seconds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionstream.scoring import EventDetector, Smoother

NAMES = ("wave", "clap")


def smoothed(rows, seconds, step=0.1):
    smoother = Smoother(seconds)
    return np.array([smoother.push(np.array(row, np.float32), n * step) for n, row in enumerate(rows)])


def test_a_constant_stays():
    assert np.allclose(smoothed([[0.3, 0.7]] * 9, 0.5), [0.3, 0.7])


def test_a_step_fades_in_with_the_given_time():
    out = smoothed([[0.0]] * 100 + [[1.0]] * 11, 0.5)[:, 0]
    assert out[109] == pytest.approx(1 - np.exp(-10 * 0.1 / 0.5), abs=1e-3)


@given(st.lists(st.tuples(st.floats(0.01, 2.0), st.floats(0, 1)), min_size=1, max_size=30), st.floats(0.05, 3))
def test_equals_the_weighted_mean(steps, seconds):
    smoother = Smoother(seconds)
    times, values = np.cumsum([s for s, _ in steps]), np.array([v for _, v in steps])
    for n, (time, value) in enumerate(zip(times, values, strict=True)):
        out = smoother.push(np.array([value]), time)
        weights = np.exp(-(time - times[: n + 1]) / seconds)
        assert out[0] == pytest.approx((weights * values[: n + 1]).sum() / weights.sum(), abs=1e-5)


def test_nothing_is_smoothed_in_no_time():
    rows = np.random.default_rng(0).random((5, 2)).astype(np.float32)
    assert np.array_equal(smoothed(rows, 0), rows)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_refuses_odd_times(seconds):
    with pytest.raises(ValueError, match="smoothing time"):
        Smoother(seconds)
    with pytest.raises(ValueError, match="minimum duration"):
        EventDetector("s", NAMES, min_duration_seconds=seconds)
    with pytest.raises(ValueError, match=r"longest dip"):
        EventDetector("s", NAMES, max_dip_seconds=seconds)


def test_the_background_is_no_event():
    rows = [[0.9, 0.1]] * 5 + [[0.1, 0.9]] * 5
    assert events(rows, background="wave") == [("start", "clap", 0.5), ("end", "clap", 1.0)]
    detector = EventDetector("s", NAMES, background="wave")
    detector.set_thresholds(0.1)
    assert not detector.push(np.array([0.9, 0.0]), 0.0) + detector.push(np.array([0.9, 0.0]), 1.0)


def events(scores, *, step=0.1, **options):
    detector = EventDetector("s", NAMES, **options)
    found = []
    for n, row in enumerate(scores):
        found += detector.push(np.array(row), n * step)
    found += detector.flush(len(scores) * step)
    return [(event.event, event.label, round(event.time_seconds, 3)) for event in found]


def test_hysteresis():
    scores = [[s, 0] for s in (0.1, 0.7, 0.5, 0.35, 0.7, 0.2, 0.5, 0.1)]
    assert events(scores, start=0.6, end=0.3, min_duration_seconds=0) == [("start", "wave", 0.1), ("end", "wave", 0.5)]


def test_short_ones_are_no_events_and_long_ones_are_told_from_their_beginning():
    scores = [[s, 0] for s in (0, 0.9, 0.9, 0, 0.9, 0.9, 0.9, 0.9, 0)]
    assert events(scores, start=0.6, min_duration_seconds=0.25) == [("start", "wave", 0.4), ("end", "wave", 0.8)]


def test_an_open_event_ends_with_the_stream():
    assert events([[0, 0.9]] * 5, min_duration_seconds=0.2) == [("start", "clap", 0.0), ("end", "clap", 0.5)]


def test_a_short_dip_is_no_end_and_a_long_one_is_from_where_it_fell():
    scores = [[s, 0] for s in (0.9, 0.9, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.1)]
    options = {"start": 0.6, "min_duration_seconds": 0.1}
    assert events(scores, max_dip_seconds=0.25, **options) == [("start", "wave", 0.0), ("end", "wave", 0.5)]
    assert [kind for kind, *_ in events(scores, **options)] == ["start", "end"]
    # before its start is told a dip is an end, or a start would be told late
    late = [[s, 0] for s in (0.9, 0.1, 0.9, 0.9)]
    assert events(late, max_dip_seconds=0.5, **options) == [("start", "wave", 0.2), ("end", "wave", 0.4)]


def test_a_dip_that_the_stream_ends_in_is_the_end():
    assert events([[0.9, 0]] * 3 + [[0.1, 0]], max_dip_seconds=9) == [("start", "wave", 0.0), ("end", "wave", 0.3)]


def test_thresholds_for_each_class():
    scores = [[0.5, 0.5]] * 3
    found = events(scores, start={"wave": 0.4, "*": 0.8}, min_duration_seconds=0)
    assert [label for _, label, _ in found] == ["wave", "wave"]


@given(st.lists(st.floats(0, 1), max_size=60), st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.5))
def test_starts_and_ends_alternate(scores, a, b, duration):
    found = events([[s, 0] for s in scores], start=max(a, b), end=min(a, b), min_duration_seconds=duration)
    found = [event for event in found if event[1] == "wave"]
    kinds = [kind for kind, _, _ in found]
    assert kinds == ["start", "end"] * (len(kinds) // 2)
    times = [time for _, _, time in found]
    assert times == sorted(times)
    for begin, end in zip(times[::2], times[1::2], strict=True):
        assert end - begin >= duration - 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": float("nan")}, "a threshold is a number from 0 to 1, not nan"),
        ({"start": 1.5}, "not 1.5"),
        ({"start": 0.3, "end": 0.4}, "end threshold of 'wave' is above its start"),
        ({"start": {"jump": 0.5, "*": 0.5}}, "no label is called 'jump'"),
        ({"start": {"wave": 0.5}}, "no threshold for 'clap'"),
    ],
)
def test_refuses_odd_thresholds(options, message):
    with pytest.raises(ValueError, match=message):
        EventDetector("s", NAMES, **options)
