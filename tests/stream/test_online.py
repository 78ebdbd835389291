"""Online action detection: frames and starts, against loops."""

import math

import numpy as np
import pytest
from evaluation import problems, segments, truth
from hypothesis import given, settings
from hypothesis import strategies as st

from actionstream.evaluation.online import frame_accuracy, frame_labels, row_labels, start_accuracy


def test_starts_are_rounded_down_and_ends_up():
    found = frame_labels(segments(("a", 0.45, 0.8, "x"), ("a", 1.0, 1.25, "y")), ["x", "y"], num_rows=6)
    assert found[:, 0].tolist() == [False, True, True, True, False, False]
    assert found[:, 1].tolist() == [False, False, False, False, True, False]


def test_the_edge_of_a_row_is_the_edge():
    """4.1 * 30 is a little less than 123, and 2.2 * 25 a little more than 55."""
    labels = frame_labels(segments(("a", 4.1, 4.2, "x")), ["x"], num_rows=150, frames_per_second=30, chunk=1)
    assert np.flatnonzero(labels).tolist() == [123, 124, 125]
    labels = frame_labels(segments(("a", 2.08, 2.2, "x")), ["x"], num_rows=150, frames_per_second=25, chunk=1)
    assert np.flatnonzero(labels).tolist() == [52, 53, 54]


def test_annotations_beyond_the_end_and_other_labels():
    labels = frame_labels(segments(("a", -0.25, 0.5, "x"), ("a", 0.75, 99, "x"), ("a", 0, 1, "z")), ["x"], num_rows=4)
    assert labels[:, 0].tolist() == [True, True, False, True]
    assert not frame_labels(segments(("a", -2, -1, "x"), ("a", 50, 60, "x")), ["x"], num_rows=4).any()


def test_rows_at_any_distance():
    starts, ends = np.array([0.0, 0.5, 2.0, 3.0]), np.array([0.5, 0.9, 3.0, 3.2])
    found = segments(
        ("a", 0.5 - 1e-9, 2.0 + 1e-9, "x"), ("a", 2.5, 2.6, "y"), ("a", 0.95, 1.5, "y"), ("a", 3.1, 0.2, "y")
    )
    labels = row_labels(found, ["x", "y"], starts_seconds=starts, ends_seconds=ends)
    assert labels.T.tolist() == [[False, True, False, False], [False, False, True, False]]


def test_bad_rows():
    with pytest.raises(ValueError, match="24 frames a second in chunks of 0"):
        frame_labels(segments(), ["x"], num_rows=4, frames_per_second=24, chunk=0)
    with pytest.raises(ValueError, match="a segment of video a has no start"):
        frame_labels(segments(("a", math.nan, math.nan, "x")), ["x"], num_rows=4)


def ap_by_loops(scores, holds):
    """AP and cAP where the frames of one score come together, score after score."""
    num_true = sum(holds)
    weight = (len(holds) - num_true) / num_true
    ap = calibrated = 0.0
    for score in set(scores):
        at = [h for s, h in zip(scores, holds, strict=True) if s == score]
        above = [h for s, h in zip(scores, holds, strict=True) if s >= score]
        true, false = sum(above), len(above) - sum(above)
        ap += sum(at) / num_true * true / (true + false)
        if sum(at):
            calibrated += sum(at) / num_true * (weight * true / (weight * true + false) if weight else 1.0)
    return ap, calibrated


FRAMES = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.9]), st.booleans()), min_size=1, max_size=40)


@settings(deadline=None)
@given(FRAMES.filter(lambda frames: any(h for _, h in frames)))
def test_frame_ap_is_the_loop(frames):
    scores, holds = np.array(frames).T
    accuracy = frame_accuracy(scores[:, None], holds[:, None] > 0)
    expected = ap_by_loops(scores.tolist(), holds.astype(int).tolist())
    assert (accuracy.map, accuracy.calibrated_map) == pytest.approx(expected, abs=1e-12)


