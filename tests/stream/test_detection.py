"""Temporal detection: against evaluators written as plain loops, and against released figures."""

import csv
import gzip
import json
import math
import time

import numpy as np
import pytest
from evaluation import problems, segments, truth
from helpers import shared
from hypothesis import given, settings

from actionstream.evaluation import activitynet, thumos14
from actionstream.evaluation.detection import activitynet_detection, thumos14_detection
from actionstream.evaluation.segments import Segments
from actionstream.scoring import nms

THRESHOLDS = (0.0, 0.25, 1 / 3, 0.5, 0.75, 1.0)
"""Those that IoUs of whole seconds reach exactly are among them."""


def iou_thumos14(a, b):
    (a, b), (c, d) = sorted(a), sorted(b)
    shared_seconds = min(b, d) - max(a, c)
    return shared_seconds / (max(b, d) - min(a, c)) if shared_seconds > 0 else 0.0


def iou_activitynet(a, b):
    shared_seconds = max(min(a[1], b[1]) - max(a[0], b[0]), 0)
    union = (a[1] - a[0]) + (b[1] - b[0]) - shared_seconds
    return shared_seconds / union if union else math.nan


def thumos14_by_loops(known, found, label, threshold):
    """AP of a class, video by video and annotation by annotation."""
    wanted = [r for r in known.segments.rows() if r[3] == label]
    found = [r for r in found.rows() if r[3] == label]
    ranked = []
    for video in sorted({r[0] for r in found}):
        here = sorted((r for r in found if r[0] == video), key=lambda r: -r[4])
        taken = set()
        for annotation in (r for r in wanted if r[0] == video):
            free = [n for n in range(len(here)) if n not in taken]
            if free:
                best = max(free, key=lambda n: (iou_thumos14(annotation[1:3], here[n][1:3]), -n))
                if iou_thumos14(annotation[1:3], here[best][1:3]) > threshold:
                    taken.add(best)
        unclear = [r for r in known.ambiguous.rows() if r[0] == video]
        for n, detection in enumerate(here):
            if n in taken or not any(iou_thumos14(r[1:3], detection[1:3]) > 0 for r in unclear):
                ranked.append((detection[4], n in taken))
    ranked.sort(key=lambda pair: -pair[0])
    right, total = 0, 0.0
    for rank, (_, hit) in enumerate(ranked, 1):
        right += hit
        total += hit * right / rank
    return total / len(wanted)


def activitynet_by_loops(known, found, label, threshold):
    """AP of a class, detection by detection."""
    wanted = [r for r in known.segments.rows() if r[3] == label]
    found = [r for r in found.rows() if r[3] == label]
    taken, hits = set(), []
    for index in np.argsort([r[4] for r in found], kind="stable")[::-1]:
        here = [n for n, r in enumerate(wanted) if r[0] == found[index][0]]
        overlaps = np.array([iou_activitynet(found[index][1:3], wanted[n][1:3]) for n in here])
        hits.append(False)
        for place in np.argsort(overlaps, kind="stable")[::-1]:  # NaN comes last, so it is tried first
            if overlaps[place] < threshold:
                break
            if here[place] not in taken:
                taken.add(here[place])
                hits[-1] = True
                break
    return interpolated(hits, len(wanted))


def interpolated(hits, num_true):
    """The area under the precision that is made to fall, step by step of recall."""
    precision = [sum(hits[: n + 1]) / (n + 1) for n in range(len(hits))]
    return sum(max(precision[n:]) for n, hit in enumerate(hits) if hit) / num_true


@settings(max_examples=100, deadline=None)
@given(problems(backwards=True))
def test_thumos14_is_the_loop(problem):
    known, found = problem
    accuracy = thumos14_detection(known, found, iou_thresholds=THRESHOLDS)
    assert accuracy.labels == tuple(sorted(set(known.segments.labels.tolist())))
    expected = [[thumos14_by_loops(known, found, label, t) for label in accuracy.labels] for t in THRESHOLDS]
    assert np.allclose(accuracy.ap, expected, rtol=0, atol=1e-12)
    assert accuracy.average_map == pytest.approx(np.mean(expected))


