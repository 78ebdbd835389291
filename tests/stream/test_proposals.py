"""AR@AN against an evaluator written as plain loops."""

import math

import numpy as np
import pytest
from evaluation import rows, segments, truth
from hypothesis import given, settings
from hypothesis import strategies as st

from actionstream.evaluation.proposals import activitynet_proposals

THRESHOLDS = (0.25, 0.5, 1.0)


def iou(a, b):
    shared = max(min(a[1], b[1]) - max(a[0], b[0]), 0)
    union = (a[1] - a[0]) + (b[1] - b[0]) - shared
    return shared / union if union else math.nan


def by_loops(known, found, max_proposals):
    """Recall of each threshold at each of the 100 points, and the average numbers."""
    wanted, found = list(known.segments.rows()), list(found.rows())
    videos = {r[0] for r in wanted}
    ratio = max_proposals * float(len(videos)) / len(found)
    kept = {}
    for video in videos:
        here = [r for r in found if r[0] == video]
        order = np.argsort([r[4] for r in here], kind="stable")[::-1]
        kept[video] = [here[n] for n in order[: min(int(len(here) * ratio), len(here))]]
    total = sum(map(len, kept.values()))
    if not total:
        return np.zeros((len(THRESHOLDS), 100)), np.arange(1, 101) / 100 * max_proposals
    portions = np.arange(1, 101) / 100.0 * (max_proposals * float(len(videos)) / total)
    recall = np.zeros((len(THRESHOLDS), 100))
    for row, threshold in zip(recall, THRESHOLDS, strict=True):
        for n, portion in enumerate(portions):
            for annotation in wanted:
                here = kept[annotation[0]]
                counting = here[: min(int(len(here) * portion), len(here))]
                row[n] += any(iou(annotation[1:3], r[1:3]) >= threshold for r in counting)
    return recall / len(wanted), portions * (float(total) / len(videos))


@settings(max_examples=60, deadline=None)
@given(
    rows("ab", "x", min_size=1, max_size=6),
    rows("abc", [""], backwards=True, max_size=20),
    st.sampled_from([1, 2.5, 7, 100]),
)
def test_is_the_loop(annotations, found, max_proposals):
    known = truth(*(r[:4] for r in annotations), videos="abd")
    found = segments(*found, ("a", 90.0, 99.0, "", 0.5))
    result = activitynet_proposals(known, found, iou_thresholds=THRESHOLDS, max_proposals=max_proposals)
    recall, numbers = by_loops(known, found, max_proposals)
    assert np.allclose(result.recall, recall, rtol=0, atol=1e-12)
    assert np.allclose(result.num_proposals, numbers)
    curve = recall.mean(axis=0)
    area = sum((curve[n] + curve[n + 1]) / 2 * (numbers[n + 1] - numbers[n]) for n in range(99))
    assert result.area == pytest.approx(area / numbers[-1])


@pytest.mark.parametrize(("max_proposals", "sizes"), [(10, (1, 5)), (10, (1, 18)), (3, (17, 17)), (7, (5, 30))])
def test_what_is_rounded_down_is_the_same_number(max_proposals, sizes):
    """Numbers of proposals fall on whole numbers but for the last bits; the order of the operations decides."""
    every = [(video, 2 * n, 2 * n + 1, "", -n) for video, size in zip("ab", sizes, strict=True) for n in range(size)]
    known, found = truth(*((v, s, e, "x") for v, s, e, _, _ in every)), segments(*every)
    result = activitynet_proposals(known, found, iou_thresholds=THRESHOLDS, max_proposals=max_proposals)
    assert np.allclose(result.recall, by_loops(known, found, max_proposals)[0], rtol=0, atol=1e-12)


def test_perfect_proposals():
    known = truth(*((f"v{n}", 5 * m, 5 * m + 4, "x") for n in range(10) for m in range(n % 3 + 1)))
    found = segments(
        *((v, s, e, "", 1.0) for v, s, e, *_ in known.segments.rows()),
        *((f"v{n}", 1000 + m, 1001 + m, "", 0.5) for n in range(10) for m in range(99 - n % 3)),
    )
    result = activitynet_proposals(known, found)
    assert result.num_proposals[[0, 9, 99]] == pytest.approx([1, 10, 100])
    assert result.average_recall[[0, 1, 2, 99]] == pytest.approx([10 / 19, 16 / 19, 1, 1])
    assert result.area == pytest.approx(((10 + 16) / 38 + (16 + 19) / 38 + 97) / 100)


def test_labels_do_not_matter():
    known, found = truth(("a", 0, 10, "x")), segments(("a", 0, 10, "anything", 0.5))
    assert activitynet_proposals(known, found, max_proposals=1).average_recall[-1] == 1


def test_nothing_and_bad_input():
    known = truth(("a", 0, 10, "x"))
    result = activitynet_proposals(known, segments())
    assert (result.recall.max(), result.area, result.num_proposals[-1]) == (0, 0, 100)
    with pytest.raises(ValueError, match="at most 0; it must be above 0"):
        activitynet_proposals(known, segments(("a", 0, 10, "")), max_proposals=0)
    with pytest.raises(ValueError, match="a proposal of video a has no start and end"):
        activitynet_proposals(known, segments(("a", math.nan, math.nan, "")))
    with pytest.raises(ValueError, match="no video of the truth"):
        activitynet_proposals(known, segments(("b", 0, 10, "")))
    assert activitynet_proposals(known, segments(("a", 0, 10, "")), blocked=["b"]).recall.max() == 1
