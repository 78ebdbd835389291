"""The sampler keeps the model's rhythm whatever the source's, and knows when the state is of no use."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionstream.sampler import Pace, Sampler, Shortfall

SIZE = (48, 64)
INTERVAL = 1 / 15


def picked(times, interval=INTERVAL, **options):
    sampler = Sampler(interval, **options)
    decisions = [sampler.push(time, SIZE) for time in times]
    assert [d.reset for d in decisions] == ["start"] + [None] * (len(times) - 1)
    return [time for time, decision in zip(times, decisions, strict=True) if decision.sampled]


@pytest.mark.parametrize(("rate", "every"), [(15, 1), (30, 2), (60, 4), (120, 8)])
def test_whole_multiples(rate, every):
    times = [n / rate for n in range(10 * rate)]
    assert picked(times) == times[::every]


@pytest.mark.parametrize("rate", [24, 25, 29.97, 50])
def test_other_rates_stay_on_the_ticks(rate):
    times = [n / rate for n in range(round(20 * rate))]
    chosen = np.array(picked(times))
    assert len(chosen) == pytest.approx(20 * 15, abs=1)
    ticks = np.arange(len(chosen)) * INTERVAL
    assert np.abs(chosen - ticks).max() <= 0.5 / rate + 1e-6


def test_variable_rate():
    random = np.random.default_rng(0)
    times = list(np.cumsum(random.uniform(0.005, 0.04, 4000)))
    chosen = np.array(picked(times))
    assert np.diff(chosen).mean() == pytest.approx(INTERVAL, rel=0.01)
    assert np.diff(chosen).min() > INTERVAL / 3


def test_a_slower_source_is_taken_whole():
    times = [n / 10 for n in range(50)]
    assert picked(times) == times


def test_after_a_short_pause_there_is_no_burst():
    times = [n / 30 for n in range(30)] + [1.3 + n / 30 for n in range(30)]
    chosen = np.array(picked(times))
    assert np.diff(chosen).min() > INTERVAL / 2


@given(st.lists(st.floats(0.001, 0.4), min_size=1, max_size=60), st.floats(0.02, 0.5))
def test_never_faster_than_the_rhythm_by_more_than_half(steps, interval):
    times = list(np.cumsum(steps))
    chosen = picked(times, interval, gap_seconds=10.0)
    assert chosen[0] == times[0]
    span = times[-1] - times[0]
    assert len(chosen) <= span / interval + 2


@pytest.mark.parametrize(
    ("time", "size", "reason"),
    [
        (1.0 + 0.54, SIZE, "gap"),
        (1.0 + 0.53, SIZE, None),
        (1.0, SIZE, "jump back"),
        (0.2, SIZE, "jump back"),
        (1.0 + 1 / 30, (64, 48), "new size"),
    ],
)
def test_reasons_to_reset(time, size, reason):
    sampler = Sampler(INTERVAL)
    for n in range(31):
        sampler.push(n / 30, SIZE)
    decision = sampler.push(time, size)
    assert decision.reset == reason
    if reason:
        assert decision.sampled
        following = sampler.push(time + INTERVAL, size)
        assert following.sampled
        assert following.reset is None


@pytest.mark.parametrize(
    ("sizes", "resets"),
    [
        ([(240, 320), (241, 318), (238, 322), (240, 320)], []),
        ([(240, 320), (320, 240)], [1]),
        ([(1000, 2000), (1020, 1960), (980, 2040)], []),
        ([(1000, 2000), (1021, 2000)], [1]),
        ([(48, 64), (52, 60), (48, 69)], [2]),
        ([(240, 320), (244, 320), (248, 320), (252, 320)], [2]),  # it grows: the size at the last reset is what counts
        ([(240, 320), (480, 640), (481, 640), (240, 320)], [1, 3]),
    ],
)
def test_a_size_that_differs_a_little_is_no_other(sizes, resets):
    sampler = Sampler(INTERVAL)
    found = [sampler.push(n * INTERVAL, size).reset for n, size in enumerate(sizes)]
    assert found == ["start", *("new size" if n in resets else None for n in range(1, len(sizes)))]


def told(times, interval=INTERVAL):
    """What is said of frames at these times, and with which of them (the last number: at the end)."""
    pace = Pace("film.mp4", interval)
    said = [*map(pace.push, times), pace.flush()]
    return [(n, what) for n, what in enumerate(said) if what]


@pytest.mark.parametrize(
    ("rate", "words"), [(1, "1 frame a second"), (0.5, "0.5 frames a second"), (7.5, "7.5 frames a second")]
)
def test_a_slow_source_is_told_of_once(rate, words):
    expected = f"film.mp4 has {words}; the model was trained on 15: labels may be wrong; use a faster source"
    assert told([n / rate for n in range(100)]) == [(15, expected)]
    assert told([n / rate for n in range(4)]) == [(4, expected)]


def kept_up(replaced, seconds=60.0):
    """What is said, and when, where 15 frames a second are sampled, and so many of 15 are replaced."""
    shortfall = Shortfall("camera")
    frames = range(int(15 * seconds))
    said = [(n / 15, shortfall.push(n / 15, n, sum(replaced(each / 15) for each in range(n)) // 15)) for n in frames]
    return [(time, what) for time, what in said if what]


def test_a_model_that_is_too_slow_is_told_of_once():
    ((time, what),) = kept_up(lambda _: 12)
    assert (time, what[:56]) == (30, "camera: the model is too slow for this machine: 45 of 22")
    assert kept_up(lambda _: 7) == []
    assert kept_up(lambda time: 15 if time < 14 else 0) == []  # it is exported meanwhile
    assert [time for time, _ in kept_up(lambda time: 15 if time > 30 else 0)] == [45]


def test_gaps_and_slow_beginnings_make_no_source_slow():
    for rate in (10, 12, 15, 30, 60):
        assert told([round(n / rate, 3) for n in range(100)]) == []
    with_gaps = np.cumsum([3.0 if n % 3 == 0 else 1 / 30 for n in range(40)])
    assert told(with_gaps) == []
    assert told([0.0, 2.0, 4.0, *(4 + n / 30 for n in range(1, 40))]) == []
    assert told([0.0]) == told([0.0, 5.0]) == told([]) == []


def test_gap_can_be_set():
    sampler = Sampler(0.1, gap_seconds=3.0)
    assert sampler.push(0.0, SIZE).reset == "start"
    assert sampler.push(2.9, SIZE).reset is None
    assert sampler.push(6.0, SIZE).reset == "gap"


def test_refuses_no_interval():
    with pytest.raises(ValueError, match="interval_seconds is 0"):
        Sampler(0)
