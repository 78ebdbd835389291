"""What a source is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from actionstream.frame import Frame
from actionstream.models.video.errors import SourceError, reason

__all__ = ["Source", "SourceError", "reason"]


class Source:
    """Frames of one stream, in order; iterate once, or, where it is live, once for each connection.

    name      what the stream is called
    live      frames come at their own time whether somebody takes them or not, and an end is a disconnect
    patient   a live source that was never there may come yet: waiting for it makes sense
    rate      frames a second as far as the source says
    seconds   how long it is as far as the source says, else 0; exact when all frames are out
    warnings  what is odd about it, each said once
    lost      frames that never got out of it, by reason
    """

    live = False
    patient = True
    rate = 30.0
    seconds = 0.0

    def __init__(self, name: str):
        self.name = name
        self.warnings: list[str] = []
        self.lost: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Frame]:
        """Its frames; SourceError when it ends before its time."""
        raise NotImplementedError

    def ends_at(self, last_seconds: float) -> float:
        """When its last frame, which came at that time, ceases to be shown; exact when all frames are out."""
        return self.seconds if self.seconds > last_seconds else last_seconds + 1 / self.rate

    def stop(self) -> None:
        """From any thread: iteration ends soon, whatever it is waiting for."""

    def close(self) -> None:
        """Release what it holds, when nobody iterates any more."""
