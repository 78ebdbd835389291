"""A live stream of one visitor: frames that the page sends go in, answers for the page come out."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from queue import SimpleQueue
from time import perf_counter
from typing import Any

import numpy as np
from PIL import Image

from actionstream.demos.page.answers import describe
from actionstream.frame import Frame
from actionstream.models.common.errors import ActionstreamError
from actionstream.results import Update
from actionstream.sources import Source

MAX_PIXELS = 1280 * 1280
MAX_BYTES = 1_000_000
"""Of a frame from the page, which makes them small itself."""
MAX_WAITING = 2
"""Frames from the page that nobody has prepared yet."""
LONGEST_WAIT_SECONDS = 1.0
NEWS_KEPT = 64
CANNOT_BE_OPENED = (
    "the address cannot be opened; expected that of a camera or a video on the public internet, no playlist, and "
    "nobody who sends on to another; whoever started this page can allow private ones with --allow-private"
)


class PageSource(Source):
    """The frames that a page sends, at the page's own time."""

    live = True
    patient = False

    def __init__(self, name: str):
        super().__init__(name)
        self._frames: SimpleQueue[Frame | None] = SimpleQueue()
        self._num = 0
        self._last_seconds = float("-inf")

    def put(self, image: np.ndarray, time_seconds: float) -> None:
        """The next frame; one that was overtaken on its way, or comes too soon for who prepares them, is lost."""
        if time_seconds <= self._last_seconds or self._frames.qsize() >= MAX_WAITING:
            self.lost["late"] += 1
            return
        self._frames.put(Frame(stream=self.name, index=self._num, time_seconds=time_seconds, image=image))
        self._num, self._last_seconds = self._num + 1, time_seconds

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self._frames.get()) is not None:
            yield frame

    def stop(self) -> None:
        self._frames.put(None)


class Visitor:
    """What waits for the page to fetch it; a sink.

    picture   the newest frame, where the page does not have it from its own camera
    discreet  no word of why there is no first frame: who may be where is nobody's business
    """

    def __init__(self, source: Source, *, discreet: bool = False):
        self.source = source
        self._discreet = discreet
        self.picture: np.ndarray | None = None
        self.asked = perf_counter()
        self.ended = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told = asyncio.Event()
        self._news: deque[dict[str, Any]] = deque(maxlen=NEWS_KEPT)

    def push(self, update: Update) -> None:
        if update.frame is not None and not isinstance(self.source, PageSource):
            self.picture = update.frame.image
        if update.prediction is not None:
            self._tell(describe(update.prediction))
        if update.notice is not None:
            self.ended = self.ended or update.notice.event == "close"
            events = [event.to_dict() for event in update.events]
            reason = update.notice.reason
            if reason and self._discreet and self.picture is None:
                reason = CANNOT_BE_OPENED
            self._tell({"notice": update.notice.event, "reason": reason, "events": events})

    def close(self) -> None:
        pass

    async def news(self) -> list[dict[str, Any]]:
        """What there is since the last time; waits for it a little."""
        self.asked = perf_counter()
        self._loop = asyncio.get_running_loop()
        if not self._news:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), LONGEST_WAIT_SECONDS)
        self._told.clear()
        return [self._news.popleft() for _ in range(len(self._news))]

    def _tell(self, news: dict[str, Any]) -> None:
        self._news.append(news)
        if self._loop is not None:  # somebody waits
            self._loop.call_soon_threadsafe(self._told.set)


def read_picture(data: bytes) -> np.ndarray:
    """RGB pixels of a JPEG, PNG or WebP from the page; ValueError where it is none, or too large."""
    if len(data) > MAX_BYTES:
        raise ActionstreamError(f"a frame of {len(data)} bytes; the most is {MAX_BYTES}")
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise ActionstreamError(f"a frame of {opened.width} x {opened.height} pixels; the most is {MAX_PIXELS}")
            return np.asarray(opened.convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ActionstreamError("that is no picture") from error
