"""When a label starts, is announced and ends: chosen for each label on footage that its scores were not learnt from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from actionstream.choices import Metric
from actionstream.evaluation.announcements import (
    AnnouncementCounts,
    Announcements,
    count_announcements,
    match_announcements,
)
from actionstream.evaluation.detection import activitynet_detection
from actionstream.evaluation.segmental_f1 import segmental_f1
from actionstream.evaluation.segments import Segments, Truth
from actionstream.models.card import Card
from actionstream.models.common.errors import ActionstreamError
from actionstream.results import OpenSegment
from actionstream.scoring import SegmentTracker
from actionstream.scoring.events import MIN_DURATION_SECONDS, START
from actionstream.scoring.tracker import MAX_DIP_SECONDS
from actionstream.videos.live import follow
from actionstream.videos.scores import VideoScores

THRESHOLDS = tuple((np.arange(1, 20) / 20).tolist())
MIN_DURATIONS = (0.0, MIN_DURATION_SECONDS, 0.5, 1.0)
MAX_DIPS = (0.0, MAX_DIP_SECONDS, 1.0, 2.0)
COMBINATIONS = tuple(product(THRESHOLDS, MIN_DURATIONS, MAX_DIPS))
"""What is tried for each label: C thresholds with a minimum duration and a longest dip, in seconds."""
SHAPE = len(THRESHOLDS), len(MIN_DURATIONS), len(MAX_DIPS)
USUAL = COMBINATIONS.index((START, MIN_DURATION_SECONDS, MAX_DIP_SECONDS))
AP_IOU = 0.5


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A video, scored by a network that has learnt from others.

    probabilities  float32 (n, K): of the rows after the warm-up, as they come live
    times_seconds  float64 (n,), increasing but for rows that begin anew
    begins_anew    bool (n,): rows before which the state was emptied
    """

    name: str
    probabilities: np.ndarray
    times_seconds: np.ndarray
    begins_anew: np.ndarray
    duration_seconds: float

    @classmethod
    def of(cls, name: str, scores: VideoScores, card: Card) -> HeldOut:
        """From the rows of a video after the warm-up."""
        probabilities = card.probabilities(scores.scores)
        return cls(name, probabilities, scores.times_seconds, scores.begins_anew, scores.duration_seconds)


@dataclass(frozen=True)
class Decisions:
    """The decisions of each label that has a true segment, as a `Card` takes them, and what they score.

    thresholds     to start; half of it to end
    min_durations  seconds
    max_dips       seconds
    figures        of the metric: F1, AP, or the share of the true segments that are announced in time; on the footage
                   of the choice, so the figures of other footage are lower
    counts         of the announcements
    """

    thresholds: dict[str, float]
    min_durations: dict[str, float]
    max_dips: dict[str, float]
    figures: dict[str, float]
    counts: dict[str, AnnouncementCounts]


@dataclass(frozen=True, eq=False)
class _Tried:
    """What COMBINATIONS give for a label.

    figures  float64 (C,), see `Decisions`
    counts   (C,)
    """

    label: str
    figures: np.ndarray
    counts: list[AnnouncementCounts]


FIGURES: dict[Metric, Callable[[Truth, Announcements, AnnouncementCounts], float]] = {
    "f1": lambda truth, told, counts: float(np.mean(segmental_f1(truth, told.segments))),
    "map": lambda truth, told, counts: activitynet_detection(truth, told.segments, iou_thresholds=[AP_IOU]).average_map,
    "false-alarms": lambda truth, told, counts: counts.in_time / counts.true,
}