@settings(max_examples=100, deadline=None)
@given(problems(backwards=True))
def test_activitynet_is_the_loop(problem):
    known, found = problem
    accuracy = activitynet_detection(known, found, iou_thresholds=THRESHOLDS)
    expected = [[activitynet_by_loops(known, found, label, t) for label in accuracy.labels] for t in THRESHOLDS]
    assert np.allclose(accuracy.ap, expected, rtol=0, atol=1e-12)
    assert np.allclose(accuracy.map, np.mean(expected, axis=1))


def ap(evaluate, known, found, threshold=0.5):
    return evaluate(known, found, iou_thresholds=(threshold,)).ap[0].tolist()


def test_an_overlap_of_exactly_the_threshold():
    known, found = truth(("a", 0, 2, "x")), segments(("a", 0, 4, "x"))
    assert ap(thumos14_detection, known, found) == [0]
    assert ap(activitynet_detection, known, found) == [1]


def test_who_chooses():
    known = truth(("a", 0, 10, "x"))
    found = segments(("a", 0, 8, "x", 0.9), ("a", 0, 10, "x", 0.8))
    assert ap(thumos14_detection, known, found) == [0.5], "the annotation takes the best overlap, second in rank"
    assert ap(activitynet_detection, known, found) == [1], "the best score takes the annotation"


def test_a_detection_takes_the_next_best_annotation():
    known = truth(("a", 0, 10, "x"), ("a", 0, 8, "x"))
    found = segments(("a", 0, 10, "x", 0.9), ("a", 0, 10, "x", 0.8))
    assert ap(activitynet_detection, known, found) == [1]


def test_of_two_annotations_that_are_equally_close_the_later_is_taken():
    known = truth(("a", 0, 5, "x"), ("a", 5, 10, "x"))
    found = segments(("a", 0, 10, "x", 0.9), ("a", 0, 5, "x", 0.8))
    assert ap(activitynet_detection, known, found) == [1]


def test_ambiguous_segments_excuse():
    known = truth(("a", 0, 10, "x"), ambiguous=[("a", 20, 30, "Ambiguous"), ("a", 0, 1, "Ambiguous")])
    found = segments(("a", 29, 40, "x", 0.9), ("a", 0, 10, "x", 0.8), ("b", 20, 30, "x", 0.7))
    assert ap(thumos14_detection, known, found) == [1], (
        "what touches one is neither right nor wrong, unless it is right"
    )
    assert ap(thumos14_detection, known, segments(("a", 30, 40, "x", 0.9), ("a", 0, 10, "x", 0.8))) == [0.5]


def test_equal_scores():
    known = truth(("b", 0, 10, "x"))
    found = segments(("b", 0, 10, "x", 0.5), ("a", 0, 10, "x", 0.5))
    assert ap(thumos14_detection, known, found) == [0.5], "by the name of the video"
    assert ap(activitynet_detection, known, found) == [0.5], "the later first"
    assert ap(activitynet_detection, known, found[::-1]) == [1]


def test_two_segments_without_duration_match_only_for_activitynet():
    known, found = truth(("a", 3, 3, "x")), segments(("a", 3, 3, "x"))
    assert ap(thumos14_detection, known, found) == [0]
    assert ap(activitynet_detection, known, found) == [1]


@pytest.mark.parametrize("evaluate", [thumos14_detection, activitynet_detection])
def test_what_counts(evaluate):
    known = truth(("a", 0, 10, "x"), ("b", 0, 10, "y"), videos="ad", labels="xyz")
    right = ("a", 0, 10, "x", 0.5)
    assert ap(evaluate, known, segments(right)) == [1, 0], "a class that nobody found has AP 0"
    assert ap(evaluate, known, segments(("c", 0, 10, "x", 0.9), right)) == [0.5, 0], "no truth in c: false"
    assert ap(evaluate, known, segments(("d", 0, 10, "x", 0.9), right)) == [0.5, 0], "nothing happens in d: false"
    assert ap(evaluate, known, segments(right, right)) == [1, 0], "a duplicate is false, but here it is last"
    assert ap(evaluate, known, segments(right, ("a", 0, 10, "z", 0.9))) == [1, 0], "z has no truth in this subset"
    assert ap(evaluate, known, segments()) == [0, 0]
    known = truth(("a", 0, 10, "x"), ("a", 0, 10, "x"))
    assert ap(evaluate, known, segments(right)) == [0.5], "each of two equal annotations has to be found"
    assert ap(evaluate, known, segments(right, right)) == [1]


