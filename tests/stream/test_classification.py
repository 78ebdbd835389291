"""Classification of untrimmed videos: against loops, and against the official evaluator's figures."""

import json
import math

import numpy as np
import pytest
from evaluation import SCORES, segments, truth
from helpers import shared
from hypothesis import given, settings
from hypothesis import strategies as st

from actionstream.evaluation import activitynet
from actionstream.evaluation.classification import activitynet_classification, hit_at, thumos14_classification
from actionstream.models.labels import read_labels

NOWHEN = (math.nan, math.nan)
ANNOTATIONS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), min_size=1, max_size=10)
FOUND = st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("xyzw"), SCORES), max_size=25)


def known_of(annotations):
    return truth(*((v, *NOWHEN, label) for v, label in annotations), videos="abcd", labels="wxyz")


def found_of(rows):
    return segments(*((v, *NOWHEN, label, score) for v, label, score in rows))


def later_first(rows):
    return [rows[index] for index in np.argsort([r[2] for r in rows], kind="stable")[::-1]]


def activitynet_by_loops(annotations, rows, label):
    wanted = {v for v, each in annotations if each == label}
    seen, hits = set(), []
    for video, each, _ in later_first(rows):
        if each == label:
            hits.append(video in wanted and video not in seen)
            seen.add(video)
    precision = [sum(hits[: n + 1]) / (n + 1) for n in range(len(hits))]
    return sum(max(precision[n:]) for n, hit in enumerate(hits) if hit) / len(wanted)


def thumos14_by_loops(annotations, rows, label):
    score = {v: max((s for w, each, s in rows if (w, each) == (v, label)), default=-math.inf) for v in "abcd"}
    right, total = 0, 0.0
    for rank, video in enumerate(sorted("abcd", key=lambda v: (-score[v], v)), 1):
        if (video, label) in annotations:
            right += 1
            total += right / rank
    return total / right


@settings(deadline=None)
@given(ANNOTATIONS, FOUND)
def test_map_is_the_loop(annotations, rows):
    known, rows = known_of(annotations), [*rows, ("a", "x", 0.5)]
    labels = sorted({label for _, label in annotations})
    for evaluate, by_loops in (
        (activitynet_classification, activitynet_by_loops),
        (thumos14_classification, thumos14_by_loops),
    ):
        accuracy = evaluate(known, found_of(rows))
        expected = [by_loops(annotations, rows, label) for label in labels]
        assert accuracy.labels == tuple(labels)
        assert np.allclose(accuracy.ap, expected, rtol=0, atol=1e-12)
        assert accuracy.map == pytest.approx(np.mean(expected))


@settings(deadline=None)
@given(ANNOTATIONS, FOUND, st.integers(1, 5))
def test_hit_at_is_the_loop(annotations, rows, k):
    rows = [*rows, ("a", "x", 0.5)]
    hits, shares = [], []
    for video in {v for v, _ in annotations}:
        wanted = {label for v, label in annotations if v == video}
        best = {label for _, label, _ in later_first([r for r in rows if r[0] == video])[:k]}
        hits.append(bool(wanted & best))
        shares.append(len(wanted & best) / len(wanted))
    expected = {k: pytest.approx((np.mean(hits), np.mean(shares)))}
    assert hit_at(known_of(annotations), found_of(rows), k=[k]) == expected


def test_background_videos_are_negatives():
    known = known_of([("b", "x")])
    found = found_of([("a", "x", 0.9), ("b", "x", 0.8), ("e", "x", 1.0)])
    assert thumos14_classification(known, found).ap.tolist() == [0.5], "e is no video of the truth: it does not count"
    assert activitynet_classification(known, found).ap.tolist() == [1 / 3], "there it does"


def test_all_of_thumos14s_recognition():
    """101 classes and 1,574 videos, most of them background, against the loop."""
    random = np.random.default_rng(0)
    labels = read_labels("ucf101")
    videos = [f"video_test_{n:07}" for n in range(1, 1575)]
    annotations = [(v, labels[c]) for v in videos[:1010] for c in random.integers(0, 101, random.integers(1, 3))]
    annotations += [(videos[n], label) for n, label in enumerate(labels)]
    scores = random.normal(size=(1574, 101)).round(2)
    known = truth(*((v, *NOWHEN, label) for v, label in annotations), videos=videos)
    found = found_of(
        (v, label, s) for v, row in zip(videos, scores, strict=True) for label, s in zip(labels, row, strict=True)
    )
    accuracy = thumos14_classification(known, found)
    assert len(accuracy.labels) == 101
    for label, value in zip(accuracy.labels, accuracy.ap, strict=True):
        column = scores[:, labels.index(label)]
        wanted = {v for v, each in annotations if each == label}
        ranked = [v in wanted for _, v in sorted(zip(-column, videos, strict=True))]
        expected = sum(sum(ranked[:n]) / n for n in range(1, 1575) if ranked[n - 1]) / len(wanted)
        assert value == pytest.approx(expected, abs=1e-12)


