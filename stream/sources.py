"""Where frames come from: video files, folders of images, standard input, cameras."""

from __future__ import annotations

import glob
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, islice, pairwise
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from stream.frame import Frame

if TYPE_CHECKING:
    import av

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm")
SAMPLE = Path(__file__).parent / "assets" / "sample.mp4"
"""The clip that comes with the package: a hand in several movements."""

LOOK_AHEAD = 16  # frames whose times are checked before the first one goes out


class SourceError(ValueError):
    """A source that cannot be opened, or ends before its time; the message is one line for the user."""


class Source(Protocol):
    """Frames of one stream, in order.

    name      what the stream is called
    live      whether frames come at their own time and are lost when nobody takes them
    rate      frames a second as far as the source says
    warnings  what is odd about it, each said once
    """

    name: str
    live: bool
    rate: float
    warnings: list[str]

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None: ...


def open_source(text: str | int | Path, *, rate: float = 30.0) -> Source:
    """The source that a text means.

    text  a number (camera), "-" (a video on standard input), a folder or glob of images, a video file, an image,
          "sample" (the clip that comes with the package)
    rate  frames a second of a folder of images, which have no clock
    """
    text = str(text)
    if text.isdecimal() or text.startswith("/dev/video"):
        return CameraSource(text)
    if text == "-":
        return VideoSource(text, name="stdin")
    path = Path(text)
    if text == "sample" and not path.exists():
        return VideoSource(str(SAMPLE))
    if path.is_dir():
        return ImageSource(text, list(path.iterdir()), rate=rate)
    if any(character in text for character in "*?[") and not path.exists():
        return ImageSource(text, [Path(name) for name in glob.glob(text)], rate=rate)
    if not path.exists():
        raise SourceError(
            f"no such file: {text}; a source is a video file, a folder or glob of images, "
            "a camera number such as 0, or - for standard input"
        )
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return ImageSource(text, [path], rate=rate)
    return VideoSource(text)


class VideoSource:
    """A video that PyAV can decode, a file or standard input ("-"); frames are decoded one at a time.

    Times are those of the file, counted from its first frame. Where the first ones do not increase, or one
    later does not, frames are timed by index / rate from there on, which is said in `warnings`.
    """

    live = False

    def __init__(self, path: str, *, name: str | None = None):
        import av
        from av.stream import Disposition

        self.path = path
        self.name = name or Path(path).name
        self.warnings: list[str] = []
        self._pipe = _Pipe(sys.stdin.buffer) if path == "-" else None
        try:
            self._container = av.open(self._pipe or f"file:{path}", "r", metadata_errors="replace")
        except (av.FFmpegError, OSError) as error:
            self._raise_interrupt()
            raise SourceError(f"{self.name} is not a video that can be read: {self._why(error)}") from error
        pictures = [s for s in self._container.streams.video if not s.disposition & Disposition.attached_pic]
        if not pictures:
            kinds = ", ".join(sorted({stream.type for stream in self._container.streams}))
            self._container.close()
            raise SourceError(f"{self.name} has no video in it, only {kinds or 'nothing'}")
        self._video = pictures[0]
        self._video.thread_type = "SLICE" if self._pipe else "AUTO"  # several frames at once come later
        self.rate = float(self._video.average_rate or self._video.guessed_rate or 30)

    def __iter__(self) -> Iterator[Frame]:
        reformatter = _Reformatter()
        index, last = -1, 0.0
        for index, (picture, time_seconds) in enumerate(self._timed()):
            last = time_seconds
            yield Frame(stream=self.name, index=index, time_seconds=time_seconds, image=reformatter(picture))
        if index < 0:
            raise SourceError(f"{self.name} is not a video that can be read: {self._why()}")
        declared = self._declared_seconds()
        # headers of whole files count a few frames too many
        if last + 3 / self.rate + min(1.0, 0.05 * declared) < declared:
            raise SourceError(f"{self.name} is cut short: it ends at {last:.2f} s of {declared:.2f} s")

    def close(self) -> None:
        self._container.close()

    def _why(self, error: Exception | None = None) -> str:
        """Why not one frame can be read."""
        if self.path == "-":
            return "a pipe needs one that begins with its index, such as Matroska or an MP4 made with faststart"
        if Path(self.path).stat().st_size == 0:
            return "it is empty"
        return "not one frame of it decodes" if error is None else _reason(error)

    def _timed(self) -> Iterator[tuple[av.VideoFrame, float]]:
        """Pictures with times that increase."""
        pictures = self._decoded()
        ahead = list(islice(pictures, 1 if self._pipe else LOOK_AHEAD))
        times = [picture.time for picture in ahead]
        by_index = None in times or any(later <= earlier for earlier, later in pairwise(times))
        if by_index:
            self._say_timed_by_index()
        first = 0.0 if by_index or not ahead else float(times[0] or 0.0)
        index, last = 0, -1.0
        for picture in chain(ahead, pictures):
            time_seconds = index / self.rate if by_index or picture.time is None else picture.time - first
            if time_seconds <= last:
                if not by_index:
                    self._say_timed_by_index()
                    by_index = True
                time_seconds = max(index / self.rate, last + 1 / self.rate)
            yield picture, time_seconds
            index, last = index + 1, time_seconds

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """All pictures that decode; broken packets are passed over and counted."""
        import av

        broken = 0
        packets = self._container.demux(self._video)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except av.FFmpegError as error:
                self._raise_interrupt()
                self.warnings.append(f"{self.name} cannot be read to its end: {_reason(error)}")
                break
            try:
                yield from packet.decode()
            except av.FFmpegError:
                broken += 1
        self._raise_interrupt()
        if broken:
            self.warnings.append(f"{self.name} has {broken} broken packets, which were passed over")

    def _declared_seconds(self) -> float:
        """How long the file says its video is; 0 where it does not say."""
        if self._video.duration is not None and self._video.time_base is not None:
            return float(self._video.duration * self._video.time_base)
        alone = len(self._container.streams) == 1
        return (self._container.duration or 0) / 1_000_000 if alone else 0.0

    def _raise_interrupt(self) -> None:
        if self._pipe is not None and self._pipe.interrupt is not None:
            raise self._pipe.interrupt

    def _say_timed_by_index(self) -> None:
        self.warnings.append(
            f"{self.name} has presentation times that do not increase; frames are timed by index / {self.rate:g}"
        )


