"""Temporal action detection: mean average precision, as THUMOS14 and as ActivityNet count it.

The two differ in who chooses (the annotations, or the detections), in whether an overlap of exactly the threshold is
enough, in how ties are ranked, and in whether precision is interpolated.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from actionstream.evaluation.average_precision import average_precision, interpolated_average_precision
from actionstream.evaluation.matching import (
    iou_activitynet,
    iou_thumos14,
    match,
    number,
    pairs_in_groups,
    places_in_groups,
)
from actionstream.evaluation.segments import Segments, Truth, check_comparable, check_known, check_times

THUMOS14_IOU_THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
ACTIVITYNET_IOU_THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionAccuracy:
    """Average precision (T, K) at T thresholds, of the K classes that have truth, in alphabetical order."""

    iou_thresholds: tuple[float, ...]
    labels: tuple[str, ...]
    ap: np.ndarray

    @property
    def map(self) -> np.ndarray:
        """The mean over the classes (T,)."""
        return self.ap.mean(axis=1)

    @property
    def average_map(self) -> float:
        """The mean over the thresholds too."""
        return float(self.map.mean())


def thumos14_detection(
    truth: Truth,
    detections: Segments,
    *,
    iou_thresholds: Sequence[float] = THUMOS14_IOU_THRESHOLDS,
    blocked: Collection[str] = (),
) -> DetectionAccuracy:
    """Detection mAP as the evaluation kit of THUMOS14 counts it (TH14evalDet, the version of September 2015).

    For each class and video the annotations choose, in the order of the file: each takes the free detection of highest
    IoU, if that is above the threshold. A detection that no annotation takes is false, unless it touches an Ambiguous
    segment of its video: then it is left out of the ranking. Detections of equal score are ranked by the name of their
    video, then by their order in the file. AP is not interpolated.

    Detections in videos without truth are false. Detections of labels without truth do not count, and classes without
    truth have no AP. A segment that ends before it starts is turned round.

    blocked  videos to leave out, such as actionstream.evaluation.thumos14.MISLABELLED
    """
    truth, detections = _compared(truth, detections, blocked)
    wanted, unclear = truth.segments, truth.ambiguous
    num_labels, (true_label, label) = number(wanted.labels, detections.labels)
    num_videos, (true_video, video, unclear_video) = number(wanted.videos, detections.videos, unclear.videos)
    ranking = np.lexsort((video, -detections.scores, label))
    detections, label, video = detections[ranking], label[ranking], video[ranking]

    i, j = pairs_in_groups(unclear_video, video)
    touches = np.zeros(len(detections), bool)
    touches[j[iou_thumos14(unclear.intervals[i], detections.intervals[j]) > 0]] = True

    group = true_label * num_videos + true_video
    i, j = pairs_in_groups(group, label * num_videos + video)
    iou = iou_thumos14(wanted.intervals[i], detections.intervals[j])
    best_first = np.lexsort((j, -iou, i))
    i, j, iou = i[best_first], j[best_first], iou[best_first]

    places = places_in_groups(group)
    num_true = np.bincount(true_label)
    ap = []
    for threshold in iou_thresholds:
        enough = iou > threshold
        taken = match(i[enough], j[enough], places=places, num_targets=len(detections))
        hits = np.zeros(len(detections), bool)
        hits[taken[taken >= 0]] = True
        counts = hits | ~touches
        classes = np.searchsorted(label[counts], np.arange(1, num_labels))
        ap.append([average_precision(*each) for each in zip(np.split(hits[counts], classes), num_true, strict=True)])
    return _accuracy(iou_thresholds, wanted, np.array(ap))


def activitynet_detection(
    truth: Truth,
    detections: Segments,
    *,
    iou_thresholds: Sequence[float] = ACTIVITYNET_IOU_THRESHOLDS,
    blocked: Collection[str] = (),
) -> DetectionAccuracy:
    """Detection mAP as the evaluation kit of the ActivityNet challenge counts it (ANETdetection).

    For each class and video the detections choose, best score first: each takes the free annotation of highest IoU, if
    that is the threshold or more. A detection that takes none is false. AP is interpolated.

    Ties are as in the kit where its sort is stable: of detections of equal score, and of annotations of equal IoU, the
    later one in the file comes first. Two segments without duration have an IoU of 0/0, which the kit counts as enough.
    A segment that ends before it starts goes through the kit's arithmetic as it is.

    Detections in videos without truth are false. Detections of labels that have no truth in the subset do not count; a
    label that the truth file does not know at all is a ValueError.

    blocked  videos to leave out, such as those that are no longer on YouTube
    """
    check_known(truth, detections)
    truth, detections = _compared(truth, detections, blocked)
    ap = score_driven_ap(truth.segments, detections, closeness=iou_activitynet, thresholds=iou_thresholds)
    return _accuracy(iou_thresholds, truth.segments, ap)


def score_driven_ap(
    wanted: Segments,
    found: Segments,
    *,
    closeness: Callable[[np.ndarray, np.ndarray], np.ndarray],
    thresholds: Sequence[float],
) -> np.ndarray:
    """Interpolated AP (T, K) where each detection, best score first, takes the closest free annotation.

    wanted      annotations; of two that are equally close the later one is preferred
    found       detections of the same labels; of two with the same score the later one is first
    closeness   of two arrays of intervals (N, 2), row by row (N,)
    thresholds  the least closeness that is enough
    """
    num_labels, (true_label, label) = number(wanted.labels, found.labels)
    num_videos, (true_video, video) = number(wanted.videos, found.videos)
    later_first = np.argsort(found.scores, kind="stable")[::-1]
    ranking = later_first[np.argsort(label[later_first], kind="stable")]
    found, label, video = found[ranking], label[ranking], video[ranking]

    group = label * num_videos + video
    i, j = pairs_in_groups(group, true_label * num_videos + true_video)
    close = closeness(found.intervals[i], wanted.intervals[j])
    best_first = np.lexsort((-j, -close, i))
    i, j, close = i[best_first], j[best_first], close[best_first]

    places = places_in_groups(group)
    num_true = np.bincount(true_label)
    classes = np.searchsorted(label, np.arange(1, num_labels))
    ap = []
    for threshold in thresholds:
        enough = close >= threshold
        hits = match(i[enough], j[enough], places=places, num_targets=len(wanted)) >= 0
        ap.append(
            [interpolated_average_precision(*each) for each in zip(np.split(hits, classes), num_true, strict=True)]
        )
    return np.array(ap)


def _compared(truth: Truth, detections: Segments, blocked: Collection[str]) -> tuple[Truth, Segments]:
    """Truth and detections without the blocked videos, and without the detections of labels that have no truth."""
    truth, detections = truth.without(blocked), detections.without(blocked)
    check_comparable(truth, detections)
    check_times(truth.segments, "an annotation")
    check_times(detections, "a detection")
    return truth, detections[np.isin(detections.labels, truth.segments.labels)]


def _accuracy(iou_thresholds: Sequence[float], wanted: Segments, ap: np.ndarray) -> DetectionAccuracy:
    labels = tuple(np.unique(wanted.labels).tolist())
    return DetectionAccuracy(iou_thresholds=tuple(iou_thresholds), labels=labels, ap=ap)