@pytest.mark.parametrize("evaluate", [thumos14_detection, activitynet_detection])
def test_blocked_videos_are_in_neither(evaluate):
    known = truth(("a", 0, 10, "x"), ("b", 0, 10, "x"), ("b", 0, 10, "y"))
    found = segments(("b", 20, 30, "x", 0.9), ("a", 0, 10, "x", 0.8))
    accuracy = evaluate(known, found, iou_thresholds=(0.5,), blocked=["b"])
    assert (accuracy.labels, accuracy.average_map) == (("x",), 1)
    with pytest.raises(ValueError, match="no annotations are left"):
        evaluate(known, found, blocked=["a", "b"])


@pytest.mark.parametrize("evaluate", [thumos14_detection, activitynet_detection])
def test_bad_input(evaluate):
    known = truth(("a", 0, 10, "x"), labels="xz")
    with pytest.raises(ValueError, match="no video of the truth: they have v_a"):
        evaluate(known, segments(("v_a", 0, 10, "x")))
    assert ap(evaluate, known, segments(("a", 0, 10, "z"))) == [0]
    with pytest.raises(ValueError, match=r"no label of the truth: they have 'q'|labels .* not in the truth: 'q'"):
        evaluate(known, segments(("a", 0, 10, "q")))
    with pytest.raises(ValueError, match="a detection of video a has no start and end"):
        evaluate(known, segments(("a", math.nan, math.nan, "x")))
    with pytest.raises(ValueError, match="an annotation of video a has no start and end"):
        evaluate(truth(("a", math.nan, math.nan, "x")), segments(("a", 0, 1, "x")))


def test_labels_that_the_truth_does_not_know():
    known, found = truth(("a", 0, 10, "x")), segments(("a", 0, 10, "x"), ("a", 0, 10, "X"), ("a", 0, 10, "Y"))
    assert ap(thumos14_detection, known, found) == [1]
    with pytest.raises(ValueError, match="2 labels of the results are not in the truth: 'X', 'Y'; it has 1"):
        activitynet_detection(known, found)


# S-CNN on THUMOS14. What is special about its pipeline is here and nowhere else: NMS at the threshold of the evaluation
# less 0.1, where the later of equal scores wins, and results that go through a text file with few digits.


