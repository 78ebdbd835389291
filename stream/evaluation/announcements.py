"""Announced segments: which true segments are announced live, how late, and how many false alarms there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actionstream.evaluation.matching import match, number, pairs_in_groups, places_in_groups
from actionstream.evaluation.segments import Segments, Truth, check_times

TOLERANCE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Announcements:
    """The announced segments of many videos, and the times (N,) at which they were announced.

    The score of a segment is that at its announcement; its end was known only later.
    """

    segments: Segments
    times_seconds: np.ndarray

    def __getitem__(self, which: np.ndarray) -> Announcements:
        """The rows that a mask or indices choose."""
        return Announcements(self.segments[which], self.times_seconds[which])


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedAnnouncements:
    """The verdict on each of N announcements; those in Ambiguous segments may have none.

    taken             int (N,): the true segment, by its row, that it is the first to announce; -1 for none
    lateness_seconds  float64 (N,): its time minus the start of that segment, below 0 where it is early; NaN for none
    late              bool (N,): it takes a true segment, more than the tolerance after its start
    repeated          bool (N,): it belongs only to true segments that others took
    false             bool (N,): it belongs to no true segment: a false alarm
    """

    taken: np.ndarray
    lateness_seconds: np.ndarray
    late: np.ndarray
    repeated: np.ndarray
    false: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncementCounts:
    """Counts of the true segments of a class, or of all, and of its announcements in `hours` of video.

    announced         true segments that were announced: `in_time`, or late
    lateness_seconds  (announced,): announcement minus true start; early ones are below 0
    """

    true: int
    announced: int
    in_time: int
    repeated: int
    false_alarms: int
    hours: float
    lateness_seconds: np.ndarray

    @property
    def false_alarms_an_hour(self) -> float:
        """False alarms an hour of video."""
        return self.false_alarms / self.hours

    def lateness_percentile(self, percent: float) -> float | None:
        """So many percent of the announced segments are no later than this, in seconds; None where there are none."""
        return float(np.percentile(self.lateness_seconds, percent)) if self.announced else None


def match_announcements(
    truth: Truth, announced: Announcements, *, tolerance_seconds: float = TOLERANCE_SECONDS
) -> MatchedAnnouncements:
    """Match announcements with the true segments of their label and video.

    An announcement belongs to a true segment if its time is no more than `tolerance_seconds` before the start and no
    more than that after the end. In the order of their times, each takes the one with the nearest start, of those that
    it belongs to and no other has taken: the first announcement of a segment takes it, later ones are repeated. One
    that belongs to no segment is a false alarm, unless its time lies in an Ambiguous segment of its video. An early
    announcement has a lateness of 0 or less, and is not late.
    """
    wanted, found, times = truth.segments, announced.segments, announced.times_seconds
    check_times(wanted, "an annotation")
    _, (true_label, label) = number(wanted.labels, found.labels)
    num_videos, (true_video, video, unclear_video) = number(wanted.videos, found.videos, truth.ambiguous.videos)
    order = np.argsort(times, kind="stable")
    group = label * num_videos + video
    places = np.empty(len(times), np.int64)
    places[order] = places_in_groups(group[order])

    i, j = pairs_in_groups(group, true_label * num_videos + true_video)
    belongs = _is_inside(times[i], wanted.intervals[j], tolerance_seconds)
    i, j = i[belongs], j[belongs]
    nearest_first = np.lexsort((j, np.abs(times[i] - wanted.start_seconds[j]), i))
    taken = match(i[nearest_first], j[nearest_first], places=places, num_targets=len(wanted))

    takes, owned, unclear = taken >= 0, np.zeros(len(times), bool), np.zeros(len(times), bool)
    owned[i] = True
    i, j = pairs_in_groups(video, unclear_video)
    unclear[i[_is_inside(times[i], truth.ambiguous.intervals[j], 0.0)]] = True
    lateness = np.full(len(times), np.nan)
    lateness[takes] = times[takes] - wanted.start_seconds[taken[takes]]
    return MatchedAnnouncements(
        taken=taken,
        lateness_seconds=lateness,
        late=lateness > tolerance_seconds + 1e-9,
        repeated=owned & ~takes,
        false=~owned & ~unclear,
    )


def count_announcements(
    truth: Truth,
    announced: Announcements,
    matched: MatchedAnnouncements,
    *,
    hours: float,
    label: str | None = None,
) -> AnnouncementCounts:
    """The counts of a label, or of all."""
    these = np.full(len(announced.times_seconds), True) if label is None else announced.segments.labels == label
    lateness = matched.lateness_seconds[these & (matched.taken >= 0)]
    return AnnouncementCounts(
        true=len(truth.segments) if label is None else int(np.count_nonzero(truth.segments.labels == label)),
        announced=len(lateness),
        in_time=len(lateness) - int(np.count_nonzero(matched.late & these)),
        repeated=int(np.count_nonzero(matched.repeated & these)),
        false_alarms=int(np.count_nonzero(matched.false & these)),
        hours=hours,
        lateness_seconds=lateness,
    )


def _is_inside(times_seconds: np.ndarray, intervals: np.ndarray, tolerance_seconds: float) -> np.ndarray:
    """Whether each time (P,) lies in its interval (P, 2), made longer by the tolerance at both ends."""
    edge = tolerance_seconds + 1e-9
    return (times_seconds >= intervals[:, 0] - edge) & (times_seconds <= intervals[:, 1] + edge)
