"""Where results go: JSON lines, the terminal, a video with an overlay, a window."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Protocol, TextIO

import numpy as np
from rich.markup import escape

from stream.frame import Frame
from stream.prediction import Event, Prediction

if TYPE_CHECKING:
    import av
    from rich.table import Table


VIDEO_SUFFIXES = (".mp4", ".mkv", ".mov")


class Sink(Protocol):
    """Takes each frame of the source with its prediction, if it was sampled, and events as they come."""

    def push(self, frame: Frame, prediction: Prediction | None) -> None: ...

    def events(self, events: Iterable[Event]) -> None: ...

    def close(self) -> None: ...


class SinkClosed(Exception):
    """Nobody looks any more: the window was closed, or the reader of a pipe has gone."""


class JsonLines:
    """One JSON object a line: predictions, and events before the prediction that made them."""

    def __init__(self, file: TextIO, *, top: int):
        self._file = file
        self._top = top

    def push(self, frame: Frame, prediction: Prediction | None) -> None:
        if prediction is not None:
            self._write(prediction.to_dict(self._top))

    def events(self, events: Iterable[Event]) -> None:
        for event in events:
            self._write(event.to_dict())

    def close(self) -> None:
        self._file.flush()

    def _write(self, value: dict) -> None:
        try:
            # one write for the whole line, so that a signal leaves none half written
            self._file.write(json.dumps(value, ensure_ascii=False) + "\n")
            self._file.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._file.fileno())
            raise SinkClosed from None


class Terminal:
    """Events as they come, and below them, on a real terminal, what is going on now, updated in place."""

    def __init__(self, *, top: int, dropped=lambda: 0):
        from rich.console import Console
        from rich.live import Live

        self._console = Console(highlight=False)
        self._top = top
        self._dropped = dropped
        self._began: float | None = None
        self._num_frames = self._num_labelled = 0
        self._latencies: list[float] = []
        self._starts: dict[str, float] = {}
        self._live = Live(console=self._console, refresh_per_second=12, transient=True)
        if self._console.is_terminal:
            self._live.start()

    def push(self, frame: Frame, prediction: Prediction | None) -> None:
        self._began = self._began or perf_counter()
        self._num_frames += 1
        if prediction is None:
            return
        self._num_labelled += 1
        self._latencies = [*self._latencies[-99:], prediction.latency_ms]
        if self._live.is_started:
            self._live.update(self._table(prediction))

    def events(self, events: Iterable[Event]) -> None:
        for event in events:
            if event.event == "start":
                self._starts[event.label] = event.time_seconds
                continue
            began = self._starts.pop(event.label, event.time_seconds)
            self._console.print(f"{began:8.2f} s  {event.time_seconds:8.2f} s  [bold]{escape(event.label)}[/]")

    def close(self) -> None:
        self._live.stop()
        if self._num_labelled:
            self._console.print(
                f"{self._num_frames} frames, {self._num_labelled} labelled, {self._speed():.0f} frames/s, "
                f"latency {np.median(self._latencies):.1f} ms, {self._dropped()} dropped"
            )

    def _speed(self) -> float:
        return self._num_frames / max(1e-9, perf_counter() - (self._began or 0))

    def _table(self, prediction: Prediction) -> Table:
        from rich.table import Table

        table = Table(title=f"{escape(prediction.stream)}  {prediction.time_seconds:.2f} s", title_justify="left")
        table.add_column("label", min_width=16)
        table.add_column("score", justify="right")
        table.add_column("", min_width=24)
        order = np.argsort(-prediction.smoothed, kind="stable")[: self._top]
        for place, index in enumerate(order):
            score = float(prediction.smoothed[index])
            style = "bold green" if place == 0 else ""
            table.add_row(escape(prediction.names[index]), f"{score:.2f}", "█" * round(24 * score), style=style)
        table.caption = (
            f"{self._speed():.0f} frames/s   latency {np.median(self._latencies):.1f} ms   {self._dropped()} dropped"
        )
        return table


class Overlay:
    """Draws the current label and the best scores into a copy of each frame."""

    def __init__(self, *, top: int, threshold: float):
        from stream.opencv import cv2

        self._cv2 = cv2
        self._top = top
        self._threshold = threshold
        self._latest: Prediction | None = None

    def __call__(self, frame: Frame, prediction: Prediction | None) -> np.ndarray:
        """The RGB image with the overlay, uint8, at least 320 pixels wide."""
        cv2 = self._cv2
        self._latest = prediction or self._latest
        image = frame.image
        scale = max(1, -(-320 // image.shape[1]))
        image = cv2.resize(image, None, fx=scale, fy=scale) if scale > 1 else image.copy()
        if self._latest is None:
            return image
        unit = max(0.45, image.shape[1] / 900)
        line = int(30 * unit)
        order = np.argsort(-self._latest.smoothed, kind="stable")[: self._top]
        box = image[: line * (len(order) + 1) + line // 2, : int(line * 9)]
        box[:] = box // 3
        best = self._latest.score >= self._threshold
        self._text(image, self._latest.label if best else "...", (line // 3, line), unit * 1.1, (120, 255, 140))
        for place, index in enumerate(order):
            score = float(self._latest.smoothed[index])
            y = line * (place + 2)
            cv2.rectangle(image, (line // 3, y - line // 2), (line // 3 + int(line * 3 * score), y), (90, 200, 120), -1)
            self._text(image, self._latest.names[index], (line * 4, y), unit * 0.7, (255, 255, 255))
        return image

    def _text(self, image: np.ndarray, text: str, at: tuple[int, int], size: float, colour: tuple) -> None:
        thick = max(1, round(size * 1.6))
        self._cv2.putText(image, text, at, self._cv2.FONT_HERSHEY_SIMPLEX, size, colour, thick, self._cv2.LINE_AA)


class VideoFile:
    """Every frame of the source with the overlay, as H.264 in the container that the path's suffix names."""

    def __init__(self, path: str | os.PathLike[str], overlay: Overlay):
        import av

        self._path = Path(path)
        self._overlay = overlay
        self._stream: av.VideoStream | None = None
        self._last = -1
        if self._path.suffix.lower() not in VIDEO_SUFFIXES:
            raise ValueError(f"{self._path} cannot be written: its name must end in {', '.join(VIDEO_SUFFIXES)}")
        try:
            self._path.open("ab").close()  # PyAV would find out at the first frame only
        except OSError as error:
            raise ValueError(f"{self._path} cannot be written: {error.strerror}") from error
        self._container = av.open(f"file:{self._path}", "w")

    def push(self, frame: Frame, prediction: Prediction | None) -> None:
        import av

        image = self._overlay(frame, prediction)
        if self._stream is None:
            self._stream = self._add_stream(image.shape[1], image.shape[0])
        picture = av.VideoFrame.from_ndarray(image, format="rgb24")
        picture = picture.reformat(self._stream.width, self._stream.height, format="yuv420p")
        picture.pts = self._last = max(self._last + 1, round(frame.time_seconds * 1000))
        picture.time_base = Fraction(1, 1000)
        self._container.mux(self._stream.encode(picture))

    def _add_stream(self, width: int, height: int) -> av.VideoStream:
        stream = self._container.add_stream("libx264", rate=Fraction(30))
        stream.width, stream.height = width // 2 * 2, height // 2 * 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.options = {"preset": "veryfast", "crf": "20"}
        return stream

    def events(self, events: Iterable[Event]) -> None:
        pass

    def close(self) -> None:
        if self._stream is None:  # nothing came
            self._path.unlink(missing_ok=True)
            return
        try:
            self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()


class Window:
    """Every frame with the overlay in a window of the desktop; q, Escape and closing it end.

    On Linux it has to be made before PyAV is imported: the wheels of both bring a libxcb, and the window
    hangs with PyAV's (opencv/opencv issue 29195).
    """

    def __init__(self, title: str, overlay: Overlay):
        from stream.opencv import cv2

        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise ValueError("--show needs a desktop, and there is none here (DISPLAY is not set); try --save OUT.mp4")
        os.environ.setdefault("QT_LOGGING_RULES", "default.warning=false;qt.qpa.fonts.warning=false")
        self._cv2 = cv2
        self._title = title
        self._overlay = overlay
        cv2.namedWindow(title, cv2.WINDOW_NORMAL)

    def push(self, frame: Frame, prediction: Prediction | None) -> None:
        cv2 = self._cv2
        cv2.imshow(self._title, self._overlay(frame, prediction)[..., ::-1])
        key = cv2.waitKey(1) & 0xFF
        if key in (ord("q"), 27) or cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1:
            raise SinkClosed

    def events(self, events: Iterable[Event]) -> None:
        pass

    def close(self) -> None:
        self._cv2.destroyAllWindows()
