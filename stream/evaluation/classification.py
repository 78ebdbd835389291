"""Classification of untrimmed videos, as THUMOS14 and as ActivityNet count it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from actionstream.evaluation.average_precision import average_precision, interpolated_average_precision
from actionstream.evaluation.matching import number, places_in_groups
from actionstream.evaluation.segments import Segments, Truth, check_comparable, check_known
from actionstream.models.common.errors import ActionstreamError


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationAccuracy:
    """Average precision (K,) of the K classes that have truth, in alphabetical order."""

    labels: tuple[str, ...]
    ap: np.ndarray

    @property
    def map(self) -> float:
        """The mean over the classes."""
        return float(self.ap.mean())


def thumos14_classification(truth: Truth, scores: Segments, *, blocked: Collection[str] = ()) -> ClassificationAccuracy:
    """Recognition mAP as the evaluation kit of THUMOS14 counts it (TH14evalRecog).

    For each class all videos of the truth are ranked by its score, those without any action too. A video is positive
    for each of its labels. AP is not interpolated. Videos of equal score are ranked by name.

    A video that has no score for a class comes last; scores of videos that are not in the truth do not count. A class
    without truth has no AP (the whole test set, 1,574 videos and 101 classes, has no such class). Of several scores for
    the same video and class the highest counts.

    blocked  videos to leave out
    """
    truth, scores = truth.without(blocked), scores.without(blocked)
    check_comparable(truth, scores)
    videos = np.array(sorted(truth.durations_seconds), np.str_)
    labels = np.unique(truth.segments.labels)
    positive = np.zeros((len(videos), len(labels)), bool)
    positive[np.searchsorted(videos, truth.segments.videos), np.searchsorted(labels, truth.segments.labels)] = True

    scores = scores[np.isin(scores.videos, videos) & np.isin(scores.labels, labels)]
    table = np.full(positive.shape, -np.inf)
    where = np.searchsorted(videos, scores.videos), np.searchsorted(labels, scores.labels)
    np.maximum.at(table, where, scores.scores)
    ranked = np.take_along_axis(positive, np.argsort(-table, axis=0, kind="stable"), axis=0)
    ap = [average_precision(hits, hits.sum()) for hits in ranked.T]
    return ClassificationAccuracy(labels=tuple(labels.tolist()), ap=np.array(ap))


def activitynet_classification(
    truth: Truth, predictions: Segments, *, blocked: Collection[str] = ()
) -> ClassificationAccuracy:
    """Classification mAP as the evaluation kit of the ActivityNet challenge counts it (ANETclassification).

    For each class the predictions are ranked by score; the first for a video that has the label is right, all others
    are false, also in videos without truth. AP is interpolated. Of equal scores the later one in the file is ranked
    first, as in the kit where its sort is stable. The truth file decides between v1.2 and v1.3.

    Predictions of labels that have no truth in the subset do not count; a label that the truth file does not know at
    all is a ValueError.

    blocked  videos to leave out
    """
    check_known(truth, predictions)
    truth, predictions = truth.without(blocked), predictions.without(blocked)
    check_comparable(truth, predictions)
    predictions = predictions[np.isin(predictions.labels, truth.segments.labels)]
    num_labels, (true_label, label) = number(truth.segments.labels, predictions.labels)
    num_videos, (true_video, video) = number(truth.segments.videos, predictions.videos)
    true_pairs = np.unique(true_label * num_videos + true_video)
    later_first = np.argsort(predictions.scores, kind="stable")[::-1]
    ranking = later_first[np.argsort(label[later_first], kind="stable")]
    label, pairs = label[ranking], (label * num_videos + video)[ranking]

    hits = np.isin(pairs, true_pairs) & (places_in_groups(pairs) == 0)
    num_true = np.bincount(true_pairs // num_videos)
    of_classes = np.split(hits, np.searchsorted(label, np.arange(1, num_labels)))
    ap = [interpolated_average_precision(*each) for each in zip(of_classes, num_true, strict=True)]
    return ClassificationAccuracy(labels=tuple(np.unique(truth.segments.labels).tolist()), ap=np.array(ap))


def hit_at(
    truth: Truth, predictions: Segments, *, k: Sequence[int] = (1, 3), blocked: Collection[str] = ()
) -> dict[int, tuple[float, float]]:
    """Hit@k and its average form, for each k, as the kit of the ActivityNet challenge counts them.

    A video is hit when one of its labels is among its k predictions of highest score (of equal scores the later one in
    the file is ranked first). The average form is the share of its labels among them. Both are means over the videos
    with labels; a video without predictions is not hit.
    """
    truth, predictions = truth.without(blocked), predictions.without(blocked)
    check_comparable(truth, predictions)
    num_labels, (true_label, label) = number(truth.segments.labels, predictions.labels)
    _, (true_video, video) = number(truth.segments.videos, predictions.videos)
    true_pairs = np.unique(true_video * num_labels + true_label)
    later_first = np.argsort(predictions.scores, kind="stable")[::-1]
    pairs = (video * num_labels + label)[later_first]
    places = places_in_groups(video[later_first])
    _, of_video, num_true = np.unique(true_pairs // num_labels, return_inverse=True, return_counts=True)
    result = {}
    for each in k:
        if each < 1:
            raise ActionstreamError(f"Hit@k is for k of 1 or more, not {each}")
        num_hit = np.bincount(of_video[np.isin(true_pairs, pairs[places < each])], minlength=len(num_true))
        result[each] = float((num_hit > 0).mean()), float((num_hit / num_true).mean())
    return result
