"""Segments of a live stream: told in time, and never revised."""

import copy
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from actionstream.results import OpenSegment, Segment
from actionstream.scoring import EventDetector, SegmentTracker
from actionstream.scoring.smoothing import Smoother

LABELS = ("wave", "clap", "nothing")
STEP = 0.1

levels = st.sampled_from([0.0, 0.2, 0.35, 0.65, 0.9])
steps = st.sampled_from([STEP, STEP, STEP, 0.15, 0.3, 1.5])
streams = st.lists(st.tuples(steps, st.tuples(levels, levels, levels)), min_size=1, max_size=50)
choices = st.fixed_dictionaries(
    {
        "smoothing_seconds": st.sampled_from([0.0, 0.2]),
        "min_duration_seconds": st.sampled_from([0.0, 0.1, 0.25]),
        "max_dip_seconds": st.sampled_from([0.0, 0.2, 0.5]),
        "background": st.sampled_from([None, "nothing"]),
    }
)


def tracker(**options):
    return SegmentTracker(LABELS, interval_seconds=STEP, **options)


def rows_of(stream):
    times = np.cumsum([step for step, _ in stream]).tolist()
    return [(np.array(row), time) for time, (_, row) in zip(times, stream, strict=True)]


def followed(subject, rows):
    """All that a tracker tells, with the time of the row that it comes with."""
    return [(time, news) for row, time in rows for news in subject.push(row, time)]


def scores(*values):
    return [(np.array([value, 0.0, 0.0]), n * STEP) for n, value in enumerate(values)]


def test_a_segment_from_announcement_to_close():
    subject = tracker(smoothing_seconds=0, min_duration_seconds=0.2, max_dip_seconds=0.2)
    rows = scores(0, 0.7, 0.8, 0.9, 0.1, 0.9, 0, 0, 0, 0)
    news = followed(subject, rows)
    assert [round(time, 3) for time, _ in news] == [0.3, 0.8]
    assert news[0][1] == OpenSegment(rows[1][1], "wave", pytest.approx(0.8))
    assert news[1][1] == Segment(rows[1][1], rows[6][1], "wave", pytest.approx(3.4 / 5))
    assert subject.flush() == []


def test_what_is_open_has_a_score_so_far():
    subject = tracker(smoothing_seconds=0)
    followed(subject, scores(0.7, 0.7, 0.7, 1.0))
    assert subject.open_segments == [OpenSegment(0.0, "wave", pytest.approx(3.1 / 4))]
    assert subject.flush() == [Segment(0.0, pytest.approx(4 * STEP), "wave", pytest.approx(3.1 / 4))]
    assert subject.open_segments == []


@examples(max_examples=60, deadline=None)
@given(streams, choices)
def test_told_within_the_delays_and_never_revised(stream, options):
    subject, rows = tracker(**options), rows_of(stream)
    news = followed(subject, rows)
    closed_at_end = subject.flush()
    times = [time for _, time in rows]

    def next_row(time):
        return min((t for t in times if t >= time - 1e-6), default=np.inf)

    announced, closed = {}, []
    for at, each in news + [(np.inf, each) for each in closed_at_end]:
        if isinstance(each, OpenSegment):
            assert each.label not in announced  # one at a time
            assert each.start_seconds <= at <= next_row(each.start_seconds + subject.announce_delay_seconds)
            announced[each.label] = each
        else:
            start = announced.pop(each.label)
            assert each.start_seconds == start.start_seconds < each.end_seconds
            assert at <= next_row(each.end_seconds + subject.close_delay_seconds)
            closed.append(each)
    assert announced == {}
    for label in LABELS:
        spans = [(each.start_seconds, each.end_seconds) for each in closed if each.label == label]
        assert spans == sorted(spans)
        assert all(end <= start + 1e-9 for (_, end), (start, _) in pairwise(spans))
        if label == options["background"]:
            assert spans == []


