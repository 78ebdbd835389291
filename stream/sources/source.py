"""The base class of sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from actionstream.frame import Frame
from actionstream.models.video.errors import SourceError, reason

__all__ = ["AccessRefused", "Source", "SourceError", "reason"]


class AccessRefused(SourceError):
    """A server that answers, and refuses the user name or password: it is no use to ask again."""


class Source:
    """Frames of one stream, in order; iterate a file once, and a live source once for each connection.

    name      name of the source
    live      whether frames arrive in real time, also when nobody takes them; the end of a live source is a disconnect
    patient   whether it makes sense to wait for a live source that never gave a frame
    rate      frames a second, as the source declares
    seconds   duration as the source declares, else 0; exact after the last frame
    warnings  problems of the source, each once
    lost      number of frames that the source lost, by reason

    with_packets  whether frames have `packets`; set it before the iteration
    with_images   whether the image of each frame is there to stay; else of some frames only, and for a short time,
                  where another process reads the source; set it before the iteration
    one_of_several  whether the cores have other streams to decode; set it before the iteration
    """

    live = False
    patient = True
    rate = 30.0
    seconds = 0.0
    with_packets = False
    with_images = True
    one_of_several = False

    def __init__(self, name: str):
        self.name = name
        self.warnings: list[str] = []
        self.lost: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Frame]:
        """Its frames; SourceError when it ends too early."""
        raise NotImplementedError

    def ends_at(self, last_seconds: float) -> float:
        """The end of the last frame, in seconds, from its time; exact after the last frame."""
        return self.seconds if self.seconds > last_seconds else last_seconds + 1 / self.rate

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of other processes that read it, so far; any thread may ask."""
        return 0.0

    def stop(self) -> None:
        """Make the iteration end soon, even while it waits; any thread may call this."""

    def close(self) -> None:
        """Release resources; call it after the iteration."""