@pytest.fixture(scope="module")
def scnn():
    folder = shared("data", "thumos14")
    expected = json.loads((folder / "expected.json").read_text())
    with gzip.open(folder / "scnn_c3d_detections.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    names = expected["classes"]
    found = Segments.from_rows(
        (r["video"], float(r["start_s"]), float(r["end_s"]), names[int(r["class_index"]) - 1], float(r["score"]))
        for r in rows
    )
    assert len(found) == expected["rows"] == 69563
    return expected, thumos14.read_truth(folder / "annotation_test"), found


def suppressed(found, threshold):
    """What NMS leaves, by score, then video, class, and order in NMS."""
    turned = found[::-1]
    groups = np.char.add(np.char.add(turned.videos, " "), turned.labels)
    kept = turned[nms(turned.intervals, turned.scores, iou_threshold=threshold, groups=groups)]
    return kept[np.lexsort((kept.labels, kept.videos, -kept.scores))]


def through_text(found, names, path):
    lines = [f"{v} {s:.1f} {e:.1f} {names.index(c) + 1} {p:.5g}\n" for v, s, e, c, p in found.rows()]
    path.write_text("".join(lines))
    classes = {str(number): name for number, name in enumerate(names, 1)}
    return thumos14.read_detections(path, classes=classes)


@pytest.mark.parametrize("threshold", [0.1, 0.2, 0.3, 0.4, 0.5])
def test_released_figures_of_scnn(scnn, threshold, tmp_path):
    expected, known, found = scnn
    key = str(threshold)
    kept = suppressed(found, threshold - 0.1)
    assert len(kept) == expected["detections_after_nms"][key]
    unrounded = thumos14_detection(known, kept, iou_thresholds=(threshold,))
    read = through_text(kept, expected["classes"], tmp_path / "detections.txt")
    accuracy = thumos14_detection(known, read, iou_thresholds=(threshold,))
    assert accuracy.average_map == pytest.approx(expected["released_mAP"][key], abs=1e-9)
    for label, value in zip(accuracy.labels, accuracy.ap[0], strict=True):
        assert value == pytest.approx(expected["released_AP_per_class"][key][label], abs=1e-9)
    assert abs(unrounded.average_map - expected["released_mAP"][key]) > 1e-4, "rounding does not matter here?"
    nothing_unclear = truth(*(row[:4] for row in known.segments.rows()), videos=known.durations_seconds)
    strict = thumos14_detection(nothing_unclear, read, iou_thresholds=(threshold,))
    assert strict.average_map == pytest.approx(
        expected["ablation_mAP"]["ambiguous_counted_as_false_positives"][key], abs=1e-9
    )


def test_scnn_takes_seconds(scnn, record_property):
    """NMS and evaluation of 69,563 detections at five thresholds; the time is reported, machines differ."""
    _, known, found = scnn
    start = time.process_time()
    for threshold in (0.1, 0.2, 0.3, 0.4, 0.5):
        thumos14_detection(known, suppressed(found, threshold - 0.1), iou_thresholds=(threshold,))
    seconds = time.process_time() - start
    record_property("seconds", round(seconds, 2))
    print(f"NMS and evaluation of {len(found)} detections at five thresholds took {seconds:.2f} s of one core")


def test_the_mislabelled_videos():
    """What another project left out of the same annotations is what we leave out."""
    folder = shared("data", "thumos14")
    ours = thumos14.read_truth(folder / "annotation_test").without(thumos14.MISLABELLED)
    theirs = thumos14.read_truth(folder / "thumos_gt.json")
    assert sorted(ours.segments.rows()) == sorted(theirs.segments.rows())
    assert set(ours.durations_seconds) == set(theirs.durations_seconds)
    assert len(ours.durations_seconds) == 210


# ActivityNet's own evaluator on predictions without ties, and on its samples, which are all ties.


@pytest.fixture(scope="module")
def anet():
    folder = shared("data", "activitynet")
    expected = json.loads((folder / "expected.json").read_text())
    known = activitynet.read_truth(folder / "activity_net.v1-3.rebuilt.json.gz", subset="validation")
    return folder, expected, known


def test_figures_of_the_official_evaluator(anet):
    folder, expected, known = anet
    expected = expected["exact"]["derived_detection_prediction.json.gz"]
    found = activitynet.read_results(folder / "derived_detection_prediction.json.gz", task="detection")
    assert (len(known.segments), len(found)) == (expected["ground_truth_instances"], expected["predictions"])
    accuracy = activitynet_detection(known, found)
    assert accuracy.average_map == pytest.approx(expected["average_mAP"], abs=1e-9)
    for threshold, value in zip(accuracy.iou_thresholds, accuracy.map, strict=True):
        assert value == pytest.approx(expected["mAP"][f"{threshold:.2f}"], abs=1e-9)
    assert len(accuracy.labels) == 200
    for label, values in zip(accuracy.labels, accuracy.ap.T, strict=True):
        assert values == pytest.approx(expected["AP_per_class_at_tiou_050_to_095"][label], abs=1e-9)
    shuffled = found[np.random.default_rng(0).permutation(len(found))]
    assert np.allclose(activitynet_detection(known, shuffled).ap, accuracy.ap, rtol=0, atol=1e-12)


def test_official_samples(anet):
    folder, expected, known = anet
    expected = expected["official_samples"]["sample_detection_prediction.json"]
    found = activitynet.read_results(folder / "sample_detection_prediction.json", task="detection")
    values = activitynet_detection(known, found).map
    assert np.allclose(values, values[0])
    low, high = expected["as_run"]["average_mAP"], expected["average_mAP_over_4_shuffles"][1]
    assert low - 1e-6 <= values[0] <= high + 1e-6
    stripped = found[np.isin(found.videos, list(known.durations_seconds))]
    assert activitynet_detection(known, stripped).map.tolist() == [1.0] * 10
