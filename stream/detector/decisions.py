"""The thresholds and durations of labels, chosen on held-out videos as the live path uses them.

Letters: K labels, G combinations of a threshold, a minimum duration and a longest dip.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from actionstream.choices import Metric
from actionstream.engine.labelling import EventSettings
from actionstream.evaluation.announcements import Announcements, count_announcements, match_announcements
from actionstream.evaluation.detection import activitynet_detection
from actionstream.evaluation.segmental_f1 import segmental_f1
from actionstream.evaluation.segments import Segments, Truth
from actionstream.models.card import Card
from actionstream.models.common.errors import ActionstreamError
from actionstream.scoring.events import MIN_DURATION_SECONDS
from actionstream.scoring.tracker import MAX_DIP_SECONDS
from actionstream.videos.live import live_segments
from actionstream.videos.scores import VideoScores

THRESHOLDS = tuple(step / 20 for step in range(1, 20))
MIN_DURATIONS = (0.0, MIN_DURATION_SECONDS, 0.5, 1.0)
MAX_DIPS = (0.0, MAX_DIP_SECONDS, 1.0, 2.0)
SHAPE = len(THRESHOLDS), len(MIN_DURATIONS), len(MAX_DIPS)
COMBINATIONS = tuple(product(THRESHOLDS, MIN_DURATIONS, MAX_DIPS))
IOU_THRESHOLD = 0.5


@dataclass(frozen=True)
class Decisions:
    """When the events of labels start and end, by label; see `Card`."""

    thresholds: dict[str, float]
    min_durations: dict[str, float]
    max_dips: dict[str, float]


def choose_decisions(
    scores: Mapping[str, VideoScores],
    truth: Truth,
    card: Card,
    *,
    metric: Metric = "f1",
    false_alarms_per_hour: float | None = None,
) -> Decisions:
    """The decisions that are best for the live path, of each label that the truth has.

    scores                 of the rows after the warm-up, by the names of the videos in the truth
    metric                 "f1"            the segmental F1 of the label, mean over the IoU thresholds of `segmental_f1`
                           "map"           the average precision of the segments of the live path, at an IoU of 0.5
                           "false-alarms"  true segments announced in time, see `match_announcements`, while all labels
                                           together have no more false alarms than are allowed
    false_alarms_per_hour  at most, for "false-alarms"

    Raises ActionstreamError where the videos are too short for a single false alarm at this rate.
    """
    truth = truth.only(list(scores))
    hours = sum(each.duration_seconds for each in scores.values()) / 3600
    wanted = [label for label in card.labels if label in truth.segments.labels]
    figures: dict[str, np.ndarray] = {}
    hits: dict[str, np.ndarray] = {}
    false: dict[str, np.ndarray] = {}
    for label in wanted:
        own = replace(truth, segments=truth.segments[truth.segments.labels == label])
        found = _try_all(scores, card, label)
        if metric == "false-alarms":
            matched = [match_announcements(own, each) for each in found]
            counts = [count_announcements(own, a, m, hours=hours) for a, m in zip(found, matched, strict=True)]
            hits[label] = np.array([each.in_time + 1e-3 * each.announced for each in counts])
            false[label] = np.array([each.false_alarms for each in counts])
        elif metric == "f1":
            figures[label] = np.array([np.mean(segmental_f1(own, each.segments)) for each in found])
        else:
            figures[label] = np.array([_precision(own, each.segments) for each in found])
    if metric == "false-alarms":
        assert false_alarms_per_hour is not None, "the settings have a number"
        chosen = _within(hits, false, _allowed(false_alarms_per_hour, hours))
    else:
        chosen = {label: _best(_smoothed(figures[label])) for label in wanted}
    thresholds, min_durations, max_dips = (
        {label: COMBINATIONS[place][column] for label, place in chosen.items()} for column in range(3)
    )
    return Decisions(thresholds, min_durations, max_dips)


def _try_all(scores: Mapping[str, VideoScores], card: Card, label: str) -> list[Announcements]:
    """What the live path announces of a label, with each of the G combinations."""
    names = tuple(map(str, range(len(COMBINATIONS))))
    thresholds, min_durations, max_dips = (
        dict(zip(names, each, strict=True)) for each in zip(*COMBINATIONS, strict=True)
    )
    tried = replace(card, labels=names, thresholds=thresholds, min_durations=min_durations, max_dips=max_dips)
    column = card.labels.index(label)
    rows: list[list[tuple[str, float, float, str, float]]] = [[] for _ in names]
    times: list[list[float]] = [[] for _ in names]
    for name, video in scores.items():
        repeated = replace(video, scores=np.repeat(video.scores[:, column : column + 1], len(names), axis=1))
        for each in live_segments(repeated, tried, EventSettings()):
            place = int(each.label)
            rows[place].append((name, each.start_seconds, each.end_seconds, label, each.score))
            times[place].append(each.announced_seconds)
    return [
        Announcements(Segments.from_rows(some), np.array(when, np.float64))
        for some, when in zip(rows, times, strict=True)
    ]


def _precision(truth: Truth, found: Segments) -> float:
    return float(activitynet_detection(truth, found, iou_thresholds=(IOU_THRESHOLD,)).map[0]) if len(found) else 0.0


def _smoothed(figures: np.ndarray) -> np.ndarray:
    """Figures (G,), each as the mean with those at the next lower and higher threshold.

    The best of hundreds of combinations on a few segments is best by luck; one whose neighbours are good, too, is not.
    """
    table = np.pad(figures.reshape(SHAPE), ((1, 1), (0, 0), (0, 0)), mode="edge")
    return ((table[:-2] + table[1:-1] + table[2:]) / 3).ravel()


def _best(figures: np.ndarray) -> int:
    """The combination with the highest figure; of equal ones that with the usual durations, amid the thresholds."""
    best = np.flatnonzero(figures >= figures.max() - 1e-9)
    combinations = np.array(COMBINATIONS)[best]
    unusual = np.abs(combinations[:, 1:] - (MIN_DURATION_SECONDS, MAX_DIP_SECONDS)).sum(axis=1)
    best, combinations = best[unusual == unusual.min()], combinations[unusual == unusual.min()]
    return int(best[np.abs(combinations[:, 0] - combinations[:, 0].mean()).argmin()])


def _allowed(per_hour: float, hours: float) -> int:
    allowed = math.floor(per_hour * hours + 1e-9)
    if allowed < 1:
        raise ActionstreamError(
            f"the held-out videos last {60 * hours:.1f} minutes, in which {per_hour:g} false alarms an hour are not "
            f"one; expected {60 / per_hour:.0f} minutes or more, or {math.ceil(1 / hours)} false alarms an hour or more"
        )
    return allowed


def _within(hits: Mapping[str, np.ndarray], false: Mapping[str, np.ndarray], allowed: int) -> dict[str, int]:
    """The combination of each label with most hits, while all together have no more false alarms than are allowed.

    All labels begin without any; the next ones always go where they gain most hits each.
    """

    def best(label: str, at_most: int) -> int:
        return _best(np.where(false[label] <= at_most, hits[label], -1.0))

    chosen = {label: best(label, 0) for label in hits}
    left = allowed
    while True:
        gains: list[tuple[float, str, int]] = []
        for label, place in chosen.items():
            spent = false[label][place]
            for more in np.unique(false[label][(false[label] > spent) & (false[label] <= spent + left)]).tolist():
                other = best(label, more)
                gain = hits[label][other] - hits[label][place]
                gains.append((gain / (false[label][other] - spent) if gain > 0 else 0.0, label, other))
        gain, label, other = max(gains, default=(0.0, "", 0))
        if gain <= 0:
            return chosen
        left -= int(false[label][other] - false[label][chosen[label]])
        chosen[label] = other
