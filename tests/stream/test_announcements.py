"""Announced segments: matched with true ones by hand and against loops, and F1 as MS-TCN counts it."""

import math

import numpy as np
import pytest
from evaluation import problems, segments, truth
from hypothesis import given, settings
from hypothesis import strategies as st

from actionstream.evaluation.announcements import Announcements, count_announcements, match_announcements
from actionstream.evaluation.segmental_f1 import segmental_f1


def announced(*rows):
    """Rows of (video, announcement, label)."""
    found = segments(*((video, time, math.nan, label) for video, time, label in rows))
    return Announcements(found, np.array([time for _, time, _ in rows], float))


def verdicts(known, found, **options):
    matched = match_announcements(known, found, **options)
    marks = zip(matched.taken.tolist(), matched.late, matched.repeated, matched.false, strict=True)
    return [
        "repeated" if repeated else "false" if false else None if row < 0 else (row, "late" if late else "in time")
        for row, late, repeated, false in marks
    ]


def test_each_verdict_by_hand():
    known = truth(("a", 10, 20, "x"), ("a", 30, 40, "x"), ("a", 10, 20, "y"), ("b", 10, 20, "x"))
    found = announced(
        ("a", 8.9, "x"),  # too early
        ("a", 9.5, "x"),  # early
        ("a", 21, "x"),  # again, a second after the end
        ("a", 21.1, "x"),  # over
        ("a", 31, "x"),
        ("a", 31.1, "y"),  # true of x alone
        ("b", 11.1, "x"),
        ("c", 11, "x"),
    )
    assert verdicts(known, found) == [
        *("false", (0, "in time"), "repeated", "false", (1, "in time"), "false", (3, "late"), "false"),
    ]
    lateness = match_announcements(known, found).lateness_seconds
    assert np.array_equal(lateness.round(6), [np.nan, -0.5, np.nan, np.nan, 1, np.nan, 1.1, np.nan], equal_nan=True)


def test_the_order_is_that_of_time_and_the_nearest_free_start_is_taken():
    known = truth(("a", 0, 9, "x"), ("a", 4, 9, "x"))
    assert verdicts(known, announced(("a", 7, "x"), ("a", 3, "x"), ("a", 6, "x"))) == [
        "repeated",
        (1, "in time"),
        (0, "late"),
    ]
    assert verdicts(known, announced(("a", 2, "x"))) == [(0, "late")], "4 is as near, but not within 1 s"
    assert verdicts(known, announced(("a", 2, "x")), tolerance_seconds=2) == [(0, "in time")], "the first of equals"


def test_ambiguous_segments_excuse_what_is_inside_them():
    known = truth(("a", 10, 20, "x"), ambiguous=[("a", 30, 40, "Ambiguous"), ("b", 50, 60, "Ambiguous")])
    found = announced(("a", 30, "x"), ("a", 40.5, "x"), ("a", 55, "x"), ("b", 55, "x"))
    assert verdicts(known, found) == [None, "false", "false", None]


def test_counts_by_hand():
    known = truth(("a", 10, 20, "x"), ("a", 30, 40, "x"), ("a", 50, 60, "x"), ("a", 70, 80, "y"))
    found = announced(("a", 10.5, "x"), ("a", 15, "x"), ("a", 32.5, "x"), ("a", 65, "x"), ("a", 66, "y"))
    matched = match_announcements(known, found)
    every = count_announcements(known, found, matched, hours=0.5)
    assert (every.true, every.announced, every.in_time, every.repeated, every.false_alarms) == (4, 2, 1, 1, 2)
    assert every.false_alarms_an_hour == 4
    assert every.lateness_percentile(50) == pytest.approx(1.5)
    assert every.lateness_percentile(90) == pytest.approx(2.3)
    of_y = count_announcements(known, found, matched, hours=0.5, label="y")
    assert (of_y.true, of_y.announced, of_y.in_time, of_y.repeated, of_y.false_alarms) == (1, 0, 0, 0, 1)
    assert of_y.lateness_percentile(50) is None


