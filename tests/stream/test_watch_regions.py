"""Regions: parts of a picture that are streams of their own, over one decode."""

import time
from dataclasses import replace

import numpy as np
import pytest

from actionstream import Engine, Watch, open_source
from actionstream.engine.labelling import EventSettings
from actionstream.models.common.errors import ActionstreamError
from actionstream.sources import SAMPLE
from actionstream.sources.source import Source

BOXES = {"left": (0, 160), "right": (160, 320), "middle": (80, 240), "whole": (0, 320)}


def crop(begin, end):
    return lambda image: image[:, begin * image.shape[1] // 320 : end * image.shape[1] // 320]


class Crops(Source):
    """The sample, cropped before anyone sees it."""

    def __init__(self, cut):
        super().__init__("crops")
        self._cut = cut
        self.decoded = 0

    def __iter__(self):
        for frame in open_source("sample"):
            self.decoded += 1
            yield replace(frame, picture=np.ascontiguousarray(self._cut(frame.image)))


def predictions(watch):
    found = {}
    with watch:
        for update in watch:
            if update.prediction is not None:
                found.setdefault(update.stream, []).append(update.prediction)
    return found


def test_four_regions_are_one_decode_and_score_as_crops_do():
    watch = Watch(Engine())
    source = Crops(lambda image: image)
    watch.add(source, name="door", regions={name: crop(*box) for name, box in BOXES.items()})
    found = predictions(watch)
    frames = sum(1 for _ in open_source(SAMPLE))
    assert source.decoded == frames
    assert set(found) == {f"door/{name}" for name in BOXES}
    alone = Watch(Engine())
    for name, box in BOXES.items():
        alone.add(Crops(crop(*box)), name=f"door/{name}")
    for stream, expected in predictions(alone).items():
        assert [each.frame for each in found[stream]] == [each.frame for each in expected]
        ours, theirs = (np.stack([each.scores for each in every]) for every in (found[stream], expected))
        assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()
    assert np.abs(found["door/left"][-1].scores - found["door/right"][-1].scores).max() > 1e-2


def test_a_frame_counts_once_and_events_end_with_the_source():
    watch = Watch(Engine(threshold=0.3))
    watch.add("sample", name="door", regions={"left": crop(0, 160), "whole": crop(0, 320)})
    events, closes, pictures = [], [], {}
    with watch:
        for update in watch:
            events += update.events
            if update.frame is not None:
                pictures[update.stream] = update.frame.image.shape
            if update.notice is not None and update.notice.event == "close":
                closes.append(update)
    (close,) = closes
    assert close.stream == "door"
    counts = close.notice.counts
    assert counts.received == counts.labelled + sum(counts.dropped.values())
    assert counts.labelled > 50
    assert pictures["door/left"][1] * 2 == pictures["door/whole"][1]
    starts = {event.id for event in events if event.event == "start"}
    ends = [event.id for event in events if event.event == "end"]
    assert starts
    assert sorted(ends) == sorted(starts)
    assert {event.stream for event in events} <= {"door/left", "door/whole"}
    assert all(abs(event.wall_seconds - time.time()) < 600 for event in events)


def test_settings_of_events_belong_to_a_stream():
    watch = Watch(Engine())
    watch.add("sample", name="never", events=EventSettings(threshold=1.0))
    watch.add("sample", name="often", events=EventSettings(threshold=0.2, min_duration_seconds=0))
    events = []
    with watch:
        for update in watch:
            events += update.events
    assert {event.stream for event in events} == {"often"}


def test_a_name_is_used_once():
    watch = Watch(Engine())
    watch.add("sample", name="door/left")
    with pytest.raises(ActionstreamError, match="a stream 'door/left' is watched already"):
        watch.add("sample", name="door", regions={"left": crop(0, 160)})
    watch.close()


def test_a_region_that_cannot_be_cut_ends_its_stream():
    def wrong(image):
        raise RuntimeError("no such pixels")

    watch = Watch(Engine())
    watch.add("sample", name="door", regions={"left": crop(0, 160), "wrong": wrong})
    watch.add("sample", name="other")
    closes = {}
    with watch:
        for update in watch:
            if update.notice is not None and update.notice.event == "close":
                closes[update.stream] = update.notice
    assert "no such pixels" in closes["door"].reason
    assert closes["other"].reason is None
    assert closes["other"].counts.labelled > 50
