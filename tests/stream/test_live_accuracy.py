"""Online detection in whole videos: the live path offline, its figures, and the picture of a video."""

from dataclasses import replace

import numpy as np
import pytest
from evaluation import segments, truth
from helpers import random_card
from PIL import Image

from actionstream import open_scorer, open_source, watch
from actionstream.engine.labelling import EventSettings
from actionstream.evaluation.comparison import MAX_LABELS, choose_labels, draw_comparison
from actionstream.evaluation.live import LiveVideo, live_accuracy
from actionstream.frame import Frame
from actionstream.live.timeline import Timeline
from actionstream.models import read_card
from actionstream.results import OpenSegment, Segment
from actionstream.sources import SAMPLE
from actionstream.videos.live import LiveSegment, live_segments
from actionstream.videos.scores import VideoScores, score_video
from actionstream.videos.thumbnails import Thumbnails

CARD = replace(random_card(), labels=("x", "y", "rest", "odd"), activation="sigmoid", context=1)


def test_the_segments_are_those_that_watch_tells():
    card = read_card("motion")
    predictions = list(watch(SAMPLE, max_frames=300))
    scores = score_video(open_source(SAMPLE), open_scorer("motion")).after(card.context)
    shown = scores.times_seconds <= predictions[-1].time_seconds
    scores = replace(
        scores,
        times_seconds=scores.times_seconds[shown],
        scores=scores.scores[shown],
        rows_since_reset=scores.rows_since_reset[shown],
    )
    for events in (
        EventSettings(),
        EventSettings(threshold={"*": 0.8, "left": 0.3}, smoothing_seconds=0.6, min_duration_seconds=0.5),
        EventSettings(end_threshold=0.5, background="still"),
    ):
        timeline = Timeline("s", card, events=events)
        told = [(each.time_seconds, news) for each in predictions for news in timeline.push(each).news]
        told += [(None, news) for news in timeline.flush().news]
        opened = [(time, each) for time, each in told if isinstance(each, OpenSegment)]
        closed = {(each.label, each.start_seconds): each for _, each in told if isinstance(each, Segment)}
        found = live_segments(scores, card, events)
        assert len(found) == len(opened) == len(closed) > 3
        for each, (time, live) in zip(found, opened, strict=True):
            assert (each.announced_seconds, each.start_seconds, each.label) == (time, live.start_seconds, live.label)
            assert each.end_seconds == closed[live.label, live.start_seconds].end_seconds
            assert each.score == pytest.approx(live.score, abs=1e-4)


def test_a_model_brings_its_durations():
    """Those of its card count live and in whole videos, until others are given."""
    card = replace(CARD, min_durations={"x": 1.0}, max_dips={"x": 2.0, "y": 0.0})
    spans = [(1, 2.5, "x"), (4, 5.5, "x"), (7, 7.5, "x"), (1, 2.5, "y"), (2.8, 4.0, "y")]
    found = live_segments(rows(*spans), card, EVENTS)
    assert [(each.label, each.start_seconds, each.announced_seconds) for each in found] == [
        ("y", 1.0, pytest.approx(1.2)),
        ("x", 1.0, 2.0),
        ("y", 2.8, pytest.approx(3.0)),
    ]
    given = live_segments(rows(*spans), card, replace(EVENTS, min_duration_seconds=0.0))
    assert [each.announced_seconds for each in given] == [each.start_seconds for each in given]
    detector = EVENTS.labelling(card).detector
    assert detector.min_durations.tolist() == [1.0, 0.2, 0.2, 0.2]
    assert detector.max_dips.tolist() == [2.0, 0.0, 0.0, 0.0], "live, an event ends at once unless the model says so"


def rows(*spans, num_rows=100, resets=()):
    """Scores of a video of ten rows a second, in which labels are certain in spans of time (start, end, label)."""
    times = np.arange(num_rows) / 10
    scores = np.full((num_rows, 4), -6, np.float32)
    for start, end, label in spans:
        scores[(times >= start - 1e-9) & (times < end - 1e-9), CARD.labels.index(label)] = 6
    ages = np.arange(1, num_rows + 1)
    for reset in resets:
        ages[reset:] = np.arange(1, num_rows - reset + 1)
    return VideoScores(times_seconds=times, scores=scores, rows_since_reset=ages, duration_seconds=num_rows / 10)