@examples(max_examples=60, deadline=None)
@given(streams, choices, st.data())
def test_a_copy_goes_on_alike(stream, options, data):
    rows = rows_of(stream)
    cut = data.draw(st.integers(0, len(rows)))
    whole, first = tracker(**options), tracker(**options)
    expected = followed(whole, rows)
    told = followed(first, rows[:cut])
    second = copy.deepcopy(first)
    followed(first, rows[cut:])  # leaves the copy alone
    assert told + followed(second, rows[cut:]) == expected
    assert second.open_segments == whole.open_segments
    assert second.flush() == whole.flush()


@examples(max_examples=60, deadline=None)
@given(streams, choices)
def test_scores_are_the_mean_inside(stream, options):
    subject, rows = tracker(**options), rows_of(stream)
    closed = [each for _, each in followed(subject, rows) if isinstance(each, Segment)] + subject.flush()
    smoother, smoothed, last = Smoother(options["smoothing_seconds"]), [], -np.inf
    for row, time in rows:
        if time - last > 0.8:
            smoother.reset()
        smoothed.append(smoother.push(row, time))
        last = time
    for each in closed:
        inside = [row for row, (_, t) in zip(smoothed, rows, strict=True) if each.start_seconds <= t < each.end_seconds]
        assert each.score == pytest.approx(np.mean(inside, axis=0)[LABELS.index(each.label)], abs=1e-6)


@examples(max_examples=60, deadline=None)
@given(streams, choices)
def test_after_a_reset_as_if_new(stream, options):
    rows = rows_of(stream)
    subject = tracker(**options)
    expected = followed(subject, rows), subject.flush()
    subject.reset()
    assert (followed(subject, rows), subject.flush()) == expected
    subject.reset()
    followed(subject, rows)
    subject.reset()  # without a flush, too
    assert (followed(subject, rows), subject.flush()) == expected


@examples(max_examples=60, deadline=None)
@given(streams)
def test_without_dips_it_is_the_detector(stream):
    rows = [(row, n * STEP) for n, (row, _) in enumerate(rows_of(stream))]
    subject, detector = tracker(smoothing_seconds=0, max_dip_seconds=0), EventDetector("", LABELS)
    segments = [each for _, each in followed(subject, rows) if isinstance(each, Segment)] + subject.flush()
    events = [event for row, time in rows for event in detector.push(row, time)]
    events += detector.flush(rows[-1][1] + STEP)
    starts, ends = ([e for e in events if e.event == kind] for kind in ("start", "end"))
    for label in LABELS:
        expected = zip(
            [e.time_seconds for e in starts if e.label == label],
            [e.time_seconds for e in ends if e.label == label],
            strict=True,
        )
        assert [(s.start_seconds, s.end_seconds) for s in segments if s.label == label] == list(expected)


def test_a_gap_ends_and_the_smoothing_does_not_reach_over_it():
    subject = tracker(min_duration_seconds=0, smoothing_seconds=5)
    subject.push(np.array([0.9, 0, 0]), 0.0)
    (closed,) = subject.push(np.array([0.1, 0, 0]), 2.0)
    assert closed == Segment(0.0, STEP, "wave", pytest.approx(0.9))
    assert subject.open_segments == []


def test_refuses_what_would_revise():
    subject = tracker()
    subject.push(np.zeros(3), 1.0)
    with pytest.raises(ValueError, match=r"a row at 1.0 seconds after one at 1.0: times increase; flush\(\) and reset"):
        subject.push(np.zeros(3), 1.0)
    with pytest.raises(ValueError, match=r"a row at nan seconds"):
        subject.push(np.zeros(3), float("nan"))
    with pytest.raises(ValueError, match=r"3 probabilities from 0 to 1, not \[0. 0.\]"):
        subject.push(np.zeros(2), 2.0)
    with pytest.raises(ValueError, match=r"3 probabilities from 0 to 1"):
        subject.push(np.array([0.0, np.nan, 1.0]), 2.0)
    subject.flush()
    with pytest.raises(ValueError, match=r"flushed; reset\(\) it before pushing more"):
        subject.push(np.zeros(3), 2.0)
    with pytest.raises(ValueError, match=r"no label is called 'rest'; there are wave"):
        tracker(background="rest")
    with pytest.raises(ValueError, match=r"the longest dip is -1 seconds"):
        tracker(max_dip_seconds=-1)
