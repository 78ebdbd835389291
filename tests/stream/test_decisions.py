"""Decisions chosen by label: what they promise is what a live tracker gives, and they are robust where they can be."""

import math
from dataclasses import replace

import numpy as np
import pytest
from evaluation import segments
from hypothesis import given, settings
from hypothesis import strategies as st

from actionstream.detector.decisions import (
    COMBINATIONS,
    SHAPE,
    USUAL,
    HeldOut,
    _best,
    _steady,
    _told,
    _Tried,
    _within,
    choose_decisions,
)
from actionstream.evaluation.announcements import AnnouncementCounts, Announcements, match_announcements
from actionstream.evaluation.detection import activitynet_detection
from actionstream.evaluation.segmental_f1 import segmental_f1
from actionstream.evaluation.segments import Truth
from actionstream.models.common.errors import ActionstreamError
from actionstream.results import OpenSegment
from actionstream.scoring import SegmentTracker

STEP = 0.2
LABELS = ("wave", "clap", "jump")


def footage(seed, *, num_videos=3, num_rows=150, labels=LABELS, noise=1.0):
    """Videos with a few true segments of each label, whose probabilities are logits and slow noise."""
    random = np.random.default_rng(seed)
    videos, rows = [], []
    for number in range(num_videos):
        times = np.arange(num_rows) * STEP
        times[num_rows // 2 :] += 4.0  # a gap
        logits = np.full((num_rows, len(labels)), -2.0)
        for column, label in enumerate(labels):
            for start in (2.0, 14.0, 26.0)[: random.integers(1, 4)]:
                start += random.uniform(-1, 1)
                end = start + random.uniform(0.5, 6.0)
                rows.append((f"video {number}", start, end, label))
                logits[(times > start) & (times < end), column] = random.uniform(0, 2)
        steps = random.normal(size=logits.shape) * noise
        for now in range(1, num_rows):
            steps[now] += 0.8 * steps[now - 1]
        begins_anew = np.zeros(num_rows, bool)
        begins_anew[[0, num_rows // 3]] = True
        probabilities = (1 / (1 + np.exp(-logits - steps))).astype(np.float32)
        videos.append(HeldOut(f"video {number}", probabilities, times, begins_anew, float(times[-1]) + STEP / 2))
    return videos, truth_of(videos, rows, labels)


def truth_of(videos, rows, labels=LABELS, ambiguous=()):
    return Truth(segments(*rows), segments(*ambiguous), {video.name: math.nan for video in videos}, tuple(labels))


def of_label(truth, label):
    return replace(truth, segments=truth.segments[truth.segments.labels == label])


def live(videos, labels, *, start, min_duration_seconds, max_dip_seconds, smoothing_seconds=0.3):
    """The closed segments of a real tracker with all labels, and when it announced them."""
    rows, announced = [], {}  # of a label, one segment at a time is open
    for video in videos:
        tracker, times = None, video.times_seconds.tolist()
        for row, time, begins in zip(video.probabilities, times, video.begins_anew, strict=True):
            news = []
            if begins:
                news += tracker.flush() if tracker else []
                tracker = SegmentTracker(
                    labels,
                    interval_seconds=STEP,
                    smoothing_seconds=smoothing_seconds,
                    start=start,
                    min_duration_seconds=min_duration_seconds,
                    max_dip_seconds=max_dip_seconds,
                )
            for each in news + tracker.push(row, time):
                if isinstance(each, OpenSegment):
                    announced[each.label] = time
                else:
                    rows.append((video.name, each, announced[each.label]))
        rows += [(video.name, each, announced[each.label]) for each in tracker.flush()]
    ends = {video.name: video.duration_seconds for video in videos}
    found = segments(
        *(
            (name, each.start_seconds, min(each.end_seconds, ends[name]), each.label, each.score)
            for name, each, _ in rows
        )
    )
    return Announcements(found, np.array([time for _, _, time in rows]))


def live_at(videos, labels, decisions):
    return live(
        videos,
        labels,
        start={**decisions.thresholds, "*": 0.6},
        min_duration_seconds={**decisions.min_durations, "*": 0.2},
        max_dip_seconds={**decisions.max_dips, "*": 0.4},
    )


def choose(videos, truth, labels=None, metric="f1", **options):
    labels = labels or LABELS[: videos[0].probabilities.shape[1]]
    return choose_decisions(videos, truth, labels, interval_seconds=STEP, metric=metric, **options)


@pytest.mark.parametrize("seed", range(2))
def test_the_f1_that_is_promised_is_that_of_a_live_tracker(seed):
    videos, truth = footage(seed)
    decisions = choose(videos, truth)
    found = live_at(videos, LABELS, decisions).segments
    for label in LABELS:
        f1 = segmental_f1(of_label(truth, label), found[found.labels == label])
        assert decisions.figures[label] == pytest.approx(np.mean(f1), abs=1e-12)
    usual = live(videos, LABELS, start=0.6, min_duration_seconds=0.2, max_dip_seconds=0.4).segments
    of_usual = [np.mean(segmental_f1(of_label(truth, label), usual[usual.labels == label])) for label in LABELS]
    assert np.mean(list(decisions.figures.values())) > np.mean(of_usual) + 0.02


def test_the_ap_that_is_promised_is_that_of_a_live_tracker():
    videos, truth = footage(0)
    decisions = choose(videos, truth, metric="map")
    found = live_at(videos, LABELS, decisions).segments
    ap = activitynet_detection(truth, found, iou_thresholds=[0.5])
    assert decisions.figures == pytest.approx(dict(zip(ap.labels, ap.ap[0].tolist(), strict=True)), abs=1e-12)
    assert min(decisions.figures.values()) > 0


def test_no_combination_is_better_with_its_neighbours():
    videos, truth = footage(5, num_videos=1, num_rows=110, labels=("wave",))
    figures = {"f1": [], "map": []}
    for threshold, min_duration, max_dip in COMBINATIONS:
        told = live(videos, ("wave",), start=threshold, min_duration_seconds=min_duration, max_dip_seconds=max_dip)
        figures["f1"].append(np.mean(segmental_f1(truth, told.segments)))
        figures["map"].append(activitynet_detection(truth, told.segments, iou_thresholds=[0.5]).average_map)
    for metric, each in figures.items():
        table = np.array(each).reshape(SHAPE)
        table = np.stack([table[[max(n - 1, 0), n, min(n + 1, 18)]].mean(axis=0) for n in range(19)])
        decisions = choose(videos, truth, metric=metric)
        chosen = decisions.thresholds["wave"], decisions.min_durations["wave"], decisions.max_dips["wave"]
        place = COMBINATIONS.index(chosen)
        assert table.ravel()[place] == pytest.approx(table.max(), abs=1e-9)
        assert decisions.figures["wave"] == pytest.approx(each[place], abs=1e-12)


rows = st.tuples(
    st.sampled_from([STEP, STEP, STEP, 0.5, 1.5, 3.0]),
    st.sampled_from([0.0, 0.12, 0.3, 0.6, 0.9]),
    st.sampled_from([False] * 9 + [True]),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(rows, min_size=1, max_size=30), min_size=1, max_size=2), st.data())
def test_what_is_tried_is_what_a_live_tracker_tells(streams, data):
    videos = []
    for number, stream in enumerate(streams):
        steps, levels, begins = zip(*stream, strict=True)
        probabilities = np.array(levels, np.float32)[:, None]
        begins_anew = np.array([True, *begins[1:]])
        times = np.cumsum(steps)
        last = np.flatnonzero(begins_anew)[-1]
        times[last:] -= 0.7  # what begins anew may begin earlier
        videos.append(HeldOut(f"video {number}", probabilities, times, begins_anew, float(times[-1]) + 0.1))
    told = _told(videos, 0, "wave", STEP, 0.3)
    for place in data.draw(st.lists(st.integers(0, len(COMBINATIONS) - 1), min_size=8, max_size=8)):
        start, min_duration, max_dip = COMBINATIONS[place]
        expected = live(videos, ("wave",), start=start, min_duration_seconds=min_duration, max_dip_seconds=max_dip)
        assert list(told[place].segments.rows()) == list(expected.segments.rows())
        assert told[place].times_seconds.tolist() == expected.times_seconds.tolist()


@pytest.mark.parametrize("smoothing_seconds", [0.0, 1.0])
def test_the_smoothing_is_that_of_the_tracker(smoothing_seconds):
    videos, truth = footage(1, labels=("wave",))
    decisions = choose(videos, truth, ("wave",), smoothing_seconds=smoothing_seconds)
    found = live(
        videos,
        ("wave",),
        start=decisions.thresholds,
        min_duration_seconds=decisions.min_durations,
        max_dip_seconds=decisions.max_dips,
        smoothing_seconds=smoothing_seconds,
    ).segments
    assert decisions.figures["wave"] == pytest.approx(np.mean(segmental_f1(truth, found)), abs=1e-12)


@pytest.mark.parametrize("allowed", [3, 10])
def test_false_alarms_are_those_of_a_live_tracker_and_within_the_bound(allowed):
    videos, truth = footage(2)
    hours = sum(video.duration_seconds for video in videos) / 3600
    decisions = choose(videos, truth, metric="false-alarms", false_alarms_per_hour=allowed / hours)
    found = live_at(videos, LABELS, decisions)
    matched = match_announcements(truth, found)
    in_time = (matched.taken >= 0) & ~matched.late
    assert matched.false.sum() == sum(counts.false_alarms for counts in decisions.counts.values()) <= allowed
    for label, counts in decisions.counts.items():
        own = found.segments.labels == label
        assert counts.false_alarms == (matched.false & own).sum()
        assert counts.in_time == (in_time & own).sum()
        assert counts.hours == hours
        assert decisions.figures[label] == counts.in_time / counts.true
    assert in_time.any()


def test_more_false_alarms_bring_more_true_segments():
    videos, truth = footage(2)
    hours = sum(video.duration_seconds for video in videos) / 3600
    in_time = []
    for allowed in (2, 30):
        decisions = choose(videos, truth, metric="false-alarms", false_alarms_per_hour=allowed / hours)
        in_time.append(sum(counts.in_time for counts in decisions.counts.values()))
    assert in_time[0] < in_time[1]


def pulses(*columns, seconds=400.0):
    """A video in which each label has pulses (start, end, probability) and nothing between them."""
    times = np.arange(0, seconds, 2 * STEP)
    probabilities = np.zeros((len(times), len(columns)), np.float32)
    for column, rows in enumerate(columns):
        for start, end, probability in rows:
            probabilities[(times >= start - 1e-6) & (times < end - 1e-6), column] = probability
    begins_anew = np.zeros(len(times), bool)
    return HeldOut("video", probabilities, times, begins_anew, seconds)


def test_the_middle_of_a_plateau_with_the_usual_durations():
    video = pulses([(start, start + 8, 0.8) for start in range(20, 380, 40)])
    truth = truth_of([video], [("video", start, start + 8, "wave") for start in range(20, 380, 40)])
    decisions = choose([video], truth, smoothing_seconds=0)
    assert 0.35 <= decisions.thresholds["wave"] <= 0.45  # 0.05 to 0.8 are perfect; the next ones are not
    assert (decisions.min_durations, decisions.max_dips) == ({"wave": 0.2}, {"wave": 0.4})
    assert decisions.figures == {"wave": 1.0}


def test_dips_and_short_rises_choose_the_durations():
    holes = [(start + 3, start + 3.8) for start in range(20, 380, 40)]
    rows = [part for start, end in holes for part in [(start - 3, start, 0.9), (end, start + 5, 0.9)]]
    sparks = [(start, start + 1.2, 0.9) for start in range(40, 380, 40)]
    video = pulses(rows, sparks + [(start, start + 6, 0.9) for start in range(20, 380, 40)])
    truth = truth_of(
        [video],
        [("video", start - 3, start + 5, "wave") for start, _ in holes]
        + [("video", start, start + 6, "clap") for start in range(20, 380, 40)],
    )
    decisions = choose([video], truth, smoothing_seconds=0)
    assert decisions.max_dips == {"wave": 1.0, "clap": 0.4}
    assert decisions.min_durations == {"wave": 0.2, "clap": 1.0}


def test_false_alarms_go_to_the_label_that_gains_most():
    """At 0.7, wave has 2 true segments for a false alarm, clap one for a false alarm; at 0.9 both have one for none."""
    true = {"wave": [(20, 0.95), (60, 0.7), (100, 0.7)], "clap": [(20, 0.95), (60, 0.7)]}
    false = {"wave": [(300, 0.7)], "clap": [(300, 0.7)]}
    video = pulses(*([(s, s + 5, p) for s, p in true[label] + false[label]] for label in ("wave", "clap")))
    truth = truth_of([video], [("video", s, s + 5, label) for label, found in true.items() for s, _ in found])
    hours = video.duration_seconds / 3600

    def chosen(allowed):
        decisions = choose(
            [video], truth, metric="false-alarms", false_alarms_per_hour=allowed / hours, smoothing_seconds=0
        )
        return {label: (counts.false_alarms, counts.in_time) for label, counts in decisions.counts.items()}

    assert chosen(1) == {"wave": (1, 3), "clap": (0, 1)}
    assert chosen(2) == {"wave": (1, 3), "clap": (1, 2)}
    assert chosen(50) == {"wave": (1, 3), "clap": (1, 2)}, "what brings nothing is not spent"


def test_what_is_announced_late_breaks_ties():
    """Both segments of clap reach 0.7 late; 0.9 gives one of them, and neither is in time."""
    late = [(25, 30, 0.95), (65, 70, 0.7)]
    video = pulses([], late)
    truth = truth_of([video], [("video", 20, 30, "clap"), ("video", 60, 70, "clap")])
    decisions = choose([video], truth, metric="false-alarms", false_alarms_per_hour=9.0, smoothing_seconds=0)
    assert (decisions.counts["clap"].announced, decisions.counts["clap"].in_time) == (2, 0)
    assert decisions.figures == {"clap": 0.0}


def test_a_label_that_nobody_saw_keeps_the_usual_decisions_and_its_false_alarms_count():
    known = [(start, start + 5, 0.9) for start in (20, 60)]
    video = pulses([*known, (300, 305, 0.9)], [(s, s + 5, 0.7) for s in (100, 140)])
    truth = truth_of([video], [("video", 20, 25, "wave"), ("video", 60, 65, "wave")])
    hours = video.duration_seconds / 3600
    for metric, options in (("f1", {}), ("false-alarms", {"false_alarms_per_hour": 3 / hours})):
        decisions = choose([video], truth, metric=metric, smoothing_seconds=0, **options)
        parts = (decisions.thresholds, decisions.min_durations, decisions.max_dips, decisions.figures, decisions.counts)
        assert [set(part) for part in parts] == [{"wave"}] * 5
    assert decisions.counts["wave"].false_alarms == 1
    found = choose([video], truth, metric="false-alarms", false_alarms_per_hour=2 / hours, smoothing_seconds=0)
    assert found.counts["wave"].false_alarms == 0, "clap has two at the usual threshold"
    with pytest.raises(
        ActionstreamError, match=r"have 2 false alarms at least in 6.7 minutes, where 1 are allowed; allow 18"
    ):
        choose([video], truth, metric="false-alarms", false_alarms_per_hour=9.0, smoothing_seconds=0)


def test_nothing_at_all_is_seen():
    video = pulses([(20, 25, 0.9)])
    decisions = choose([video], truth_of([video], []))
    assert (decisions.thresholds, decisions.figures, decisions.counts) == ({}, {}, {})


def test_a_label_that_is_never_found_has_figures_of_zero():
    video = pulses([])
    truth = truth_of([video], [("video", 20, 25, "wave")])
    for metric, options in (("f1", {}), ("map", {}), ("false-alarms", {"false_alarms_per_hour": 10.0})):
        decisions = choose([video], truth, ("wave",), metric, **options)
        assert decisions.figures == {"wave": 0.0}
        assert (decisions.min_durations, decisions.max_dips) == ({"wave": 0.2}, {"wave": 0.4})


def test_an_ambiguous_segment_excuses_a_false_alarm():
    video = pulses([(20, 25, 0.9), (100, 105, 0.9)])
    rows, unclear = [("video", 20, 25, "wave")], [("video", 95, 110, "Ambiguous")]
    options = {"metric": "false-alarms", "false_alarms_per_hour": 9.0, "smoothing_seconds": 0}
    assert choose([video], truth_of([video], rows), ("wave",), **options).counts["wave"].false_alarms == 1
    known = truth_of([video], rows, ambiguous=unclear)
    assert choose([video], known, ("wave",), **options).counts["wave"].false_alarms == 0


def test_mistakes():
    video = pulses([(20, 25, 0.9)])
    truth = truth_of([video], [("video", 20, 25, "wave")])
    alarms = {"metric": "false-alarms"}
    with pytest.raises(
        ActionstreamError, match=r"6.7 minutes, in which 2 false alarms .* 30 minutes .* or allow 9 an hour"
    ):
        choose([video], truth, **alarms, false_alarms_per_hour=2.0)
    choose([video], truth, **alarms, false_alarms_per_hour=9.0)
    with pytest.raises(ActionstreamError, match="metric is 'false-alarms' and false_alarms_per_hour is None"):
        choose([video], truth, **alarms)
    with pytest.raises(ActionstreamError, match="metric is 'f1' and false_alarms_per_hour is 2"):
        choose([video], truth, false_alarms_per_hour=2.0)
    for number in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ActionstreamError, match="expected a number above 0"):
            choose([video], truth, **alarms, false_alarms_per_hour=number)
    with pytest.raises(ActionstreamError, match="video other is not in the truth"):
        choose([replace(video, name="other")], truth)


def test_other_videos_and_labels_of_the_truth_do_not_count():
    videos, truth = footage(3, num_videos=2, labels=("wave", "clap"))
    decisions = choose(videos[:1], truth, ("wave",))
    alone = choose(videos[:1], of_label(truth.only(["video 0"]), "wave"), ("wave",))
    assert decisions.figures == alone.figures
    assert decisions.counts["wave"].true == alone.counts["wave"].true


tables = st.lists(st.integers(0, 3), min_size=SHAPE[0], max_size=SHAPE[0])


@settings(max_examples=60, deadline=None)
@given(st.lists(tables, min_size=16, max_size=16))
def test_the_best_is_one_of_the_best_amid_its_plateau(columns):
    table = np.array(columns, np.float64).T.reshape(SHAPE)
    place = _best(table.ravel())
    threshold, *pair = np.unravel_index(place, SHAPE)
    good = (table[:, pair[0], pair[1]] == table.max()).tolist()
    assert good[threshold]
    before = good[:threshold][::-1].index(False) if False in good[:threshold] else threshold
    after = [*good[threshold:], False].index(False) - 1
    assert abs(before - after) <= 1
    runs = "".join("x" if each else " " for each in good).split()
    assert before + after + 1 == max(map(len, runs))
    if (table[:, 1, 1] == table.max()).any():
        assert pair == [1, 1]


def test_equal_values_are_the_usual_ones():
    threshold, min_duration, max_dip = COMBINATIONS[_best(np.zeros(len(COMBINATIONS)))]
    assert (threshold, min_duration, max_dip) == (0.5, 0.2, 0.4)
    assert COMBINATIONS[USUAL] == (0.6, 0.2, 0.4)


def test_a_lucky_threshold_is_not_taken():
    table = np.zeros(SHAPE)
    table[4:9, 1, 1] = 0.8
    table[15, 1, 1] = 1.0  # alone
    assert COMBINATIONS[_best(_steady(table.ravel()))][0] == pytest.approx(0.35)
    assert _steady(np.ones(len(COMBINATIONS))) == pytest.approx(1.0), "the first and last thresholds are no worse"


def counts(false_alarms, in_time, announced):
    return AnnouncementCounts(
        true=9,
        announced=in_time + announced,
        in_time=in_time,
        repeated=0,
        false_alarms=false_alarms,
        hours=1.0,
        lateness_seconds=np.zeros(in_time + announced),
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 3), st.integers(0, 2), st.integers(1, 30))
def test_the_bound_is_kept_and_what_is_left_would_bring_nothing(seed, num_labels, unseen, allowed):
    random = np.random.default_rng(seed)
    tried = []
    for number in range(num_labels):
        alarms, in_time, late = random.integers(0, (9, 6, 4), (len(COMBINATIONS), 3)).T
        fewer = 8 * np.indices(SHAPE)[0].ravel() // (SHAPE[0] - 1)  # at higher thresholds
        each = zip((alarms - fewer).clip(0).tolist(), in_time.tolist(), late.tolist(), strict=True)
        tried.append(_Tried(f"label {number}", np.zeros(len(COMBINATIONS)), [counts(*one) for one in each]))
    chosen = _within(tried, allowed + unseen, unseen, 1.0)
    assert list(chosen) == [each.label for each in tried]
    values = [_steady(np.array([one.in_time + one.announced / 36 for one in each.counts])) for each in tried]
    alarms = [
        np.maximum.accumulate(np.array([one.false_alarms for one in each.counts]).reshape(SHAPE)[::-1])[::-1].ravel()
        for each in tried
    ]
    spent = [alarm[chosen[each.label]] for each, alarm in zip(tried, alarms, strict=True)]
    assert sum(spent) <= allowed
    for each, value, alarm, own in zip(tried, values, alarms, spent, strict=True):
        within = alarm <= own + allowed - sum(spent)
        assert value[chosen[each.label]] == pytest.approx(value[within].max(), abs=1e-9)
