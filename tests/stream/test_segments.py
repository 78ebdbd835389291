"""Segments from scores: the truth found again, and the laws."""

import tracemalloc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from evaluation import segments, truth
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from actionstream.evaluation.detection import thumos14_detection
from actionstream.results import Segment
from actionstream.scoring import SegmentFinder, sure_segments
from actionstream.scoring.grouping import group, refine, smooth
from actionstream.scoring.segments import break_up

RATE = 16  # a second: exact in binary
STEP = 1 / RATE
LABELS = ("rest", "wave", "clap", "jump")


def rendered(seed, *, noise, activation="softmax", seconds=120):
    """Probabilities with segments in them, their times, and the segments."""
    random = np.random.default_rng(seed)
    times = np.arange(seconds * RATE) * STEP
    logits = np.zeros((len(times), len(LABELS))) - (2.0 if activation == "sigmoid" else 0.0)
    if activation == "softmax":
        logits[:, 0] = 3.0
    rows, begin = [], 3.0
    while (end := begin + random.uniform(3 if activation == "sigmoid" else 1, 6)) < seconds - 3:
        index = int(random.integers(1, len(LABELS))) if activation == "softmax" else len(rows) % 3 + 1
        inside = (times >= begin) & (times < end)
        if activation == "softmax":
            logits[inside, 0] = 0.0
        logits[inside, index] = 3.0
        rows.append(("v", begin, end, LABELS[index]))
        # with sigmoid the next one, which is of another label, may begin before this one has ended
        begin = end + random.uniform(3, 6) - (4 if activation == "sigmoid" else 0)
    logits += random.normal(0, noise, logits.shape)
    powers = np.exp(logits)
    return powers / (1 + powers if activation == "sigmoid" else powers.sum(axis=1, keepdims=True)), times, rows


def thresholded(probabilities, times, threshold=0.5):
    """The runs of rows above a threshold, for each class: what the finder has to beat."""
    found = []
    for column, label in zip(probabilities.T[1:], LABELS[1:], strict=True):
        edges = np.flatnonzero(np.diff(column >= threshold, prepend=False, append=False))
        for i, j in zip(edges[::2], edges[1::2], strict=True):
            found.append(Segment(times[i], times[j - 1] + STEP, label, column[i:j].mean()))
    return found


def accuracy(rows, found, iou=0.5):
    detections = segments(*(("v", s.start_seconds, s.end_seconds, s.label, s.score) for s in found))
    return float(thumos14_detection(truth(*rows), detections, iou_thresholds=(iou,)).map[0])


@pytest.mark.parametrize("suppression", ["hard", "soft"])
@pytest.mark.parametrize(("seed", "noise"), [(0, 0.0), (1, 1.0), (3, 1.0)])
def test_known_segments_are_found(seed, noise, suppression):
    probabilities, times, rows = rendered(seed, noise=noise)
    finder = SegmentFinder(suppression=suppression)
    found = finder.find(probabilities, times, LABELS, background="rest", interval_seconds=STEP)
    # softly suppressed, a part of one that is sure may rank above the whole of another that is not
    assert accuracy(rows, found) == 1.0 if suppression == "hard" else accuracy(rows, found) > 0.9
    if noise:
        assert accuracy(rows, thresholded(probabilities, times)) < 0.5


def test_without_background_and_with_edges_where_they_are():
    probabilities, times, rows = rendered(3, noise=0.7)
    found = SegmentFinder().find(probabilities[:, 1:], times, LABELS[1:], interval_seconds=STEP)
    assert accuracy(rows, found, iou=0.8) == 1.0


def test_several_labels_at_once():
    probabilities, times, rows = rendered(5, noise=0.7, activation="sigmoid")
    found = SegmentFinder().find(probabilities[:, 1:], times, LABELS[1:], interval_seconds=STEP)
    assert any(a[2] > b[1] for a, b in pairwise(rows))  # or this tests nothing
    assert accuracy(rows, found) == 1.0
    alone = SegmentFinder(multi_label=False, iou_threshold=0).find(
        probabilities[:, 1:], times, LABELS[1:], interval_seconds=STEP
    )
    spans = sorted((s.start_seconds, s.end_seconds) for s in alone)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_the_background_tells_of_an_action_that_no_class_is_sure_of():
    """Two classes take turns; each alone is in pieces, the complement of the background is not."""
    times = np.arange(320) * STEP
    probabilities = np.tile([0.98, 0.01, 0.01], (320, 1))
    inside = (times >= 5) & (times < 15)
    turn = np.arange(320) // 16 % 2
    probabilities[inside & (turn == 0)] = [0.02, 0.97, 0.01]
    probabilities[inside & (turn == 1)] = [0.02, 0.01, 0.97]
    finder = SegmentFinder(smoothing_seconds=0.1, shares=(1.0,))
    found = finder.find(probabilities, times, LABELS[:3], background="rest", interval_seconds=STEP)
    whole = [s for s in found if s.end_seconds - s.start_seconds > 5]
    assert {s.label for s in whole} == {"wave", "clap"}
    assert all((s.start_seconds, s.end_seconds) == (5, 15) for s in whole)
    alone = finder.find(probabilities[:, 1:], times, LABELS[1:3], interval_seconds=STEP)
    assert max(s.end_seconds - s.start_seconds for s in alone) < 5


