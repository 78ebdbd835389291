"""A stream that is handed over: frames that are sampled are labelled, and its events go on in the next watch."""

import pickle
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from actionstream import Engine, SourceError, Watch, open_source
from actionstream.sources.source import Source


class Part(Source):
    """Some frames of the sample, as a live source or as a file; after the last one it waits until it is stopped."""

    def __init__(self, frames, *, live=False, fails=False):
        super().__init__("part")
        self.live, self._frames, self._fails = live, frames, fails
        self._stopped = threading.Event()

    def __iter__(self):
        for frame in self._frames:
            yield replace(frame, available=time.perf_counter())
            if self.live:
                time.sleep(0.002)
        if self._fails:
            raise ValueError("broken")
        self._stopped.wait()
        if self.live:
            raise SourceError("part has ended")

    def stop(self):
        self._stopped.set()


@pytest.fixture(scope="module")
def frames():
    return list(open_source("sample"))


def hand_over(watch, at, events=None):
    """Run a watch, and hand its stream over after so many predictions: these, what is left, the last counts."""
    found, left, counts = [], [], None
    for update in watch:
        if events is not None:
            events += update.events
        if update.prediction is not None:
            found.append(update.prediction)
            if len(found) == at:
                watch.hand_over("door", left.append)
        elif update.notice is not None and update.notice.event == "close":
            counts = update.notice.counts
    return found, left, counts


@pytest.mark.parametrize("live", [False, True])
def test_no_sampled_frame_is_lost_and_the_next_watch_goes_on(frames, live, monkeypatch):
    expected, all_events = [], []
    whole = Watch(Engine(threshold=0.3))
    whole.add(Part(frames), name="door")
    for update in whole:
        all_events += update.events
        if update.prediction is not None:
            expected.append(update.prediction)
            if len(expected) == len(frames) // 2:
                whole.stop()

    events = []
    before = Watch(Engine(threshold=0.3))
    before.add(Part(frames, live=live), name="door")
    found, (left,), counts = hand_over(before, 30, events)
    left = pickle.loads(pickle.dumps(left))
    assert counts.waiting == 0
    assert counts.dropped.get("ended", 0) == 0
    assert counts.received == counts.labelled + sum(counts.dropped.values())
    assert counts.labelled == len(found)
    assert left.open_events == {e.id for e in events if e.event == "start"} - {e.id for e in events if e.event == "end"}

    if live:
        return  # which frames are dropped is chance
    monkeypatch.setattr(time, "time", lambda: left.wall_seconds + 1 / 30)
    after = Watch(Engine(threshold=0.3))
    after.add(Part(frames[counts.received :]), name="door", resume=left)
    for update in after:
        events += update.events
        if update.prediction is not None:
            found.append(update.prediction)
            if len(found) == len(expected):
                after.stop()
    assert np.array_equal([each.scores for each in found], [each.scores for each in expected])
    ids = {e.id for e in events if e.event == "start"}
    assert {e.id for e in events if e.event == "end"} == ids
    assert len(ids) == len([e for e in all_events if e.event == "start"])


def test_before_its_first_prediction_a_stream_leaves_what_it_began_with(frames):
    before = Watch(Engine(threshold=0.3))
    before.add(Part(frames), name="door")
    _, (left,), _ = hand_over(before, 30)
    after = Watch(Engine(threshold=0.3), keep_open=True)
    after.add(Part([]), name="door", resume=left)
    again = []
    threading.Timer(0.3, lambda: (after.hand_over("door", again.append), after.stop())).start()
    for _ in after:
        pass
    assert again == [left]


def test_a_stream_that_fails_leaves_nothing_and_its_events_end(frames):
    watch, events, left = Watch(Engine(threshold=0.2)), [], []
    watch.add(Part(frames[:90], fails=True), name="door")
    for update in watch:
        events += update.events
        if update.notice is not None and update.notice.event == "close":
            assert "broken" in update.notice.reason
        elif update.prediction is not None and update.prediction.frame > 80:
            watch._streams["door"].heir = left.append
    assert not left
    starts, ends = ({e.id for e in events if e.event == kind} for kind in ("start", "end"))
    assert starts == ends
    assert starts
