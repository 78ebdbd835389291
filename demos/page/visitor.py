"""A live stream of one visitor: a source for the frames of the page, and a sink that queues answers for it."""

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
from actionstream.results import Prediction, Update
from actionstream.sources import Source

MAX_WAITING = 2
"""The most frames from the page in the queue."""
LONGEST_WAIT_SECONDS = 1.0
NEWS_KEPT = 64
CANNOT_BE_OPENED = (
    "the address cannot be opened; expected that of a camera or a video on the public internet, no playlist, and "
    "nobody who sends on to another; whoever started this page can allow private ones with --allow-private"
)


class PageSource(Source):
    """The frames that a page sends, with timestamps of the page's clock."""

    live = True
    patient = False

    def __init__(self, name: str):
        super().__init__(name)
        self._frames: SimpleQueue[Frame | None] = SimpleQueue()
        self._num = 0
        self._last_seconds = float("-inf")

    def put(self, image: np.ndarray, time_seconds: float) -> None:
        """Queue the next frame; a frame out of order is dropped, and so is one for which the queue is full."""
        if time_seconds <= self._last_seconds or self._frames.qsize() >= MAX_WAITING:
            self.lost["late"] += 1
            return
        self._frames.put(Frame(stream=self.name, index=self._num, time_seconds=time_seconds, picture=image))
        self._num, self._last_seconds = self._num + 1, time_seconds

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self._frames.get()) is not None:
            yield frame

    def stop(self) -> None:
        self._frames.put(None)


class Visitor:
    """A sink that queues answers until the page fetches them.

    picture   the newest frame of an address; None for the page's camera
    discreet  hide why an address gives no first frame, so that visitors cannot probe for servers
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
            self._tell(self._described(update.prediction))
        if update.notice is not None:
            self.ended = self.ended or update.notice.event == "close"
            events = [event.to_dict() for event in update.events]
            reason = update.notice.reason
            if reason and self._discreet and self.picture is None:
                reason = CANNOT_BE_OPENED
            self._tell({"notice": update.notice.event, "reason": reason, "events": events})

    def close(self) -> None:
        pass

    def _described(self, prediction: Prediction) -> dict[str, Any]:
        """A prediction as JSON."""
        return describe(prediction)

    async def news(self) -> list[dict[str, Any]]:
        """The answers since the last call; waits up to LONGEST_WAIT_SECONDS for the first one."""
        self.asked = perf_counter()
        self._loop = asyncio.get_running_loop()
        if not self._news:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), LONGEST_WAIT_SECONDS)
        self._told.clear()
        return [self._news.popleft() for _ in range(len(self._news))]

    def _tell(self, news: dict[str, Any]) -> None:
        self._news.append(news)
        if self._loop is not None:  # a request has waited at least once
            self._loop.call_soon_threadsafe(self._told.set)


def read_picture(data: bytes, *, max_pixels: int) -> np.ndarray:
    """Decode a JPEG, PNG or WebP from the page to RGB; ActionstreamError where it is invalid or too large."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as opened:
            why = _why_not(opened, max_pixels)
            if why is None:
                return np.asarray(opened.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:  # Pillow's for a broken file
        raise ActionstreamError("that is no picture") from error
    raise ActionstreamError(why)


def _why_not(opened: Image.Image, max_pixels: int) -> str | None:
    """Why a picture is not decoded: of a progressive JPEG, each scan, of which it may have thousands, takes as long."""
    if opened.width * opened.height > max_pixels:
        return f"a frame of {opened.width} x {opened.height} pixels; the most is {max_pixels}"
    if opened.info.get("progressive"):
        return "a frame is a progressive JPEG; expected a baseline one"
    return None