def test_frame_ap_by_hand():
    """Ranks 1 and 3 of 4 hold; calibrated precision with w = 1 is precision."""
    accuracy = frame_accuracy(np.array([[0.9], [0.8], [0.7], [0.6]]), np.array([[1], [0], [1], [0]]))
    assert (accuracy.map, accuracy.calibrated_map) == pytest.approx((5 / 6, 5 / 6))
    accuracy = frame_accuracy(np.array([[0.9], [0.8], [0.7], [0.6]]), np.array([[0], [1], [0], [0]]))
    assert (accuracy.map, accuracy.calibrated_map) == pytest.approx((1 / 2, 3 / 4)), "w = 3: 3 of 3 + 1"


def test_chance_is_a_half_when_calibrated():
    random = np.random.default_rng(0)
    holds = random.random((20_000, 1)) < 0.02
    accuracy = frame_accuracy(random.random((20_000, 1)), holds)
    assert accuracy.map == pytest.approx(0.02, abs=0.01)
    assert accuracy.calibrated_map == pytest.approx(0.5, abs=0.05)


def test_frames_that_do_not_count_and_classes_that_never_hold():
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    holds = np.array([[0, 0], [1, 0], [0, 0]])
    accuracy = frame_accuracy(scores, holds, ignore=np.array([True, False, False]))
    assert np.array_equal(accuracy.ap, [1, np.nan], equal_nan=True)
    assert accuracy.map == 1


def test_bad_frames():
    with pytest.raises(ValueError, match=r"scores \(3, 2\), holds \(3, 1\)"):
        frame_accuracy(np.zeros((3, 2)), np.zeros((3, 1)))
    with pytest.raises(ValueError, match="no class holds"):
        frame_accuracy(np.zeros((3, 2)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="not a finite number"):
        frame_accuracy(np.full((3, 1), np.nan), np.ones((3, 1)))


OFFSETS = (0.0, 1.0, 2.0, 5.0)


def starts_by_loops(known, found, label, offset):
    wanted = [r for r in known.segments.rows() if r[3] == label]
    found = [r for r in found.rows() if r[3] == label]
    taken, hits = set(), []
    for index in np.argsort([r[4] for r in found], kind="stable")[::-1]:
        near = [(abs(r[1] - found[index][1]), n) for n, r in enumerate(wanted) if r[0] == found[index][0]]
        free = [n for distance, n in sorted(near) if n not in taken and distance <= offset]
        taken.update(free[:1])
        hits.append(bool(free))
    precision = [sum(hits[: n + 1]) / (n + 1) for n in range(len(hits))]
    return sum(max(precision[n:]) for n, hit in enumerate(hits) if hit) / len(wanted)


@settings(max_examples=60, deadline=None)
@given(problems())
def test_starts_are_the_loop(problem):
    known, found = problem
    accuracy = start_accuracy(known, found, offsets_seconds=OFFSETS)
    expected = [[starts_by_loops(known, found, label, t) for label in accuracy.labels] for t in OFFSETS]
    assert accuracy.labels == tuple(sorted(set(known.segments.labels.tolist())))
    assert np.allclose(accuracy.ap, expected, rtol=0, atol=1e-12)


def test_starts_by_hand():
    known = truth(("a", 10, 20, "x"), ("a", 30, 40, "x"))
    found = segments(("a", 11.5, math.nan, "x", 0.9), ("a", 10, math.nan, "x", 0.8), ("a", 33, math.nan, "x", 0.7))
    accuracy = start_accuracy(known, found)
    assert accuracy.offsets_seconds == tuple(range(1, 11))
    expected = [1 / 4, 1 / 2, *[1 / 2 + 1 / 3] * 8]  # the second is a duplicate from 2 s on
    assert accuracy.map.tolist() == pytest.approx(expected)
    assert start_accuracy(known, found, offsets_seconds=[1.5], blocked=["b"]).map.tolist() == [0.5]


def test_of_two_starts_that_are_equally_near_the_first_is_taken():
    known = truth(("a", 8, 20, "x"), ("a", 12, 20, "x"))
    found = segments(("a", 10, 11, "x", 0.9), ("a", 13, 14, "x", 0.8))
    assert start_accuracy(known, found, offsets_seconds=[2]).map.tolist() == [1]


def test_bad_starts():
    known = truth(("a", 10, 20, "x"))
    with pytest.raises(ValueError, match="a detected start of video a"):
        start_accuracy(known, segments(("a", math.nan, 3, "x")))
    with pytest.raises(ValueError, match="not in the truth: 'q'"):
        start_accuracy(known, segments(("a", 1, 3, "q")))
