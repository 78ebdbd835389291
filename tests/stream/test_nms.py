"""Suppression of segments that overlap."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actionstream.scoring import nms, soft_nms

TIMES = st.lists(st.integers(0, 10), min_size=2, max_size=2).map(sorted)
CASES = st.lists(st.tuples(TIMES, st.sampled_from([0.1, 0.2, 0.5, 1.0]), st.sampled_from("pqr")), max_size=25)
THRESHOLDS = st.sampled_from([0.0, 0.2, 1 / 3, 0.5, 1.0])


def iou(a, b):
    shared = min(a[1], b[1]) - max(a[0], b[0])
    return shared / (max(a[1], b[1]) - min(a[0], b[0])) if shared > 0 else 0.0


def by_loops(case, weigh, min_score):
    """One group after the other, one segment after the other; [(index, score)], best first."""
    found = []
    for group in {g for _, _, g in case}:
        left = {n: s for n, (_, s, g) in enumerate(case) if g == group and s >= min_score}
        while left:
            best = max(left, key=lambda n: (left[n], -n))
            found.append((best, left.pop(best)))
            left = {n: s * weigh(iou(case[best][0], case[n][0])) for n, s in left.items()}
            left = {n: s for n, s in left.items() if s >= min_score}
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def columns(case):
    times = np.array([t for t, _, _ in case], float).reshape(-1, 2)
    return times, np.array([s for _, s, _ in case]), np.array([g for _, _, g in case], str)


@settings(deadline=None)
@given(CASES, THRESHOLDS)
def test_nms_is_the_loop(case, threshold):
    times, scores, groups = columns(case)
    kept = nms(times, scores, iou_threshold=threshold, groups=groups)
    assert kept.tolist() == [n for n, _ in by_loops(case, lambda share: float(share <= threshold), 1e-9)]


@settings(deadline=None)
@given(CASES, THRESHOLDS, st.sampled_from([0.2, 0.5]), st.sampled_from([0.001, 0.15]))
def test_soft_nms_is_the_loop(case, threshold, sigma, min_score):
    times, scores, groups = columns(case)
    weights = {
        "linear": lambda share: 1 - share if share > threshold else 1.0,
        "gaussian": lambda share: np.exp(-(share**2) / sigma),
    }
    for method, weigh in weights.items():
        kept, lowered = soft_nms(
            times, scores, method=method, iou_threshold=threshold, sigma=sigma, min_score=min_score, groups=groups
        )
        expected = by_loops(case, weigh, min_score)
        assert sorted(kept.tolist()) == sorted(n for n, _ in expected)
        assert np.allclose(lowered, [s for _, s in expected], rtol=1e-12)
        again = dict(expected)
        assert np.allclose(lowered, [again[n] for n in kept.tolist()], rtol=1e-12)


def test_one_group_unless_told():
    times = np.array([[0, 10], [1, 10], [20, 30]])
    assert nms(times, np.array([0.5, 0.9, 0.1]), iou_threshold=0.5).tolist() == [1, 2]
    kept, scores = soft_nms(times, np.array([0.5, 0.9, 0.1]), method="linear")
    assert kept.tolist() == [1, 2, 0]
    assert scores == pytest.approx([0.9, 0.1, 0.05])


def test_of_equal_scores_the_first_wins():
    times, scores = np.array([[0, 10], [1, 10], [0, 10]]), np.full(3, 0.5)
    assert nms(times, scores, iou_threshold=0.5).tolist() == [0]


def test_what_reaches_the_threshold_exactly_stays():
    times, scores = np.array([[0.0, 4.0], [0.0, 2.0]]), np.array([0.9, 0.8])
    assert nms(times, scores, iou_threshold=0.5).tolist() == [0, 1]
    assert nms(times, scores, iou_threshold=0.49).tolist() == [0]


def test_a_score_of_zero_counts():
    assert nms(np.array([[0, 1], [5, 6]]), np.zeros(2), iou_threshold=0.5).tolist() == [0, 1]


def test_segments_of_zero_duration_stay():
    times = np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 2.0]])
    assert nms(times, np.array([0.3, 0.2, 0.1]), iou_threshold=0.0).tolist() == [0, 1, 2]


def test_a_score_that_falls_to_the_least_stays():
    times, scores = np.array([[0.0, 4.0], [0.0, 2.0]]), np.array([1.0, 0.5])
    assert soft_nms(times, scores, method="linear", min_score=0.25)[0].tolist() == [0, 1]


def test_nothing():
    assert nms(np.array([]), np.array([]), iou_threshold=0.5).tolist() == []
    kept, scores = soft_nms(np.empty((0, 2)), np.array([]))
    assert (kept.tolist(), scores.tolist()) == ([], [])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"segments": np.array([[2, 1]])}, "starts at 2.0 s and ends before, at 1.0 s"),
        ({"segments": np.array([[0, np.nan]])}, "not a finite number"),
        ({"scores": np.array([np.inf])}, "not a finite number"),
        ({"segments": np.zeros((1, 3))}, "do not fit together"),
        ({"groups": np.zeros(2)}, "do not fit together"),
        ({"iou_threshold": 1.5}, "IoU threshold is 1.5"),
        ({"iou_threshold": float("nan")}, "IoU threshold is nan"),
    ],
)
def test_bad_input(changed, message):
    arguments = {"segments": np.array([[0, 1]]), "scores": np.ones(1), "iou_threshold": 0.5, **changed}
    for suppress in (nms, soft_nms):
        with pytest.raises(ValueError, match=message):
            suppress(**arguments)


def test_bad_input_of_soft_nms():
    times, scores = np.array([[0, 1]]), np.ones(1)
    with pytest.raises(ValueError, match="no soft-NMS is called 'hard'"):
        soft_nms(times, scores, method="hard")
    with pytest.raises(ValueError, match="sigma is 0"):
        soft_nms(times, scores, sigma=0)
    with pytest.raises(ValueError, match="0 or more"):
        soft_nms(times, -scores)
