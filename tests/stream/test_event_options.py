"""Options of `watch` that say what an event is: the engine does what they say."""

import json
from contextlib import closing

import numpy as np
import pytest

from actionstream import Engine, Frame, open_source
from actionstream.cli.thresholds import read_thresholds
from actionstream.models.common.errors import ActionstreamError
from actionstream.results import Prediction
from actionstream.scoring.events import complete_thresholds
from actionstream.sinks import Overlay

NUM_FRAMES = 90


@pytest.mark.parametrize(
    ("start", "end", "starts", "ends"),
    [
        ([], [], {"*": 0.6}, {"*": 0.3}),
        (["0.8"], [], {"*": 0.8}, {"*": 0.4}),
        (["wave=0.9"], [], {"*": 0.6, "wave": 0.9}, {"*": 0.3, "wave": 0.45}),
        (["wave=0.9", "0.4"], ["0.1"], {"*": 0.4, "wave": 0.9}, {"*": 0.1}),
        (["wave=0.9"], ["nod=0.5"], {"*": 0.6, "wave": 0.9}, {"*": 0.3, "wave": 0.45, "nod": 0.5}),
        (["a=b=1"], ["a=b=0"], {"*": 0.6, "a=b": 1.0}, {"*": 0.3, "a=b": 0.0}),
    ],
)
def test_thresholds_as_options(start, end, starts, ends):
    given = read_thresholds("--threshold", start), read_thresholds("--end-threshold", end)
    assert complete_thresholds(*given, {}) == (starts, ends)


@pytest.mark.parametrize(
    ("start", "end", "starts", "ends"),
    [
        (None, None, {"*": 0.6, "wave": 0.2, "nod": 0.9}, {"*": 0.3, "wave": 0.1, "nod": 0.45}),
        ({"wave": 0.5}, None, {"*": 0.6, "wave": 0.5, "nod": 0.9}, {"*": 0.3, "wave": 0.25, "nod": 0.45}),
        (0.7, 0.1, {"*": 0.7}, {"*": 0.1}),
        ({"*": 0.7}, {"nod": 0.1}, {"*": 0.7}, {"*": 0.35, "nod": 0.1}),
    ],
)
def test_what_is_given_counts_before_the_thresholds_of_the_model(start, end, starts, ends):
    assert complete_thresholds(start, end, {"wave": 0.2, "nod": 0.9}) == (starts, ends)


@pytest.mark.parametrize("value", ["", "much", "wave", "wave=", "wave=1.1", "-0.1", "nan", "inf", "0.5=wave"])
def test_what_is_no_threshold(value):
    with pytest.raises(ActionstreamError, match=r"--threshold is '.*'; expected a number from 0 to 1, or LABEL=NUMBER"):
        read_thresholds("--threshold", [value])
    with pytest.raises(ActionstreamError, match=r"--end-threshold is '.*'; expected a number from 0 to 1"):
        read_thresholds("--end-threshold", [value])


