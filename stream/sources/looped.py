"""A file that is played again and again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

from actionstream.frame import Frame
from actionstream.sources.source import Source


class LoopedSource(Source):
    """Plays a source that ends from its start again, until it is stopped; times and indices go on.

    The first frame of each further round is `after_gap`: the end of a file and its start are not one action.

    play  opens the source for one round
    """

    def __init__(self, play: Callable[[], Source]):
        self._play = play
        self._round = play()
        super().__init__(self._round.name)
        self.rate = self._round.rate
        self.warnings = self._round.warnings
        self._lock = threading.Lock()
        self._stopped = False

    def __iter__(self) -> Iterator[Frame]:
        begin, count = 0.0, 0
        while True:
            first, last_seconds = count, 0.0
            self._round.with_packets, self._round.with_images = self.with_packets, self.with_images
            with closing(self._round):
                for frame in self._round:
                    last_seconds = frame.time_seconds
                    yield replace(
                        frame,
                        index=count,
                        time_seconds=begin + last_seconds,
                        after_gap=frame.after_gap or count == first > 0,
                        packets=tuple(each._replace(time_seconds=begin + each.time_seconds) for each in frame.packets),
                    )
                    count += 1
            begin += self._round.ends_at(last_seconds)
            with self._lock:
                if self._stopped or count == first:
                    return
                self._round = self._play()

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            self._round.stop()
