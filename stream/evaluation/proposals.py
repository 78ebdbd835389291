"""Temporal action proposals: average recall over the average number of proposals, as ActivityNet counts it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from actionstream.evaluation.detection import ACTIVITYNET_IOU_THRESHOLDS
from actionstream.evaluation.matching import iou_activitynet, number, pairs_in_groups, places_in_groups
from actionstream.evaluation.segments import Segments, Truth, check_comparable, check_times
from actionstream.models.common.errors import ActionstreamError

NUM_POINTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalRecall:
    """Recall (T, 100) at T thresholds and 100 average numbers of proposals in a video (100,)."""

    iou_thresholds: tuple[float, ...]
    num_proposals: np.ndarray
    recall: np.ndarray

    @property
    def average_recall(self) -> np.ndarray:
        """The mean over the thresholds (100,)."""
        return self.recall.mean(axis=0)

    @property
    def area(self) -> float:
        """The area under average recall over number of proposals, divided by the largest number; at most 1.

        The first 1/100 of the width has no recall yet and adds nothing, as in the challenge.
        """
        return float(np.trapezoid(self.average_recall, self.num_proposals) / self.num_proposals[-1])


def activitynet_proposals(
    truth: Truth,
    proposals: Segments,
    *,
    iou_thresholds: Sequence[float] = ACTIVITYNET_IOU_THRESHOLDS,
    max_proposals: float = 100,
    blocked: Collection[str] = (),
) -> ProposalRecall:
    """AR@AN as the evaluation kit of the ActivityNet challenge counts it (ANETproposal).

    An annotation is found when one of the counted proposals reaches the threshold. In each video with annotations the
    same share of proposals counts, best score first (of equal scores the later one in the file). The shares give 100
    average numbers of proposals in a video, up to `max_proposals`. Proposals for other videos enter the share, and
    nothing else.

    max_proposals  the highest average number of proposals in a video
    blocked        videos to leave out
    """
    truth, proposals = truth.without(blocked), proposals.without(blocked)
    proposals = replace(proposals, labels=np.full(len(proposals), ""))
    check_comparable(truth, proposals)
    check_times(truth.segments, "an annotation")
    check_times(proposals, "a proposal")
    if not max_proposals > 0:
        raise ActionstreamError(f"the average number of proposals is at most {max_proposals}; it must be above 0")
    wanted = truth.segments
    shares = np.arange(1, NUM_POINTS + 1) / NUM_POINTS
    num_given = len(proposals)
    proposals = proposals[np.isin(proposals.videos, wanted.videos)]
    num_videos, (true_video, video) = number(wanted.videos, proposals.videos)
    ranking = np.argsort(proposals.scores, kind="stable")[::-1]
    proposals, video = proposals[ranking], video[ranking]

    # The kit rounds down twice. Its operations are kept in their order, so that what is rounded is the same number.
    num_each = np.bincount(video, minlength=num_videos)
    ratio = max_proposals * num_videos / max(num_given, 1)
    num_kept = np.minimum((num_each * ratio).astype(np.int64), num_each)
    total = int(num_kept.sum())
    if not total:
        nothing = np.zeros((len(iou_thresholds), NUM_POINTS))
        return ProposalRecall(
            iou_thresholds=tuple(iou_thresholds), num_proposals=shares * max_proposals, recall=nothing
        )
    portions = shares * (max_proposals * num_videos / total)
    num_counting = np.minimum((num_kept[:, None] * portions).astype(np.int64), num_kept[:, None])

    places = places_in_groups(video)
    kept = places < num_kept[video]
    proposals, video, places = proposals[kept], video[kept], places[kept]
    i, j = pairs_in_groups(true_video, video)
    iou = iou_activitynet(wanted.intervals[i], proposals.intervals[j])
    recall = []
    for threshold in iou_thresholds:
        found = (iou >= threshold) & np.isfinite(iou)  # 0/0 is never enough here
        first = np.full(len(wanted), len(proposals))
        np.minimum.at(first, i[found], places[j[found]])
        recall.append((first[:, None] < num_counting[true_video]).mean(axis=0))
    return ProposalRecall(
        iou_thresholds=tuple(iou_thresholds), num_proposals=portions * (total / num_videos), recall=np.array(recall)
    )