def verdicts_by_loops(known, found, tolerance):
    wanted, unclear = list(known.segments.rows()), list(known.ambiguous.rows())
    rows, times = list(found.segments.rows()), found.times_seconds.tolist()
    result, taken = [None] * len(rows), set()
    for n in sorted(range(len(rows)), key=lambda n: times[n]):
        video, label, time = rows[n][0], rows[n][3], times[n]
        own = [
            row
            for row, each in enumerate(wanted)
            if (each[0], each[3]) == (video, label) and each[1] - tolerance <= time <= each[2] + tolerance
        ]
        free = sorted((row for row in own if row not in taken), key=lambda row: abs(wanted[row][1] - time))
        if free:
            taken.add(free[0])
            result[n] = (free[0], "late" if time - wanted[free[0]][1] > tolerance else "in time")
        elif own:
            result[n] = "repeated"
        elif not any(each[0] == video and each[1] <= time <= each[2] for each in unclear):
            result[n] = "false"
    return result


@settings(max_examples=80, deadline=None)
@given(problems(backwards=True), st.sampled_from([0.0, 0.5, 1.0, 3.0]))
def test_verdicts_are_the_loop(problem, tolerance):
    known, found = problem
    found = Announcements(found, found.start_seconds + found.scores)
    expected = verdicts_by_loops(known, found, tolerance)
    assert verdicts(known, found, tolerance_seconds=tolerance) == expected
    matched = match_announcements(known, found, tolerance_seconds=tolerance)
    counts = [count_announcements(known, found, matched, hours=1, label=label) for label in "xyz"]
    every = count_announcements(known, found, matched, hours=1)
    for name in ("true", "announced", "in_time", "repeated", "false_alarms"):
        assert getattr(every, name) == sum(getattr(each, name) for each in counts)
    assert every.announced == len({each[0] for each in expected if isinstance(each, tuple)})
    assert every.false_alarms == expected.count("false")


def test_f1_by_hand():
    """IoU 0.8, 0.2, and a part of a true segment that another found one has taken: 2, 1 and 1 of 3 are right."""
    known = truth(("a", 0, 10, "x"), ("a", 20, 30, "y"), ("b", 0, 10, "x"))
    found = segments(("a", 0, 8, "x"), ("a", 8, 10, "x"), ("a", 28, 30, "y"), ("b", 0, 10, "y"))
    assert segmental_f1(known, found) == pytest.approx((4 / 7, 2 / 7, 2 / 7))
    assert segmental_f1(known, segments()) == (0, 0, 0)
    assert segmental_f1(known, known.segments, iou_thresholds=[1]) == (1,)


def test_f1_does_not_give_a_second_best_segment():
    """Both found segments overlap the first true one most; MS-TCN counts the second as false, though 5 to 8 is free."""
    known = truth(("a", 0, 5, "x"), ("a", 5, 8, "x"))
    found = segments(("a", 0, 5, "x"), ("a", 0, 7, "x"))
    assert segmental_f1(known, found, iou_thresholds=[0.2]) == (0.5,)


def f1_by_loops(known, found, threshold):
    """The loop of MS-TCN, over videos, with its precision and recall."""
    right = false = missed = 0
    for video in {*known.segments.videos.tolist(), *found.videos.tolist()}:
        wanted = [row for row in known.segments.rows() if row[0] == video]
        hit = [False] * len(wanted)
        for _, start, end, label, _ in (row for row in found.rows() if row[0] == video):
            ious = [0.0] * len(wanted)
            for n, (_, first, last, true_label, _) in enumerate(wanted):
                shared = min(end, last) - max(start, first)
                if label == true_label and shared > 0:
                    ious[n] = shared / (max(end, last) - min(start, first))
            best = int(np.argmax(ious)) if ious else None
            if best is not None and ious[best] >= threshold and not hit[best]:
                hit[best] = True
                right += 1
            else:
                false += 1
        missed += hit.count(False)
    precision, recall = right / (right + false), right / (right + missed)
    return 2 * precision * recall / (precision + recall) if right else 0.0


@settings(max_examples=80, deadline=None)
@given(problems())
def test_f1_is_the_loop(problem):
    known, found = problem
    thresholds = (0.1, 0.25, 0.5)
    expected = [f1_by_loops(known, found, threshold) for threshold in thresholds]
    assert segmental_f1(known, found, iou_thresholds=thresholds) == pytest.approx(expected, abs=1e-12)


def test_truth_without_times():
    known = truth(("a", math.nan, math.nan, "x"))
    with pytest.raises(ValueError, match="an annotation of video a has no start and end"):
        match_announcements(known, announced(("a", 1, "x")))
    with pytest.raises(ValueError, match="a detection of video a has no start and end"):
        segmental_f1(truth(("a", 0, 1, "x")), segments(("a", 0, math.nan, "x")))