class _Pipe:
    """Standard input for PyAV: gives what there is at once, and keeps what a signal handler raises while it waits.

    PyAV passes over exceptions in `read` that are none of `Exception`, so they end the file here and are
    raised again outside.
    """

    def __init__(self, buffer: Any):
        self._raw = getattr(buffer, "raw", buffer)  # a buffered read would wait until it has all it was asked for
        self.interrupt: BaseException | None = None

    def read(self, size: int) -> bytes:
        if self.interrupt is not None:  # FFmpeg asks again after an end
            return b""
        try:
            return self._raw.read(size) or b""
        except BaseException as error:  # noqa: BLE001  raised again by VideoSource
            self.interrupt = error
            return b""


class _Reformatter:
    """Pictures of a decoder to RGB arrays, upright; one reformatter serves a whole stream."""

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()

    def __call__(self, picture: av.VideoFrame) -> np.ndarray:
        image = self._reformatter.reformat(picture, format="rgb24").to_ndarray()
        turns = round(picture.rotation / 90) % 4 if picture.rotation else 0
        return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


class ImageSource:
    """Image files at a fixed rate, in the order of their names, with numbers in them as numbers."""

    live = False

    def __init__(self, name: str, paths: list[Path], *, rate: float = 30.0):
        if not (rate > 0 and rate < float("inf")):
            raise SourceError(f"the rate of images is {rate} a second; it must be positive")
        self.name = name
        self.rate = rate
        self.warnings: list[str] = []
        self._paths = sorted((path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES), key=_by_number)
        if not self._paths:
            raise SourceError(f"{name} has no images in it; they end in {', '.join(IMAGE_SUFFIXES)}")

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        for position, path in enumerate(self._paths):
            try:
                with Image.open(path) as opened:
                    image = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
            except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
                reason = "it is none, or broken" if isinstance(error, UnidentifiedImageError) else _reason(error)
                self.warnings.append(f"{path.name} is not an image that can be read: {reason}")
                continue
            yield Frame(stream=self.name, index=index, time_seconds=position / self.rate, image=image)
            index += 1
        if index == 0:
            raise SourceError(self.warnings.pop())

    def close(self) -> None:
        pass


class CameraSource:
    """A camera of this machine, through OpenCV; `path` is its number, its device file or a file in its place."""

    live = True

    def __init__(self, path: str):
        from stream.opencv import cv2

        self.name = f"camera {path}" if path.isdecimal() else path
        self.warnings: list[str] = []
        self._cv2 = cv2
        self._capture = cv2.VideoCapture()
        with suppress(cv2.error, OverflowError):  # a number that no camera can have
            self._capture.open(int(path) if path.isdecimal() else path)
        if not self._capture.isOpened():
            raise SourceError(f"{self.name} cannot be opened: no camera is attached there, or another program has it")
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self.rate = float(self._capture.get(cv2.CAP_PROP_FPS) or 30)

    def __iter__(self) -> Iterator[Frame]:
        begin, index = perf_counter(), 0
        while True:
            there, image = self._capture.read()
            if not there:
                break
            now = perf_counter()
            image = self._cv2.cvtColor(image, self._cv2.COLOR_BGR2RGB)
            yield Frame(stream=self.name, index=index, time_seconds=now - begin, image=image, available=now)
            index += 1
        raise SourceError(f"{self.name} gives no {'more ' if index else ''}frames")

    def close(self) -> None:
        self._capture.release()


def _by_number(path: Path) -> list[tuple[int, str]]:
    """A key that sorts 2.png before 10.png."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _reason(error: Exception) -> str:
    """The words of an error without its number and path."""
    return (getattr(error, "strerror", None) or str(error)).strip().splitlines()[0].rstrip(".").lower()