EVENTS = EventSettings(smoothing_seconds=0)


def test_announced_after_the_warm_up_and_ended_by_a_reset():
    scores = rows((0, 1, "x"), (4, 6, "x"), (9, 99, "y"), resets=[50]).after(CARD.context)
    found = [
        (each.start_seconds, each.announced_seconds, each.end_seconds, each.label)
        for each in live_segments(scores, CARD, EVENTS)
    ]
    expected = [(0.1, 0.3, 1.0, "x"), (4.0, 4.2, 5.0, "x"), (5.1, 5.3, 6.0, "x"), (9.0, 9.2, 10.0, "y")]
    assert [each[3] for each in found] == [each[3] for each in expected]
    assert [each[:3] for each in found] == [pytest.approx(each[:3]) for each in expected]


def test_the_minimum_duration_delays_the_announcement():
    scores = rows((2, 3.5, "x"), (6, 6.8, "x")).after(CARD.context)
    (found,) = live_segments(scores, CARD, replace(EVENTS, min_duration_seconds=1.0))
    assert (found.start_seconds, found.announced_seconds) == pytest.approx((2.0, 3.0))


def test_a_delayed_model_announces_later():
    """Its segments lie where they are; the rows that say so come later, the last ones with the end of the video."""
    card = replace(CARD, delay_snippets=7)
    spans = [(2, 3.5, "x"), (9.5, 10, "y")]
    plain, late = (live_segments(rows(*spans), each, EVENTS) for each in (CARD, card))
    assert [(each.start_seconds, each.end_seconds) for each in late] == [
        (each.start_seconds, each.end_seconds) for each in plain
    ]
    assert late[0].announced_seconds == pytest.approx(plain[0].announced_seconds + 7 * CARD.interval_seconds)
    assert late[1].announced_seconds == 10


def video(name, *spans, labels=("x", "y"), **options):
    scores = rows(*spans, **options).after(CARD.context)
    return LiveVideo.of(name, scores, CARD, live_segments(scores, CARD, EVENTS), labels=labels)


def test_figures_by_hand():
    known = truth(
        *(("a", 1, 3, "x"), ("a", 5, 6, "y"), ("b", 2, 4, "x")),
        *(("gone", 1, 2, "x"), ("a", 7, 8, "fly")),
        labels=["y"],
        videos=["c"],
    )
    videos = [
        video("a", (1.5, 3, "x"), (7, 8, "y"), (7, 8, "odd")),
        video("b", (3.5, 4, "x")),
        video("c", (8, 9, "x"), num_rows=200),
    ]
    accuracy = live_accuracy(known, videos)
    assert (accuracy.num_videos, accuracy.hours) == (3, pytest.approx(40 / 3600))
    every, of_x, of_y = accuracy.counts, accuracy.by_label["x"], accuracy.by_label["y"]
    assert list(accuracy.by_label) == ["x", "y"], "`odd` is no label of the truth, `fly` none of the model"
    assert (every.true, every.announced, every.in_time, every.repeated, every.false_alarms) == (3, 2, 1, 0, 2)
    assert (of_x.true, of_x.announced, of_x.false_alarms) == (2, 2, 1)
    assert (of_y.true, of_y.announced, of_y.false_alarms) == (1, 0, 1)
    assert every.false_alarms_an_hour == pytest.approx(180)
    assert every.lateness_seconds == pytest.approx([0.7, 1.7])
    assert accuracy.f1 == pytest.approx((4 / 7, 4 / 7, 2 / 7)), "IoUs 0.75 and 0.25 of three true, four found"
    # Of equal scores the last video ranks first: x is false, 1.5 s off and 0.5 s off, y 2 s off.
    assert accuracy.starts.map[:2] == pytest.approx([(1 / 2 * 1 / 3 + 0) / 2, (2 / 3 + 1) / 2])
    held, right = 40, 20  # rows of x that hold, and that the model is certain of, of 25 + 5 rows
    ap_x = (right / held) * (right / 30) + (held - right) / held * held / 397
    ap_y = 10 / 397
    assert accuracy.frames.map == pytest.approx((ap_x + ap_y) / 2, abs=0.01)
    assert accuracy.frames.map < accuracy.frames.calibrated_map < 1


