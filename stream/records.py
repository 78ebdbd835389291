"""Records of events: what sinks are told, again and again, while an event goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from actionstream.event_id import wall_time
from actionstream.results import SCHEMA

RecordType = Literal["new", "update", "end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """The state of an event at one moment.

    type                      "new" is the first record of an event, "end" its last one
    id                        of the event: a UUID of version 7
    seq                       number of this record among those of its event: 0 is the new one
    camera, region            region is None where the whole picture is watched
    label, model              name of the label, and of the model
    score, best_score         smoothed score now, and the highest one so far
    start_seconds             on the source's clock
    end_seconds               on the source's clock; None until the end
    start_wall, end_wall      the same in seconds since 1970
    reason                    of an end that is no end of the action: "restart", "disabled" ...
    clip, snapshot            paths of the clip and its picture in the folder of clips; None where there are none
    """

    type: RecordType
    id: str
    seq: int
    camera: str
    region: str | None
    label: str
    model: str
    score: float
    best_score: float
    start_seconds: float
    start_wall: float
    end_seconds: float | None = None
    end_wall: float | None = None
    reason: str | None = None
    clip: str | None = None
    snapshot: str | None = None

    @property
    def key(self) -> str:
        """Names this record among all: a sink that gets it twice can tell."""
        return f"{self.id}-{self.type}-{self.seq}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "type": self.type,
            "id": self.id,
            "seq": self.seq,
            "camera": self.camera,
            "region": self.region,
            "label": self.label,
            "model": self.model,
            "score": round(self.score, 6),
            "best_score": round(self.best_score, 6),
            "start_seconds": round(self.start_seconds, 6),
            "end_seconds": None if self.end_seconds is None else round(self.end_seconds, 6),
            "start_time": wall_time(self.start_wall),
            "end_time": wall_time(self.end_wall),
            "reason": self.reason,
            "clip": self.clip,
            "snapshot": self.snapshot,
        }