levels = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.5, 0.8, 1.0])
tracks = st.lists(st.tuples(st.integers(1, 8), levels, levels, st.sampled_from([1, 1, 1, 1, 20])), max_size=12)
finders = st.builds(
    SegmentFinder,
    thresholds=st.just((0.2, 0.4, 0.6)),
    shares=st.just((0.5, 1.0)),
    smoothing_seconds=st.sampled_from([0.0, 0.1, 0.5]),
    suppression=st.sampled_from(["hard", "soft"]),
    multi_label=st.booleans(),
    min_seconds=st.sampled_from([0.0, 0.25]),
)


def rows_of(track):
    """Steps of several rows each; before a new step there may be a gap."""
    values = [row for num, a, b, _ in track for row in [[a, b]] * num]
    steps = [step for num, _, _, gap in track for step in [gap] + [1] * (num - 1)]
    return np.array(values).reshape(-1, 2), np.cumsum(steps) * STEP


@examples(max_examples=50, deadline=None)
@given(tracks, finders)
def test_what_holds_of_all_segments(track, finder):
    probabilities, times = rows_of(track)
    found = finder.find(probabilities, times, LABELS[:2], interval_seconds=STEP)
    scores = [s.score for s in found]
    assert scores == sorted(scores, reverse=True)
    assert all(finder.min_score <= score <= 1 for score in scores)
    ends = times + STEP
    gaps = times[np.flatnonzero(np.diff(times) > 1) + 1]
    for s in found:
        assert s.start_seconds in times
        assert s.end_seconds in ends
        assert s.end_seconds - s.start_seconds >= max(STEP, finder.min_seconds)
        assert not ((s.start_seconds < gaps) & (gaps < s.end_seconds)).any()
    if finder.suppression == "hard":
        for n, s in enumerate(found):
            for other in found[:n]:
                if s.label == other.label or not finder.multi_label:
                    shared = min(s.end_seconds, other.end_seconds) - max(s.start_seconds, other.start_seconds)
                    union = max(s.end_seconds, other.end_seconds) - min(s.start_seconds, other.start_seconds)
                    assert shared <= finder.iou_threshold * union


@examples(max_examples=40, deadline=None)
@given(tracks, finders, st.integers(-1000, 10**6))
def test_the_clock_does_not_matter(track, finder, shift):
    probabilities, times = rows_of(track)
    found = finder.find(probabilities, times, LABELS[:2], interval_seconds=STEP)
    later = finder.find(probabilities, times + shift, LABELS[:2], interval_seconds=STEP)
    assert later == [Segment(s.start_seconds + shift, s.end_seconds + shift, s.label, s.score) for s in found]


@examples(max_examples=40, deadline=None)
@given(tracks, tracks, finders)
def test_a_gap_parts(before, after, finder):
    """What is found on both sides of a gap is what is found in each side alone."""
    one, two = rows_of(before), rows_of(after)
    begin = (one[1][-1] if len(one[1]) else 0) + 10
    both = np.concatenate([one[0], two[0]]), np.concatenate([one[1], two[1] + begin])
    found = [
        finder.find(probabilities, times, LABELS[:2], interval_seconds=STEP)
        for probabilities, times in (both, one, (two[0], two[1] + begin))
    ]

    def as_set(some):
        return {(s.start_seconds, s.end_seconds, s.label, s.score) for s in some}

    assert as_set(found[0]) == as_set(found[1]) | as_set(found[2])


