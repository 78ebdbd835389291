"""A stream of a watch, and what it leaves to a later watch of the same source."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from actionstream.engine.engine import Snapshot
from actionstream.engine.labelling import EventSettings
from actionstream.live.feed import Feed
from actionstream.live.held_back import HeldBack
from actionstream.live.parts import Crop
from actionstream.models.common.errors import in_a_line, is_out_of_memory
from actionstream.results import Counts, Notice, Prediction, Skipped, Update
from actionstream.sinks.sink import Sink
from actionstream.sources import SourceError
from actionstream.sources.source import AccessRefused, reason


@dataclass(frozen=True)
class Resume:
    """What a stream left when it ended, for `Watch.add`.

    snapshots     of its streams in the engine
    last_seconds  its time
    wall_seconds  the same in seconds since 1970
    """

    snapshots: Mapping[str, Snapshot]
    last_seconds: float
    wall_seconds: float

    @property
    def open_events(self) -> set[str]:
        """The ids of the events that have started and not ended."""
        return {event for each in self.snapshots.values() for event in each.open_events}

    def without_events(self) -> Resume:
        """The same without open events: labels that are still up start anew."""
        return replace(self, snapshots={part: each.without_events() for part, each in self.snapshots.items()})

    def time_now(self) -> float:
        """The time of the stream now, if it had gone on."""
        return self.last_seconds + max(time.time() - self.wall_seconds, 0.0)


class WatchedStream:
    """A stream of a watch: its feed, its sinks, and counts of its frames.

    regions   by the names of their streams in the engine; none where the whole picture is watched
    events    how its events are found; None: as the engine's settings say
    resume    what an earlier watch left, with which it begins
    gate      makes what holds its frames back, for each part; None: nothing does

    heir      gets what the stream leaves at its end, to go on elsewhere; None: its events end with it
    """

    def __init__(
        self,
        feed: Feed,
        sinks: Sequence[Sink],
        *,
        regions: Mapping[str, Crop],
        events: EventSettings | None,
        resume: Resume | None,
        gate: Callable[[], HeldBack] | None,
    ):
        self.feed = feed
        self.sinks = list(sinks)
        self.regions = regions
        self.events = events
        self.resume = resume
        self.gate = gate
        self.heir: Callable[[Resume | None], None] | None = None
        self.opened = False
        self.labelled = 0
        self.skipped: Counter[str] = Counter()
        self.failure: str | None = None

    @property
    def parts(self) -> list[str]:
        """The names of its streams in the engine: one for each region, or its own."""
        return list(self.regions) or [self.feed.name]

    def fail(self, error: Exception) -> None:
        """Stop the stream because of an error; the first error is kept."""
        what = in_a_line(error) if is_out_of_memory(error) else reason(error)
        told = isinstance(error, SourceError)
        self.failure = self.failure or (str(error) if told else f"{self.feed.name}: {what}")
        self.feed.stop()

    def count(self, results: Sequence[Prediction | Skipped]) -> None:
        """Count a frame, as labelled where one of its parts is; the caller holds the lock of the watch."""
        skipped = [result for result in results if isinstance(result, Skipped)]
        if len(skipped) < len(results):
            self.labelled += 1
        else:
            self.skipped[skipped[0].reason] += 1

    def counts(self) -> Counts:
        """The frames so far; the caller holds the lock of the watch."""
        received, dropped = self.feed.counts()
        dropped += self.skipped
        waiting = received - self.labelled - dropped.total()
        return Counts(received=received, labelled=self.labelled, waiting=waiting, dropped=dropped)

    def last_notice(self) -> Notice:
        """The notice of the end; the caller holds the lock of the watch."""
        return Notice(
            stream=self.feed.name,
            event="close",
            time_seconds=self.feed.last_seconds,
            reason=self.failure,
            counts=self.counts(),
            refused=isinstance(self.feed.error, AccessRefused),
            warnings=tuple(self.feed.source.warnings),
        )

    def tell(self, update: Update) -> None:
        """Pass an update to the sinks; a sink that fails ends the stream."""
        for sink in list(self.sinks):
            try:
                sink.push(update)
            except Exception as error:  # noqa: BLE001  the other sinks go on
                self.sinks.remove(sink)
                self.fail(error)
                with suppress(Exception):
                    sink.close()

    def close_sinks(self) -> None:
        """Close the sinks; the stream has ended."""
        for sink in self.sinks:
            try:
                sink.close()
            except Exception as error:  # noqa: BLE001  the other sinks are closed, too
                self.fail(error)
        self.sinks.clear()
