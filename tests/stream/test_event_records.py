"""Records of events: new, update and end, in pairs, whatever happens to a stream."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actionstream.results import Event, Prediction
from actionstream.scoring import EventDetector
from actionstream.serve.event_records import EventRecords, ended_at

NAMES = ("wave", "fall", "nothing")
WALL = 1_800_000_000.0


class Stream:
    """A stream of smoothed scores, as an engine makes them."""

    def __init__(self, records, **options):
        self.records = records
        self.detector = EventDetector("door", NAMES, min_duration_seconds=0, background="nothing", **options)
        self.told = []

    def push(self, time_seconds, wave=0.0, fall=0.0, reset=None, wall=WALL):
        smoothed = np.array([wave, fall, 0.0], np.float32)
        self.detector.wall_offset = wall
        events = self.detector.flush(time_seconds - 1) if reset else []
        events += self.detector.push(smoothed, time_seconds)
        told = prediction(time_seconds, smoothed, events, reset=reset)
        new = self.records.push(replace(told, wall_seconds=wall + time_seconds))
        self.told += new
        return [(each.type, each.label) for each in new]


def prediction(time_seconds, smoothed, events, reset=None):
    return Prediction(
        stream="door",
        frame=0,
        time_seconds=time_seconds,
        wall_seconds=WALL + time_seconds,
        latency_ms=1.0,
        split_ms={},
        frames_since_reset=9,
        reset=reset,
        names=NAMES,
        scores=smoothed,
        probabilities=smoothed,
        smoothed=smoothed,
        events=tuple(events),
    )


def stream(**options):
    return Stream(EventRecords("door", None, "motion", **options))


def test_an_event_from_new_to_end():
    door = stream(update_seconds=2)
    assert door.push(1, wave=0.7) == [("new", "wave")]
    assert door.push(2, wave=0.9) == []
    assert door.push(3.5, wave=0.8) == [("update", "wave")]
    assert door.push(6, wave=0.8) == []  # the best score has not risen
    assert door.push(7, wave=0.1) == [("end", "wave")]
    new, update, end = door.told
    assert {new.id, update.id, end.id} == {new.id}
    assert [each.seq for each in door.told] == [0, 1, 2]
    assert (new.score, update.best_score, end.best_score) == pytest.approx((0.7, 0.9, 0.9))
    assert (end.start_seconds, end.end_seconds) == (1, 7)
    assert (end.start_wall, end.end_wall) == (WALL + 1, WALL + 7)
    assert end.to_dict()["start_time"] == "2027-01-15T08:00:01.000Z"
    assert len({each.key for each in door.told}) == 3
    assert (new.end_seconds, end.reason) == (None, None)


def test_labels_that_are_not_told():
    door = stream(labels={"fall"})
    assert door.push(1, wave=0.9, fall=0.9) == [("new", "fall")]
    door = stream(ignored_labels={"fall"})
    assert door.push(1, wave=0.9, fall=0.9) == [("new", "wave")]
    assert door.push(2) == [("end", "wave")]


def test_a_cooldown():
    door = stream(cooldown_seconds=10)
    for time_seconds in (1, 3, 5):
        door.push(time_seconds, wave=0.9)
        door.push(time_seconds + 1)
    assert [(each.type, each.start_seconds) for each in door.told] == [("new", 1), ("end", 1)]
    assert door.push(8, fall=0.9) == [("new", "fall")]  # of another label
    assert door.push(9, wave=0.9, fall=0.9) == []
    assert door.push(12, wave=0.9, fall=0.9) == [("new", "wave")]  # it goes on after the cooldown
    assert door.told[-1].start_seconds == 9
    assert door.push(13) == [("end", "wave"), ("end", "fall")]


def test_a_wall_clock_that_is_set_back_stops_nothing():
    door = stream(cooldown_seconds=2, update_seconds=2)
    door.push(1, wave=0.7)
    assert door.push(4, wave=0.9, wall=WALL - 3600) == [("update", "wave")]
    assert door.push(5, wall=WALL - 3600) == [("end", "wave")]
    assert door.push(8, wave=0.9, wall=WALL - 7200) == [("new", "wave")]
    new, _, end, _ = door.told
    assert end.end_wall == new.start_wall  # an event does not end before its start


def test_a_reset_is_the_reason_of_an_end():
    door = stream()
    door.push(1, wave=0.9)
    assert door.push(30, wave=0.9, reset="gap") == [("end", "wave"), ("new", "wave")]
    assert [each.reason for each in door.told] == [None, "gap", None]
    assert door.told[0].id != door.told[2].id


def test_the_end_of_a_source_ends_all():
    door = stream()
    door.push(1, wave=0.9, fall=0.7)
    assert door.records.best_label == "wave"
    ends = door.records.end_all(4, WALL + 4, reason="disconnect")
    assert {(each.label, each.type, each.reason, each.end_seconds) for each in ends} == {
        ("wave", "end", "disconnect", 4),
        ("fall", "end", "disconnect", 4),
    }
    assert door.records.best_label is None
    assert door.push(5) == []  # the engine ends them, too
    assert door.records.labels == {"wave": False, "fall": False}


def test_a_restart_ends_what_was_open():
    door = stream()
    door.push(1, wave=0.9)
    (record,) = door.told
    end = ended_at(record, WALL + 5, reason="restart")
    assert (end.type, end.seq, end.end_seconds, end.end_wall, end.reason) == ("end", 1, 5, WALL + 5, "restart")
    assert ended_at(record, 0.0, reason="restart").end_wall == record.start_wall


def test_an_event_goes_on_after_a_restart():
    before = stream()
    before.push(1, wave=0.7)
    after = stream(update_seconds=2)
    after.records.resume(before.told, pause="restart")
    after.detector = before.detector
    assert after.push(4, wave=0.9) == [("update", "wave")]
    assert after.push(5) == [("end", "wave")]
    assert [each.seq for each in after.told] == [1, 2]
    assert after.told[-1].id == before.told[0].id


scores = st.sampled_from([0.0, 0.1, 0.45, 0.65, 0.9])
steps = st.lists(st.tuples(st.floats(0.05, 9), scores, scores, st.sampled_from([None, None, None, "gap"])), max_size=60)


@settings(deadline=None)
@given(steps, st.sampled_from([0, 1, 7]), st.sampled_from([0.1, 3]))
def test_ids_pair(steps, cooldown, update):
    """Each id is new once and ends once, its numbers count up, its best score is the highest one."""
    door, now = stream(cooldown_seconds=cooldown, update_seconds=update), 0.0
    for seconds, wave, fall, reset in steps:
        now += seconds
        door.push(now, wave, fall, reset)
    told = door.told + door.records.end_all(now, WALL + now, reason="stopped")
    by_id = {}
    for record in told:
        by_id.setdefault(record.id, []).append(record)
    for records in by_id.values():
        assert [each.seq for each in records] == list(range(len(records)))
        assert [each.type for each in records] == ["new", *["update"] * (len(records) - 2), "end"]
        assert [each.best_score for each in records] == sorted(each.best_score for each in records)
        assert records[-1].end_seconds >= records[0].start_seconds


def test_events_without_a_wall_clock():
    records = EventRecords("door", "left", "motion")
    event = Event(stream="door/left", event="start", id="x", label="wave", time_seconds=2.0, score=0.9)
    (new,) = records.push(replace(prediction(2, np.array([0.9, 0, 0], np.float32), [event]), wall_seconds=WALL))
    assert (new.start_wall, new.region) == (WALL, "left")
