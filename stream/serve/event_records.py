"""Makes the records of the events of one stream, from its predictions."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import replace

from actionstream.records import EventRecord
from actionstream.results import Event, Prediction


class EventRecords:
    """The events of one stream that are told, and which of them are open.

    camera, region, model  as in `EventRecord`
    labels                 the labels that are told; None: all
    ignored_labels         labels that are not told
    cooldown_seconds       after an event a label is not told again for this long; one that goes on longer is told then
    update_seconds         an open event has an update at most so often, where its best score has risen

    All intervals are on the wall clock, and over where it is set back. Everything here belongs to one thread.
    """

    def __init__(
        self,
        camera: str,
        region: str | None,
        model: str,
        *,
        labels: Collection[str] | None = None,
        ignored_labels: Collection[str] = (),
        cooldown_seconds: float = 0.0,
        update_seconds: float = 5.0,
    ):
        self.camera = camera
        self.region = region
        self._model = model
        self._labels = labels
        self._ignored = ignored_labels
        self._cooldown_seconds = cooldown_seconds
        self._update_seconds = update_seconds
        self._open: dict[str, EventRecord] = {}  # the present state by id; `seq` is that of the last record
        self._told: dict[str, tuple[float, float]] = {}  # when the last record was told, and its best score, by id
        self._waiting: dict[str, Event] = {}  # starts during a cooldown, by id
        self._ended: dict[str, float] = {}  # the end of the last event, by label
        self._pause: str | None = None  # why the stream paused, until its first prediction

    @property
    def labels(self) -> dict[str, bool]:
        """The labels of all events so far, and whether an event of the label is open."""
        return dict.fromkeys(self._ended, False) | {record.label: True for record in self._open.values()}

    @property
    def best_label(self) -> str | None:
        """The label of the open event with the highest score now."""
        best = max(self._open.values(), key=lambda record: record.score, default=None)
        return None if best is None else best.label

    def resume(self, records: Iterable[EventRecord], *, pause: str) -> None:
        """Go on with events that were open when the state of the stream was saved.

        pause  why the stream paused: the reason of their ends where the pause turns out to be too long
        """
        self._pause = pause
        for record in records:
            self._open[record.id] = record
            self._told[record.id] = record.start_wall, record.best_score

    def push(self, prediction: Prediction) -> list[EventRecord]:
        """The records that a prediction makes, in order."""
        now = prediction.wall_seconds or 0.0
        records = self.end(event for event in prediction.events if event.event == "end")
        reason = self._pause if self._pause and prediction.reset == "gap" else prediction.reset
        self._pause = None
        if reason is not None:
            records = [replace(record, reason=reason) for record in records]
        self._waiting |= {event.id: event for event in prediction.events if event.event == "start"}
        for event in list(self._waiting.values()):
            if not self._is_told(event.label):
                del self._waiting[event.id]
            elif not 0 <= now - self._ended.get(event.label, math.inf) < self._cooldown_seconds:
                del self._waiting[event.id]
                records.append(self._begin(event, now))
        if self._open and not prediction.warming_up:
            records += self._updates(prediction, now)
        return records

    def end(self, events: Iterable[Event], *, reason: str | None = None) -> list[EventRecord]:
        """The last records of events that have ended."""
        records = []
        for event in events:
            self._waiting.pop(event.id, None)
            if event.id in self._open:
                records.append(self._end(event.id, event.time_seconds, event.wall_seconds, reason))
        return records

    def end_all(self, time_seconds: float, wall_seconds: float, *, reason: str) -> list[EventRecord]:
        """End all open events: no frame comes that could."""
        self._waiting.clear()
        return [self._end(event, time_seconds, wall_seconds, reason) for event in list(self._open)]

    def _is_told(self, label: str) -> bool:
        return label not in self._ignored and (self._labels is None or label in self._labels)

    def _begin(self, event: Event, now: float) -> EventRecord:
        record = EventRecord(
            type="new",
            id=event.id,
            seq=0,
            camera=self.camera,
            region=self.region,
            label=event.label,
            model=self._model,
            score=event.score,
            best_score=event.score,
            start_seconds=event.time_seconds,
            start_wall=now if event.wall_seconds is None else event.wall_seconds,
        )
        self._open[event.id] = record
        self._told[event.id] = now, record.best_score
        return record

    def set_files(self, event: str, *, clip: str, snapshot: str | None) -> None:
        """Note the clip and the picture of an open event."""
        self._open[event] = replace(self._open[event], clip=clip, snapshot=snapshot)

    def _updates(self, prediction: Prediction, now: float) -> list[EventRecord]:
        """Note the scores of all open events; the records of those that are due."""
        records = []
        for event, record in self._open.items():
            score = float(prediction.smoothed[prediction.names.index(record.label)])
            record = replace(record, type="update", score=score, best_score=max(record.best_score, score))
            told_at, told_score = self._told[event]
            due = not 0 <= now - told_at < self._update_seconds
            if due and round(record.best_score, 2) > round(told_score, 2):
                record = replace(record, seq=record.seq + 1)
                self._told[event] = now, record.best_score
                records.append(record)
            self._open[event] = record
        return records

    def _end(self, event: str, time_seconds: float, wall_seconds: float | None, reason: str | None) -> EventRecord:
        record = self._open.pop(event)
        del self._told[event]
        end_seconds = max(time_seconds, record.start_seconds)
        end_wall = record.start_wall + end_seconds - record.start_seconds if wall_seconds is None else wall_seconds
        self._ended[record.label] = end_wall
        return replace(
            record,
            type="end",
            seq=record.seq + 1,
            end_seconds=end_seconds,
            end_wall=max(end_wall, record.start_wall),
            reason=reason,
        )


def ended_at(record: EventRecord, last_wall: float, *, reason: str) -> EventRecord:
    """The last record of an event that was open when something broke off.

    last_wall  when that was last known to be alive, seconds since 1970
    """
    end_wall = max(last_wall, record.start_wall)
    return replace(
        record,
        type="end",
        seq=record.seq + 1,
        end_seconds=record.start_seconds + end_wall - record.start_wall,
        end_wall=end_wall,
        reason=reason,
    )