def choose_decisions(
    videos: Sequence[HeldOut],
    truth: Truth,
    labels: Sequence[str],
    *,
    interval_seconds: float,
    metric: Metric,
    false_alarms_per_hour: float | None = None,
    smoothing_seconds: float = 0.3,
) -> Decisions:
    """The decisions that are best by a metric; a label without a true segment in the videos has none.

    videos            one or more, of the K labels; the truth may have more videos and labels
    interval_seconds  between two rows
    metric            "f1": segmental F1 of each label, the mean over F1_IOU_THRESHOLDS;
                      "map": AP of the closed segments of each label at an IoU of 0.5, as ActivityNet counts it;
                      "false-alarms": the most true segments announced in time, then the most announced at all, with no
                      more than `false_alarms_per_hour` of all labels together; see `match_announcements`
    smoothing_seconds
                      as for `Smoother`

    The segments are those of a `SegmentTracker`. ActionstreamError where a video is not in the truth, and where so few
    false alarms are allowed that the videos are too short to count them, or that no decisions keep to it.
    """
    if (metric == "false-alarms") != (false_alarms_per_hour is not None):
        raise ActionstreamError(
            f"metric is {metric!r} and false_alarms_per_hour is {false_alarms_per_hour}; "
            "the metric 'false-alarms' needs that number, and no other one takes it"
        )
    names = [video.name for video in videos]
    if unknown := sorted(set(names) - set(truth.durations_seconds)):
        raise ActionstreamError(f"video {unknown[0]} is not in the truth; annotate it, or leave it out")
    truth = truth.only(names)
    hours = sum(video.duration_seconds for video in videos) / 3600
    allowed = None if false_alarms_per_hour is None else allowed_false_alarms(false_alarms_per_hour, hours)
    tried, unseen = [], 0
    for column, label in enumerate(labels):
        wanted = replace(truth, segments=truth.segments[truth.segments.labels == label])
        if not len(wanted.segments) and metric != "false-alarms":
            continue
        told = _told(videos, column, label, interval_seconds, smoothing_seconds)
        counts = [
            count_announcements(wanted, each, match_announcements(wanted, each), hours=hours, label=label)
            for each in told
        ]
        if len(wanted.segments):
            figures = [FIGURES[metric](wanted, *each) for each in zip(told, counts, strict=True)]
            tried.append(_Tried(label, np.array(figures), counts))
        else:
            unseen += counts[USUAL].false_alarms  # the label keeps the usual decisions, and its false alarms count
    if allowed is None:
        chosen = {each.label: _best(_steady(each.figures)) for each in tried}
    else:
        chosen = _within(tried, allowed, unseen, hours)
    return Decisions(
        thresholds={label: COMBINATIONS[place][0] for label, place in chosen.items()},
        min_durations={label: COMBINATIONS[place][1] for label, place in chosen.items()},
        max_dips={label: COMBINATIONS[place][2] for label, place in chosen.items()},
        figures={each.label: float(each.figures[chosen[each.label]]) for each in tried},
        counts={each.label: each.counts[chosen[each.label]] for each in tried},
    )


def allowed_false_alarms(per_hour: float, hours: float) -> int:
    """The number of false alarms that are allowed in these hours of video; ActionstreamError where it is none."""
    if not 0 < per_hour < math.inf:
        raise ActionstreamError(f"false_alarms_per_hour is {per_hour}; expected a number above 0")
    allowed = math.floor(per_hour * hours + 1e-9)
    if allowed < 1:
        raise ActionstreamError(
            f"the videos last {60 * hours:.1f} minutes, in which {per_hour:g} false alarms an hour are not one; "
            f"expected {math.ceil(60 / per_hour)} minutes or more; add videos, or allow {math.ceil(1 / hours)} an hour"
        )
    return allowed


