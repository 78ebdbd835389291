"""`actionstream watch --timeline`: segments and what the whole shows, while the stream runs."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import on_a_terminal, random_card

from actionstream import watch
from actionstream.engine.labelling import EventSettings
from actionstream.live.timeline import Timeline
from actionstream.models.training.sample_clip import SECONDS, TIMELINE
from actionstream.models.weights.checkpoint import read_card
from actionstream.results import OpenSegment, Prediction, Segment
from actionstream.scoring import integrate
from actionstream.sources import SAMPLE

EVENTS = EventSettings(threshold=0.6, smoothing_seconds=0)
COMMAND = Path(sys.executable).with_name("actionstream")


def iou(a, b):
    shared = min(a[1], b[1]) - max(a[0], b[0])
    return max(0.0, shared) / (max(a[1], b[1]) - min(a[0], b[0]))


def test_the_sample_as_json(run):
    code, out, err = run("watch", "sample", "--timeline", "--json")
    assert (code, err) == (0, "")
    values = [json.loads(line) for line in out.splitlines()]
    assert all(value["schema"] == "actionstream/1" and value["stream"] == "sample.mp4" for value in values)
    assert sum("labels" in value for value in values) == 330  # and the rest is as it was
    assert values[-1]["event"] == "close"

    closed = [v for v in values if v.get("segment") == "closed"]
    assert [v["label"] for v in closed] == list(TIMELINE)
    for index, v in enumerate(closed):
        true = index * SECONDS, (index + 1) * SECONDS
        assert iou((v["start_seconds"], v["end_seconds"]), true) > 0.45  # a causal network is late at both ends
        assert 0.5 < v["score"] <= 1

    now, announced = -1.0, {}
    for v in values:
        now = v["time_seconds"] if "labels" in v else now
        if v.get("segment") == "open":
            assert v["end_seconds"] is None
            assert now - v["start_seconds"] < 0.2 + 0.1  # the delay, and less than two rows
            announced[v["label"]] = v["start_seconds"]
        if v.get("segment") == "closed":
            assert announced.pop(v["label"]) == v["start_seconds"]
            assert now - v["end_seconds"] < 0.4 + 0.1

    videos = [v for v in values if "video" in v]
    assert np.diff([v["time_seconds"] for v in videos[:-1]]) == pytest.approx(2, abs=0.1)
    assert videos[-1]["time_seconds"] == [v for v in values if "labels" in v][-1]["time_seconds"]
    assert videos[-1]["horizon_seconds"] is None


def test_the_last_answer_is_that_of_all_rows(run):
    _, out, _ = run("watch", "sample", "--timeline", "--json", "--top", 10, "--max-frames", 100)
    last = [v for v in map(json.loads, out.splitlines()) if "video" in v][-1]
    card = read_card("motion")
    rows = [p for p in watch(SAMPLE, max_frames=100) if p.frames_since_reset > card.context]
    scores = integrate(np.array([p.scores for p in rows]), times_seconds=np.array([p.time_seconds for p in rows]))
    expected = dict(zip(card.labels, card.probabilities(scores), strict=True))
    assert {v["label"]: v["score"] for v in last["video"]} == pytest.approx(expected, abs=1e-4)


def test_in_a_pipe_segments_take_the_place_of_events(run):
    code, out, err = run("watch", "sample", "--timeline", "--max-frames", 200)
    assert (code, err) == (0, "")
    *segments, video, summary = out.splitlines()
    assert [line.split()[-1] for line in segments] == list(TIMELINE[: len(segments)])
    assert all(len(line.split()) == 6 for line in segments)  # start s end s score label
    assert video.startswith("whole video: ")
    assert summary.startswith("200 frames, 100 labelled")
    assert "\x1b" not in out


@pytest.mark.waits
def test_on_a_terminal_the_open_segments_stand_below():
    code, text = on_a_terminal([COMMAND, "watch", "sample", "sample", "--timeline", "--max-frames", "90"])
    assert code == 0
    assert "still since 0.3 s" in text
    assert "sample.mp4 (2): whole video: " in text


def predictions(card, labels, *, reset_at=(), begin=0.0):
    """A prediction each 0.1 s that is sure of a label."""
    since = 0
    for n, label in enumerate(labels):
        since = 1 if n == 0 or n in reset_at else since + 1
        scores = np.where(np.array(card.labels) == label, 5.0, 0.0).astype(np.float32)
        probabilities = card.probabilities(scores)
        yield Prediction(
            stream="s",
            frame=n,
            time_seconds=begin + 0.1 * n,
            latency_ms=1.0,
            split_ms={},
            frames_since_reset=since,
            reset="gap" if since == 1 else None,
            names=card.labels,
            scores=scores,
            probabilities=probabilities,
            smoothed=probabilities,
            events=(),
        )


def test_a_reset_ends_segments_and_times_that_jump_back_begin_anew():
    card = replace(random_card(), labels=("wave", "clap", "nod", "background"))
    timeline = Timeline("s", card, events=EVENTS)
    told = [timeline.push(p) for p in predictions(card, ["wave"] * 30, reset_at=(20,), begin=100.0)]
    news = [each for one in told for each in one.news]
    assert [type(each) for each in news] == [OpenSegment, Segment, OpenSegment]
    assert (news[1].start_seconds, news[1].end_seconds) == pytest.approx((100.1, 102.0))  # row 0 is context
    assert timeline.push(next(predictions(card, ["nod"]))).news == (
        Segment(news[2].start_seconds, pytest.approx(103.0), "wave", pytest.approx(news[1].score)),
    )
    later = [timeline.push(p) for p in predictions(card, ["nod"] * 30)]
    assert later[-1].open_segments[0].label == "nod"
    assert later[-1].video.labels[0].label == "nod"  # nothing is left of the waves
    assert timeline.flush().video_is_new


def test_the_horizon_forgets():
    card = random_card()
    shown = ["wave"] * 300 + ["clap"] * 300
    last = {}
    for horizon_seconds in (None, 20.0):
        timeline = Timeline("s", card, events=EVENTS, horizon_seconds=horizon_seconds)
        for prediction in predictions(card, shown):
            timeline.push(prediction)
        last[horizon_seconds] = {each.label: each.score for each in timeline.flush().video.labels}
    assert last[20.0]["clap"] > 0.95
    assert last[None]["wave"] > 0.3


def test_background_is_no_segment_and_a_stream_of_nothing_has_no_timeline():
    card = replace(random_card(), labels=("wave", "clap", "nod", "background"))
    timeline = Timeline("s", card, events=replace(EVENTS, background="background"))
    told = [timeline.push(p) for p in predictions(card, ["background"] * 20)]
    assert all(one.news == () for one in told)
    empty = Timeline("s", card, events=EVENTS)
    assert empty.flush().to_dicts(5) == []
    assert empty.push(next(predictions(card, ["wave"]))).video is None  # context
    assert empty.flush().to_dicts(5) == []