def test_videos_in_which_nothing_is_true():
    known = truth(("gone", 1, 2, "x"), ("a", 12, 13, "x"), videos=["a", "b"])
    nothing = live_accuracy(known, [video("b", (1, 2, "x"))])
    assert (nothing.frames, nothing.starts, nothing.f1) == (None, None, None)
    assert nothing.counts.false_alarms == 1
    outside = live_accuracy(known, [video("a")])
    assert outside.frames is None, "it lies behind the end"
    assert (outside.f1, outside.counts.true, outside.counts.announced) == ((0, 0, 0), 1, 0)


def test_rows_in_ambiguous_segments_do_not_count():
    certain = video("a", (1, 3, "x"), (5, 8, "x"))
    plain, excused = (
        live_accuracy(truth(("a", 1, 3, "x"), ambiguous=ambiguous, videos=["a"]), [certain])
        for ambiguous in ([], [("a", 5, 8, "Ambiguous")])
    )
    assert plain.frames.map == pytest.approx(20 / 50)
    assert excused.frames.map == 1
    assert (plain.counts.false_alarms, excused.counts.false_alarms) == (1, 0)


def thumbnails():
    kept = Thumbnails()
    for index in range(5):
        image = np.full((12, 16, 3), 90, np.uint8)
        kept.push(Frame(stream="a", index=index, time_seconds=float(index), picture=image))
    return kept


def colours(path):
    """The shares of red, amber and green in the rows of a picture."""
    with Image.open(path) as picture:
        assert (picture.format, picture.width) == ("PNG", 1680)
        pixels = np.asarray(picture.convert("RGB")).astype(int)[180:-80]
    shades = {"red": (224, 49, 49), "amber": (240, 140, 0), "green": (47, 158, 68)}
    return {name: np.mean(np.abs(pixels - shade).max(axis=-1) < 8) for name, shade in shades.items()}


def test_the_picture_shows_what_is_wrong(tmp_path):
    path = tmp_path / "a.png"
    known = truth(("a", 1, 3, "x"), ("a", 5, 6, "y"))
    cases = {
        "right": [(1, 3, "x"), (5, 6, "y")],
        "late": [(2.5, 3, "x"), (5, 6, "y")],
        "missed": [(1, 3, "x")],
        "false alarm": [(1, 3, "x"), (5, 6, "y"), (8, 9, "y")],
    }
    shares = {}
    for name, spans in cases.items():
        draw_comparison(path, known, video("a", *spans), thumbnails=thumbnails())
        shares[name] = colours(path)
    assert shares["right"]["red"] == shares["right"]["amber"] == shares["false alarm"]["amber"] == 0
    assert shares["late"]["amber"] > 0.001
    assert shares["false alarm"]["red"] > shares["missed"]["red"] > 0.0005
    assert shares["right"]["green"] > shares["missed"]["green"] > 0.01


def test_pictures_of_nothing_of_much_and_of_what_is_outside(tmp_path):
    path = tmp_path / "a.png"
    draw_comparison(path, truth(videos=["a"]), video("a"), thumbnails=thumbnails())
    assert colours(path)["red"] == 0
    many = [f"label {n:02} $of$ 挥手" for n in range(MAX_LABELS + 5)]
    known = truth(*(("a", 3 * n, 3 * n + 400, label) for n, label in enumerate(many)), ("a", 5, 3, many[0]))
    found = [
        LiveSegment(start_seconds=n, end_seconds=n + 0.1, label=many[3], score=0.5, announced_seconds=n + 0.05)
        for n in range(0, 7200, 60)
    ]
    draw_comparison(
        path,
        known,
        replace(video("a"), segments=found, duration_seconds=7200.0),
        thumbnails=thumbnails(),
    )
    with Image.open(path) as picture:
        assert picture.height == pytest.approx(120 * (2.35 + 0.4 * MAX_LABELS), abs=1)


def test_the_labels_that_are_shown():
    wanted = segments(*(("a", 0, 1, f"t{n:02}") for n in range(MAX_LABELS - 1)), ("a", 2, 3, "t05"))
    found = segments(("a", 0, 1, "a"), ("a", 0, 1, "b"), ("a", 0, 1, "b"), ("a", 0, 1, "t05"))
    shown, num_labels = choose_labels(wanted, found)
    assert shown == ["b", *(f"t{n:02}" for n in range(MAX_LABELS - 1))]
    assert num_labels == MAX_LABELS + 1