def _told(
    videos: Sequence[HeldOut], column: int, label: str, interval_seconds: float, smoothing_seconds: float
) -> list[Announcements]:
    """The closed segments of a label, with their announcements, at each of COMBINATIONS.

    One tracker takes the combinations for its labels, so each is what a live tracker tells, in one pass over the rows.
    """
    numbers = {str(number): number for number in range(len(COMBINATIONS))}
    starts, min_durations, max_dips = (
        dict(zip(numbers, each, strict=True)) for each in zip(*COMBINATIONS, strict=True)
    )
    tracker = SegmentTracker(
        list(numbers),
        interval_seconds=interval_seconds,
        smoothing_seconds=smoothing_seconds,
        start=starts,
        min_duration_seconds=min_durations,
        max_dip_seconds=max_dips,
    )
    rows: list[list[tuple[str, float, float, str, float]]] = [[] for _ in numbers]
    times: list[list[float]] = [[] for _ in numbers]
    for video in videos:
        told = follow(
            tracker,
            np.broadcast_to(video.probabilities[:, column, None], (len(video.probabilities), len(numbers))),
            video.times_seconds,
            begins_anew=video.begins_anew,
            duration_seconds=video.duration_seconds,
        )
        for time_seconds, each in told:
            number = numbers[each.label]
            if isinstance(each, OpenSegment):
                times[number].append(time_seconds)
            else:  # of a label, segments close in the order in which they open
                end_seconds = min(each.end_seconds, video.duration_seconds)
                rows[number].append((video.name, each.start_seconds, end_seconds, label, each.score))
    return [Announcements(Segments.from_rows(row), np.array(time)) for row, time in zip(rows, times, strict=True)]


def _steady(figures: np.ndarray) -> np.ndarray:
    """The mean over each threshold and its two neighbours, (C,) to (C,).

    Of 300 combinations that are measured on a few dozen segments, the best one is best by luck. Luck changes from one
    threshold to the next, and what is good for other footage too does not.
    """
    padded = np.pad(figures.reshape(SHAPE), ((1, 1), (0, 0), (0, 0)), mode="edge")
    return ((padded[:-2] + padded[1:-1] + padded[2:]) / 3).ravel()


def _best(values: np.ndarray) -> int:
    """The place of the highest value (C,).

    Of places with the highest value, it is one with the durations next to the usual ones, and then in the middle of the
    thresholds that are as good.
    """
    good = (values >= values.max() - 1e-9).reshape(SHAPE)
    usual = np.array(np.unravel_index(USUAL, SHAPE))[1:]
    pairs = np.argwhere(good.any(axis=0))
    pair = pairs[np.abs(pairs - usual).sum(axis=1).argmin()]
    places = np.flatnonzero(good[:, *pair])
    plateaus = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
    widest = max(plateaus, key=len)
    return int(np.ravel_multi_index((widest[len(widest) // 2], *pair), SHAPE))


def _within(tried: Sequence[_Tried], allowed: int, unseen: int, hours: float) -> dict[str, int]:
    """The place of each label's combination, with no more false alarms in all than are allowed.

    Every label begins with as few as it can have. Those that are left go where each brings the most true segments.

    unseen  false alarms of the labels that have no decisions
    """
    values, alarms, gains = [], [], []
    for each in tried:
        # Late announcements break ties only: all of them weigh less than a third, which is the step of a mean of three.
        value = [count.in_time + count.announced / (4 * count.true) for count in each.counts]
        count = np.array([count.false_alarms for count in each.counts]).reshape(SHAPE)
        values.append(_steady(np.array(value)))
        alarms.append(np.maximum.accumulate(count[::-1])[::-1].ravel())  # a lower threshold may join two to one
        best = np.full(alarms[-1].max() + 1, -np.inf)
        np.maximum.at(best, alarms[-1], values[-1])
        gains.append(np.maximum.accumulate(best))  # the highest value with so many false alarms or fewer
    spent = [int(alarm.min()) for alarm in alarms]
    fewest = sum(spent) + unseen
    if fewest > allowed:
        raise ActionstreamError(
            f"the labels have {fewest} false alarms at least in {60 * hours:.1f} minutes, where {allowed} are "
            f"allowed; allow {math.ceil(fewest / hours)} an hour or more, or add videos to learn from"
        )
    left = allowed - fewest
    while left:
        steps = [
            ((value - best[now]) / more, more, label)
            for label, (best, now) in enumerate(zip(gains, spent, strict=True))
            for more, value in enumerate(best[now + 1 : now + left + 1], 1)
        ]
        rate, more, label = max(steps, key=lambda step: step[:1], default=(0.0, 0, 0))
        if rate < 1e-9:
            break
        spent[label] += more
        left -= more
    return {
        each.label: _best(np.where(alarm <= most, value, -np.inf))
        for each, alarm, most, value in zip(tried, alarms, spent, values, strict=True)
    }