def test_a_threshold_that_is_there_twice():
    with pytest.raises(ActionstreamError, match=r"--threshold has two numbers for all labels; give one"):
        read_thresholds("--threshold", ["0.5", "0.6"])
    with pytest.raises(ActionstreamError, match=r"--end-threshold has two numbers for the label 'wave'; give one"):
        read_thresholds("--end-threshold", ["wave=0.5", "wave=0.5"])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--threshold", "2"), "--threshold is '2'; expected a number from 0 to 1, or LABEL=NUMBER such as waving=0.8"),
        (("--smoothing", "-1"), "--smoothing is -1; expected a number of seconds, 0 or more"),
        (("--min-duration", "inf"), "--min-duration is inf; expected a number of seconds, 0 or more"),
        (("--gap", "nan"), "--gap is nan; expected a number of seconds, 0 or more"),
        (("--threshold", "rigth=0.5"), "no label is called 'rigth'; nearest is 'right'"),
        (("--end-threshold", "dwon=0.5"), "no label is called 'dwon'; nearest is 'down'"),
        (("--threshold", "up=0.2", "--end-threshold", "0.4"), "the end threshold of 'up' is above its start threshold"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(options, told, run):
    assert run("watch", "sample", "--json", *options) == (2, "", f"actionstream: {told}\n")


def said_by_engine(**settings):
    """The events and resets of the first frames of the sample."""
    engine = Engine("motion", **settings)
    stream = engine.open("sample.mp4")
    events, resets = [], []
    with closing(open_source("sample")) as source:
        for frame in source:
            if frame.index == NUM_FRAMES:
                break
            prediction = engine.push(stream, frame.picture, frame.time_seconds)
            if prediction is not None:
                events += prediction.events
                resets.append(prediction.reset)
    events += engine.flush(stream)
    return [(each.event, each.label, pytest.approx(each.time_seconds, abs=1e-5)) for each in events], resets


def said_by_watch(run, *options):
    code, out, err = run("watch", "sample", "--json", "--max-frames", NUM_FRAMES, *options)
    assert (code, err) == (0, "")
    lines = [json.loads(line) for line in out.splitlines()]
    told = [each for each in lines if each.get("event") in ("start", "end")]
    events = [(each["event"], each["label"], each["time_seconds"]) for each in told]
    return events, [line["reset"] for line in lines if "labels" in line]


@pytest.fixture(scope="module")
def usual():
    return said_by_engine()


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        (("--threshold", "0.99"), {"threshold": 0.99}),
        (("--threshold", "right=0.995"), {"threshold": {"right": 0.995, "*": 0.6}}),
        (("--end-threshold", "0.6"), {"end_threshold": 0.6}),
        (("--end-threshold", "still=0.6"), {"end_threshold": {"still": 0.6, "*": 0.3}}),
        (("--smoothing", "1"), {"smoothing_seconds": 1}),
        (("--min-duration", "0.8"), {"min_duration_seconds": 0.8}),
        (("--gap", "0.02"), {"gap_seconds": 0.02}),
    ],
)
def test_watch_tells_the_engine(options, settings, usual, run):
    wanted = said_by_engine(**settings)
    assert wanted != usual  # the option shows
    assert said_by_watch(run, *options) == wanted


def test_the_timeline_has_the_same_thresholds(run):
    def segments(*options):
        code, out, _ = run("watch", "sample", "--json", "--timeline", "--max-frames", NUM_FRAMES, *options)
        assert code == 0
        found = [json.loads(line) for line in out.splitlines()]
        return [(each["label"], each["end_seconds"]) for each in found if each.get("segment") == "closed"]

    usual = segments()
    assert {label for label, _ in usual} == {"still", "right"}
    assert {label for label, _ in segments("--threshold", "still=1")} == {"right"}
    sooner = segments("--end-threshold", "0.6")
    assert sooner[0][0] == usual[0][0]
    assert sooner[0][1] < usual[0][1]


def test_the_background_is_no_event(run):
    told, _ = said_by_watch(run, "--background", "still")
    assert told
    assert "still" not in {label for _, label, _ in told}
    code, _, err = run("watch", "sample", "--json", "--background", "stil")
    assert code == 2
    assert "no label is called 'stil'" in err


def test_the_overlay_has_them_too():
    def drawn(threshold, background=None):
        image = np.full((240, 320, 3), 200, np.uint8)
        scores = np.array([0.7, 0.3], np.float32)
        prediction = Prediction(
            stream="s",
            frame=0,
            time_seconds=0.0,
            latency_ms=0.0,
            split_ms={},
            frames_since_reset=1,
            reset=None,
            names=("wave", "nod"),
            scores=scores,
            probabilities=scores,
            smoothed=scores,
            events=(),
            background=background,
        )
        return Overlay(top=1, threshold=threshold)(
            Frame(stream="s", index=0, time_seconds=0.0, picture=image), prediction
        )

    shown, hidden = drawn(0.7 - 1e-6), drawn(0.71)
    assert not np.array_equal(shown, hidden)
    assert np.array_equal(drawn({"*": 0.5, "wave": 0.9}), hidden)
    assert np.array_equal(drawn({"*": 0.9, "wave": 0.5}), shown)
    grey = drawn(0.5, background="wave")
    assert not np.array_equal(grey, shown)
    assert np.array_equal(drawn(0.5, background="nod"), shown)
