"""What a stream leaves goes on in another process as if nothing had happened."""

import pickle
import time
from dataclasses import replace

import numpy as np

from actionstream import Engine, Watch, open_source
from actionstream.sources.source import Source


class Part(Source):
    """Some frames of the sample."""

    def __init__(self, frames):
        super().__init__("part")
        self._frames = frames

    def __iter__(self):
        for frame in self._frames:
            yield replace(frame, available=time.perf_counter())


def run(watch, found, events):
    left = None
    for update in watch:
        events += update.events
        if update.prediction is not None:
            found.append(update.prediction)
            left = watch.left("door") or left
    return left


def test_a_stream_goes_on(monkeypatch):
    frames = list(open_source("sample"))
    half = len(frames) // 2
    expected, all_events = [], []
    whole = Watch(Engine(threshold=0.3))
    whole.add(Part(frames), name="door")
    run(whole, expected, all_events)

    found, events = [], []
    before = Watch(Engine(threshold=0.3))
    before.add(Part(frames[:half]), name="door")
    left = pickle.loads(pickle.dumps(run(before, found, [])))
    assert left.last_seconds == frames[half].time_seconds  # the end of the last frame
    monkeypatch.setattr(time, "time", lambda: left.wall_seconds)  # the next frame comes in time
    after = Watch(Engine(threshold=0.3))
    after.add(Part(frames[half:]), name="door", resume=left)
    run(after, found, events)
    assert [each.reset for each in found] == [each.reset for each in expected]
    assert np.array_equal([each.scores for each in found], [each.scores for each in expected])
    assert np.allclose([each.time_seconds for each in found], [each.time_seconds for each in expected], atol=2e-3)
    late = [event for event in all_events if event.time_seconds > left.last_seconds + 0.1]
    assert late
    assert [(e.event, e.label) for e in events if e.time_seconds > left.last_seconds + 0.1] == [
        (e.event, e.label) for e in late
    ]


def test_a_pause_is_a_gap(monkeypatch):
    frames = list(open_source("sample"))
    before, after, found = Watch(Engine()), Watch(Engine()), []
    before.add(Part(frames[:40]), name="door")
    left = run(before, [], [])
    monkeypatch.setattr(time, "time", lambda: left.wall_seconds + 5)
    after.add(Part(frames[40:60]), name="door", resume=left)
    run(after, found, [])
    assert found[0].reset == "gap"
    assert abs(found[0].time_seconds - (left.last_seconds + 5)) < 0.1


def test_without_events_labels_start_anew():
    frames = list(open_source("sample"))
    before, after, events = Watch(Engine(threshold=0.2)), Watch(Engine(threshold=0.2)), []
    before.add(Part(frames[:60]), name="door")
    left = run(before, [], events)
    open_ids = {e.id for e in events if e.event == "start"} & {e.id for e in events[-2:] if e.event == "end"}
    assert open_ids  # they ended with the source only
    events.clear()
    after.add(Part(frames[60:62]), name="door", resume=left.without_events())
    run(after, [], events)
    assert not open_ids & {event.id for event in events}
