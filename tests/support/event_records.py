"""Records of events to store and to send."""

from actionstream.event_id import new_event_id
from actionstream.records import EventRecord


def records(count: int, camera: str = "hall", label: str = "wave") -> list[EventRecord]:
    """Records of events, each of which begins, goes on, and ends before the next one."""
    made: list[EventRecord] = []
    while len(made) < count:
        event, begun = new_event_id(), float(len(made))
        for seq, kind in enumerate(("new", "update", "end")):
            made.append(
                EventRecord(
                    type=kind,
                    id=event,
                    seq=seq,
                    camera=camera,
                    region=None,
                    label=label,
                    model="motion",
                    score=0.75,
                    best_score=0.875,
                    start_seconds=begun,
                    start_wall=1.8e9 + begun,
                    end_seconds=begun + 1 if kind == "end" else None,
                    end_wall=1.8e9 + begun + 1 if kind == "end" else None,
                )
            )
    return made[:count]