def test_of_equal_scores_the_later_is_first():
    known = known_of([("a", "x"), ("b", "y")])
    assert hit_at(known, found_of([("a", "y", 0.5), ("a", "x", 0.5)]), k=[1]) == {1: (0.5, 0.5)}
    assert hit_at(known, found_of([("a", "x", 0.5), ("a", "y", 0.5)]), k=[1]) == {1: (0, 0)}


def test_what_counts():
    known = known_of([("a", "x"), ("a", "x"), ("b", "x")])
    assert activitynet_classification(known, found_of([("a", "x", 0.5)])).ap.tolist() == [0.5]
    assert activitynet_classification(known, found_of([])).ap.tolist() == [0]
    assert hit_at(known, found_of([]), k=[1]) == {1: (0, 0)}
    assert hit_at(known, found_of([("a", "w", 0.9), ("a", "x", 0.5)]), k=[1, 2]) == {1: (0, 0), 2: (0.5, 0.5)}
    accuracy = thumos14_classification(known, found_of([("a", "x", 0.1)]), blocked=["a"])
    assert accuracy.ap.tolist() == [1]


def test_bad_input():
    known = known_of([("a", "x")])
    with pytest.raises(ValueError, match="1 labels of the results are not in the truth: 'q'"):
        activitynet_classification(known, found_of([("a", "q", 1)]))
    with pytest.raises(ValueError, match="no label of the truth"):
        thumos14_classification(known, found_of([("a", "q", 1)]))
    with pytest.raises(ValueError, match="no video of the truth"):
        hit_at(known, found_of([("v_a", "x", 1)]))
    with pytest.raises(ValueError, match="1 or more, not 0"):
        hit_at(known, found_of([("a", "x", 1)]), k=[0])


@pytest.fixture(scope="module")
def anet():
    folder = shared("data", "activitynet")
    expected = json.loads((folder / "expected.json").read_text())
    known = activitynet.read_truth(folder / "activity_net.v1-3.rebuilt.json.gz", subset="validation")
    return folder, expected, known


def test_figures_of_the_official_evaluator(anet):
    folder, expected, known = anet
    expected = expected["exact"]["derived_classification_prediction.json.gz"]
    found = activitynet.read_results(folder / "derived_classification_prediction.json.gz", task="classification")
    assert len(found) == expected["predictions"]
    accuracy = activitynet_classification(known, found)
    assert accuracy.map == pytest.approx(expected["mAP"], abs=1e-9)
    assert len(accuracy.labels) == 200
    for label, value in zip(accuracy.labels, accuracy.ap, strict=True):
        assert value == pytest.approx(expected["AP_per_class"][label], abs=1e-9)
    for k, (hit, average) in hit_at(known, found).items():
        assert (hit, average) == pytest.approx((expected[f"Hit@{k}"], expected[f"Avg_Hit@{k}"]), abs=1e-9)


def test_official_samples(anet):
    folder, expected, known = anet
    expected = expected["official_samples"]["sample_classification_prediction.json"]
    found = activitynet.read_results(folder / "sample_classification_prediction.json", task="classification")
    stripped = found[np.isin(found.videos, list(known.durations_seconds))]
    for rows, name in ((found, "as_run"), (stripped, "after_dropping_the_198_videos_without_ground_truth")):
        assert len(rows) == expected[name]["predictions"]
        for k, (hit, average) in hit_at(known, rows).items():
            assert (hit, average) == pytest.approx(
                (expected[name][f"Hit@{k}"], expected[name][f"Avg_Hit@{k}"]), abs=1e-9
            )
    low, high = expected["as_run"]["mAP"], expected["mAP_over_3_shuffles"][1]
    assert low - 1e-6 <= activitynet_classification(known, found).map <= high + 1e-6
    assert activitynet_classification(known, stripped).map == 1
