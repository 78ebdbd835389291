"""Two simple ways to detect."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionstream.evaluation.baselines import thresholded_scores, uniform_segments
from actionstream.results import Segment


def test_uniform_segments():
    found = uniform_segments(np.array([0.2, 0.7, 0.1]), ("a", "b", "none"), duration_seconds=20, background="none")
    assert len(found) == 20
    assert found[:2] == [Segment(0, 2, "a", 0.2), Segment(2, 4, "a", 0.2)]
    assert found[-1] == Segment(18, 20, "b", 0.7)


def test_stretches_of_raw_scores():
    """One class that comes twice, one that goes on over a gap, one at the end, and the background."""
    times = np.array([0.0, 0.1, 0.2, 0.3, 5.0, 5.1])
    scores = np.array([[0.5, 0.9, 0.1, 0.6, 0.2, 0.2], [0, 0, 0, 0.7, 0.9, 0], [0, 0, 0, 0, 0, 1], [1] * 6]).T
    found = thresholded_scores(scores, times, ("a", "b", "c", "none"), interval_seconds=0.1, background="none")
    expected = [(0, 0.2, "a", 0.7), (0.3, 0.4, "a", 0.6), (0.3, 0.4, "b", 0.7), (5, 5.1, "b", 0.9), (5.1, 5.2, "c", 1)]
    for segment, (start, end, label, score) in zip(found, expected, strict=True):
        assert (segment.start_seconds, segment.end_seconds, segment.score) == pytest.approx((start, end, score))
        assert segment.label == label


def test_no_stretch_goes_over_a_row_that_begins_anew():
    times, scores = np.array([0.0, 0.1, 0.15, 0.25]), np.ones((4, 1))
    begins_anew = np.array([False, False, True, False])
    found = thresholded_scores(scores, times, ("a",), interval_seconds=0.1, background=None, begins_anew=begins_anew)
    assert [(each.start_seconds, each.end_seconds) for each in found] == [(0, 0.15), (0.15, 0.35)]


@given(st.lists(st.sampled_from([0.0, 0.49, 0.5, 1.0]), min_size=1, max_size=30), st.data())
def test_each_row_is_in_a_stretch_if_and_only_if_it_reaches_the_threshold(column, data):
    steps = data.draw(st.lists(st.sampled_from([0.1, 0.2, 3.0]), min_size=len(column), max_size=len(column)))
    times = np.cumsum(steps)
    found = thresholded_scores(np.array(column)[:, None], times, ("a",), interval_seconds=0.1, background=None)
    for time_seconds, score in zip(times, column, strict=True):
        inside = [s for s in found if s.start_seconds <= time_seconds < s.end_seconds]
        assert len(inside) == (score >= 0.5)
    for one, next_one in pairwise(found):
        assert one.end_seconds <= next_one.start_seconds