@examples(max_examples=20, deadline=None)
@given(tracks, tracks, finders)
def test_a_row_that_begins_anew_parts(before, after, finder):
    """As a gap does, without one."""
    one, two = rows_of(before), rows_of(after)
    begin = one[1][-1] if len(one[1]) else 0
    two = two[0], two[1] - two[1][:1] + begin + STEP
    both = np.concatenate([one[0], two[0]]), np.concatenate([one[1], two[1]])
    begins_anew = np.arange(len(both[1])) == len(one[1])
    found = finder.find(*both, LABELS[:2], interval_seconds=STEP, begins_anew=begins_anew)
    parts = [finder.find(*each, LABELS[:2], interval_seconds=STEP) for each in (one, two)]
    assert len(found) == sum(map(len, parts))
    assert set(found) == {*parts[0], *parts[1]}


def test_where_breaks_are_and_until_when_rows_stand():
    times = np.array([0.0, 1.0, 2.5, 3.0, 13.0])
    firsts, ends = break_up(times, interval_seconds=1.0, begins_anew=np.array([0, 0, 1, 1, 0], bool))
    assert firsts.tolist() == [True, False, True, True, True]
    assert ends.tolist() == [1.0, 2.0, 3.0, 4.0, 14.0], "a row never stands when the next one does"
    assert [each.tolist() for each in break_up(np.empty(0), interval_seconds=1.0)] == [[], []]


def test_memory_is_not_that_of_all_classes_in_double_precision():
    labels = [str(n) for n in range(60)]
    probabilities = np.full((2000, len(labels)), 0.01, np.float32)
    for index in range(len(labels)):
        probabilities[30 * index : 30 * index + 100, index] = 0.9
    finder = SegmentFinder(thresholds=(0.5,), shares=(1.0,))
    tracemalloc.start()
    try:
        found = finder.find(probabilities, np.arange(2000) * STEP, labels, background="0", interval_seconds=STEP)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert {each.label for each in found if each.score > 0.5} == set(labels[1:])
    assert peak < probabilities.nbytes


def test_nothing_one_row_and_what_never_changes():
    finder = SegmentFinder(min_seconds=0)
    assert finder.find(np.empty((0, 2)), np.empty(0), LABELS[:2], interval_seconds=STEP) == []
    assert finder.find(np.array([[0.0, 0.75]]), np.array([7.0]), LABELS[:2], interval_seconds=STEP) == [
        Segment(7.0, 7.0 + STEP, "wave", pytest.approx(0.75))
    ]
    constant = np.tile([0.25, 0.75], (160, 1))
    assert finder.find(constant, np.arange(160) * STEP, LABELS[:2], interval_seconds=STEP) == [
        Segment(0.0, 10.0, "wave", pytest.approx(0.75)),
        Segment(0.0, 10.0, "rest", pytest.approx(0.25)),
    ]
    assert finder.find(constant, np.arange(160) * STEP, LABELS[:2], background="rest", interval_seconds=STEP) == [
        Segment(0.0, 10.0, "wave", pytest.approx(0.75))
    ]


def naive_groups(curve, thresholds, shares):
    """The rule, word for word."""
    found = set()
    for threshold in thresholds:
        above = [value >= threshold for value in curve]
        basins, n = [], 0
        while n < len(curve):
            if above[n]:
                first = n
                while n < len(curve) and above[n]:
                    n += 1
                basins.append((first, n))
            n += 1
        for share in shares:
            for number, (first, end) in enumerate(basins):
                for _, next_end in basins[number + 1 :]:
                    if sum(above[first:next_end]) / (next_end - first) < share - 1e-9:
                        break
                    end = next_end
                found.add((first, end))
    return found


@examples(max_examples=60, deadline=None)
@given(st.lists(levels, max_size=60), st.sampled_from([(0.3,), (0.2, 0.5, 0.9)]))
def test_grouping_is_the_rule(curve, thresholds):
    shares = (0.2, 0.5, 0.75, 1.0)
    spans = group(np.array(curve), thresholds, shares)
    assert [tuple(span) for span in spans.tolist()] == sorted(naive_groups(curve, thresholds, shares))


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.6])
def test_ends_are_where_the_step_was_whatever_threshold_found_it(threshold):
    curve = np.full(120, 0.05)
    curve[30:70] = 0.75
    curve = smooth(curve, 4.0)
    spans = group(curve, [threshold], [1.0])
    assert (spans != [[30, 70]]).all() or threshold == 0.3
    assert np.abs(refine(spans, curve, 8) - [30, 70]).max() <= (threshold > 0.5)


