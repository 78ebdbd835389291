"""Segmental F1, as MS-TCN counts it (Farha and Gall, CVPR 2019, arXiv:1903.01945)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from actionstream.evaluation.matching import iou_thumos14, number, pairs_in_groups
from actionstream.evaluation.segments import Segments, Truth, check_comparable, check_times

F1_IOU_THRESHOLDS = (0.1, 0.25, 0.5)


def segmental_f1(
    truth: Truth, found: Segments, *, iou_thresholds: Sequence[float] = F1_IOU_THRESHOLDS
) -> tuple[float, ...]:
    """F1 of segments at each IoU threshold, over the segments of all videos and labels together.

    Each found segment goes to the true segment of its video and label with the highest IoU. It is right if the IoU is
    the threshold or more and it is the first one there; all others are false, also where another true segment is free.
    Scores do not count. F1 is 2 x right / (found + true).
    """
    check_comparable(truth, found)
    wanted = truth.segments
    check_times(wanted, "an annotation")
    check_times(found, "a detection")
    _, (true_label, label) = number(wanted.labels, found.labels)
    num_videos, (true_video, video) = number(wanted.videos, found.videos)
    i, j = pairs_in_groups(label * num_videos + video, true_label * num_videos + true_video)
    iou = iou_thumos14(found.intervals[i], wanted.intervals[j])
    best_first = np.lexsort((j, -iou, i))
    i, j, iou = i[best_first], j[best_first], iou[best_first]
    best = np.flatnonzero(np.diff(i, prepend=-1))
    j, iou = j[best], iou[best]
    total = len(found) + len(wanted)
    return tuple(2 * len(np.unique(j[iou >= threshold])) / total for threshold in iou_thresholds)
