"""The recorder: what it keeps and loses while the store cannot be written."""

import time
from contextlib import closing

import numpy as np
import pytest
from broker import wait_for

from actionstream.frame import Frame
from actionstream.results import Event, Notice, Prediction, Update
from actionstream.serve import recorder as recorder_module
from actionstream.serve.board import Board
from actionstream.serve.event_records import EventRecords
from actionstream.serve.metrics import Metrics
from actionstream.serve.model_watch import CameraSink
from actionstream.serve.recorder import RecordedCamera, Recorder
from actionstream.serve.store import Store

IMAGE = np.zeros((8, 8, 3), np.uint8)


class Recorded:
    """A recorder with a camera; its disk is full as long as `full` says so."""

    def __init__(self, store):
        self.store, self.said = store, []
        self.metrics = Metrics(store=store, frames=dict, deliveries=list)
        self.board = Board()
        self.recorder = Recorder(store, self.board, self.metrics, say=self.said.append)
        self.camera = RecordedCamera("door", {"door": EventRecords("door", None, "motion")}, snapshots=True)
        store.set_sinks(["sink"])

    def full(self, is_full):
        self.store._database.execute(f"PRAGMA query_only = {int(is_full)}")

    def tell(self, *events, held_back=False):
        events = [
            Event(stream="door", event=kind, id=name, label="wave", time_seconds=1.0, score=0.9)
            for kind, name in events
        ]
        scores = np.array([0.9], np.float32)
        told = Prediction(
            stream="door",
            frame=0,
            time_seconds=1.0,
            wall_seconds=1.8e9,
            latency_ms=1.0,
            split_ms={},
            frames_since_reset=9,
            reset=None,
            names=("wave",),
            scores=scores,
            probabilities=scores,
            smoothed=scores,
            events=tuple(events),
        )
        frame = None if held_back else Frame(stream="door", index=0, time_seconds=1.0, picture=IMAGE)
        self.recorder.push(self.camera, Update(stream="door", frame=frame, prediction=told, events=tuple(events)))

    def stored(self):
        return [(each.record.type, each.record.id) for each in self.store.after("sink", 1000)]


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder_module, "RETRY_SECONDS", 0.05)
    with closing(Store(tmp_path)) as store:
        made = Recorded(store)
        yield made
        made.recorder.stop()


def test_the_board_shows_what_is_stored(recorded):
    shown = []
    recorded.board.listen(lambda fact, value: shown.append((fact.kind, value, recorded.stored())))
    recorded.tell(("start", "a"))
    wait_for(lambda: len(shown) == 3)
    assert [each for each in shown if each[0] != "status"] == [
        ("label", "wave", [("new", "a")]),
        ("on", True, [("new", "a")]),
    ]


def test_an_outage_is_said_once_and_so_is_its_end(recorded):
    sink = CameraSink(recorded.camera, recorded.recorder, say=recorded.said.append)
    for event in ("connect", "disconnect", "warning", "retry", "retry", "reconnect"):
        notice = Notice(stream="door", event=event, time_seconds=1.0, reason=f"the reason of {event}")
        sink.push(Update(stream="door", notice=notice))
    assert recorded.said == ["door: the reason of disconnect", "door: the reason of warning", "door is back"]


def test_records_wait_for_a_full_disk(recorded):
    recorded.tell(("start", "a"))
    wait_for(lambda: recorded.stored() == [("new", "a")])
    recorded.full(True)
    recorded.tell(("end", "a"), ("start", "b"))
    wait_for(lambda: recorded.said)
    time.sleep(0.2)
    recorded.full(False)
    wait_for(lambda: recorded.stored() == [("new", "a"), ("end", "a"), ("new", "b")])
    told, again = recorded.said
    assert told.startswith("events cannot be stored: attempt to write a readonly database")
    assert again == "events are stored again; 0 records were lost so far"
    assert all(each.picture for each in recorded.store.after("sink", 10) if each.record.type == "new")


def test_an_event_of_frames_that_were_held_back_has_the_last_picture(recorded):
    """Its own is gone: it was not known that anybody would want it."""
    recorded.tell()
    recorded.tell(("start", "a"), held_back=True)
    wait_for(lambda: recorded.stored())
    (new,) = recorded.store.after("sink", 10)
    assert new.picture is not None
    latencies = [line for line in recorded.metrics.render().decode().splitlines() if "latency_seconds_count" in line]
    assert [line.split()[-1] for line in latencies] == ["1.0"]  # that of the other one is how long it was held back


def test_what_is_lost_are_whole_events_and_pictures(recorded, monkeypatch):
    monkeypatch.setattr(recorder_module, "MOST_UNSTORED", 3)
    monkeypatch.setattr(recorder_module, "MOST_PICTURES", 2)
    recorded.tell(("start", "a"))
    wait_for(lambda: recorded.stored() == [("new", "a")])
    recorded.full(True)
    for name in "bcdefg":
        recorded.tell(("start", name))
        wait_for(lambda: not recorded.recorder._waiting)  # else there is no picture in the first place
    wait_for(lambda: recorded.recorder.lost == 3)  # the new records of e, f and g
    for name in "gfabc":
        recorded.tell(("end", name))
    wait_for(lambda: recorded.recorder.lost == 5)
    recorded.full(False)
    wait_for(lambda: recorded.recorder.waiting == 0)
    assert recorded.stored() == [
        ("new", "a"),
        *[("new", name) for name in "bcd"],
        *[("end", name) for name in "abc"],
    ]
    pictures = [each.picture is not None for each in recorded.store.after("sink", 10)]
    assert pictures == [True, True, True, False, False, False, False]
    recorded.tell(("end", "d"), ("end", "e"), ("start", "h"))
    wait_for(lambda: recorded.stored()[-2:] == [("end", "d"), ("new", "h")])
    assert [record.id for record in recorded.store.open_events()] == ["h"]


def test_a_fault_of_a_clip_loses_no_end(recorded):
    class Broken:
        def begin(self, record, picture):
            raise ZeroDivisionError(record.id)

        def end(self, record):
            pass

        def forget(self, name):
            pass

    recorded.tell(("start", "a"))
    wait_for(lambda: recorded.stored() == [("new", "a")])
    recorded.camera.clips = Broken()
    recorded.tell(("end", "a"), ("start", "b"))
    recorded.tell(("end", "b"), ("start", "c"))
    wait_for(lambda: recorded.stored() == [("new", "a"), ("end", "a")])
    recorded.recorder.push(
        recorded.camera, Update(stream="door", notice=Notice(stream="door", event="close", time_seconds=2.0))
    )
    wait_for(lambda: recorded.camera.closed)
    (fault,) = recorded.said
    assert "ZeroDivisionError: b" in fault


@pytest.mark.parametrize("goes_on", [False, True])
def test_events_of_a_camera_that_goes_on_elsewhere_stay_open(recorded, goes_on):
    recorded.tell(("start", "one"))
    if goes_on:
        recorded.camera.go_on(None)
    notice = Notice(stream="door", event="close", time_seconds=2.0)
    recorded.recorder.push(recorded.camera, Update(stream="door", notice=notice))
    wait_for(lambda: recorded.camera.closed)
    assert len(recorded.store.open_events()) == goes_on
    assert not recorded.recorder.has_unstored("door")