def test_smoothing_keeps_a_constant_and_the_sum():
    curve = np.full(9, 0.4)
    assert np.allclose(smooth(curve, 3.0), curve)
    impulse = np.zeros(41)
    impulse[20] = 1
    out = smooth(impulse, 2.0)
    assert out.sum() == pytest.approx(1)
    assert out[22] / out[20] == pytest.approx(np.exp(-0.5))


def test_only_so_many():
    probabilities, times, _ = rendered(1, noise=1.0)
    everything = SegmentFinder().find(probabilities, times, LABELS, interval_seconds=STEP)
    some = SegmentFinder(max_segments=3).find(probabilities, times, LABELS, interval_seconds=STEP)
    assert len(some) == 3
    assert set(some) <= set(everything)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"smoothing_seconds": -1}, r"the smoothing time is -1 seconds; it must be 0 or more"),
        ({"min_seconds": float("nan")}, r"the minimum duration is nan seconds"),
        ({"thresholds": ()}, r"the thresholds are \(\); give one or more"),
        ({"shares": (0.5, 1.5)}, r"the shares are \(0.5, 1.5\)"),
        ({"num_labels": 0}, r"num_labels is 0"),
        ({"max_segments": 0}, r"max_segments 0; both are 1 or more"),
        ({"suppression": "linear"}, r"no suppression 'linear'; there are hard, soft"),
        ({"iou_threshold": 2}, r"the IoU threshold is 2; it is a number from 0 to 1"),
        ({"min_score": -0.1}, r"the minimum score is -0.1"),
    ],
)
def test_refuses_odd_settings(options, message):
    with pytest.raises(ValueError, match=message):
        SegmentFinder(**options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probabilities": np.zeros((3, 3))}, r"probabilities \(3, 3\), times \(3,\) and 2 labels do not fit"),
        ({"probabilities": np.full((3, 2), 1.5)}, r"probabilities are numbers from 0 to 1; softmax or sigmoid"),
        ({"probabilities": np.full((3, 2), np.nan)}, r"probabilities are numbers from 0 to 1"),
        ({"times_seconds": np.array([0.0, 1.0, 1.0])}, r"times must be finite and increase"),
        ({"times_seconds": np.array([0.0, 1.0, np.inf])}, r"times must be finite"),
        ({"begins_anew": np.zeros(2, bool)}, r"begins_anew is bool \(2,\); it is bool \(3,\)"),
        ({"begins_anew": np.array([0, 2, 1])}, r"begins_anew is int64 \(3,\); it is bool"),
        ({"background": "nothing"}, r"no label is called 'nothing'; there are rest, wave"),
        ({"interval_seconds": 0}, r"interval_seconds is 0; it must be positive"),
    ],
)
def test_refuses_odd_input(changes, message):
    usual = {
        "probabilities": np.zeros((3, 2)),
        "times_seconds": np.arange(3.0),
        "labels": LABELS[:2],
        "interval_seconds": 1.0,
    }
    with pytest.raises(ValueError, match=message):
        SegmentFinder().find(**{**usual, **changes})


def test_a_person_is_shown_what_is_sure_and_each_thing_once():
    whole, part, other, apart, pale = (
        Segment(0, 10, "wave", 0.8),
        Segment(4, 6, "wave", 0.7),
        Segment(4, 6, "clap", 0.6),
        Segment(9, 12, "wave", 0.5),
        Segment(20, 22, "wave", 0.2),
    )
    assert sure_segments([whole, part, other, apart, pale]) == [whole, other, apart]
    assert sure_segments([whole, apart, pale], 0.1) == [whole, apart, pale]
    assert sure_segments([part, replace(whole, score=0.65)]) == [part], "of the two the better one, also if shorter"


SPANS = st.tuples(st.integers(0, 12), st.integers(1, 8), st.sampled_from(["wave", "clap"]))


@given(st.lists(SPANS, max_size=12))
def test_no_segment_that_is_shown_lies_inside_another_of_its_label(spans):
    every = [Segment(start, start + length, label, 0.9) for start, length, label in spans]
    shown = sure_segments(every)
    for a in shown:
        assert not any(
            a is not b and a.label == b.label and b.start_seconds <= a.start_seconds and a.end_seconds <= b.end_seconds
            for b in shown
        )
    for a in every:
        near = [b for b in shown if b.label == a.label]
        shared = [min(a.end_seconds, b.end_seconds) - max(a.start_seconds, b.start_seconds) for b in near]
        assert a in shown or max(shared) > 0, "what is left out overlaps something that is shown"
