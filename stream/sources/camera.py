"""Cameras of this machine, through OpenCV."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import perf_counter

from actionstream.frame import Frame
from actionstream.sources.packet_log import jpeg_packet
from actionstream.sources.source import Source, SourceError


class CameraSource(Source):
    """A camera; `path` is its number, its device file, or a file in its place. The times are times of arrival."""

    live = True
    patient = False

    def __init__(self, path: str):
        super().__init__(camera_name(path))
        self._path = path

    def __iter__(self) -> Iterator[Frame]:
        from actionstream.models.common.opencv import cv2

        capture = cv2.VideoCapture()
        with suppress(cv2.error, OverflowError):  # a number that no camera can have
            capture.open(int(self._path) if self._path.isdecimal() else self._path)
        try:
            if not capture.isOpened():
                raise SourceError(
                    f"{self.name} cannot be opened: no camera is attached there, or another program has it"
                )
            capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
            self.rate = float(capture.get(cv2.CAP_PROP_FPS) or 30)
            begin, index = perf_counter(), 0
            while True:
                there, image = capture.read()
                if not there:
                    break
                now = perf_counter()
                image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
                packets = (jpeg_packet(image, now - begin),) if self.with_packets else ()
                yield Frame(
                    stream=self.name,
                    index=index,
                    time_seconds=now - begin,
                    picture=image,
                    available=now,
                    packets=packets,
                )
                index += 1
            raise SourceError(f"{self.name} gives no {'more ' if index else ''}frames")
        finally:
            capture.release()


def camera_name(path: str) -> str:
    """The name of a camera."""
    return f"camera {path}" if path.isdecimal() else path


def attached_cameras() -> list[tuple[str, str]]:
    """Number and description of each camera attached here.

    On Linux they come from /sys, without opening a camera; elsewhere the first ten numbers are tried.
    """
    if sys.platform == "linux":
        return _linux_cameras(Path("/sys/class/video4linux"))
    from actionstream.models.common.opencv import cv2

    found = []
    for number in range(10):
        capture = cv2.VideoCapture(number)
        if capture.isOpened():
            width, height = (int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
            found.append((str(number), f"{width} x {height}"))
        capture.release()
    return found


def _linux_cameras(folder: Path) -> list[tuple[str, str]]:
    """A device has several files; pictures come from the one whose `index` is 0."""
    found = []
    for device in sorted(folder.glob("video*"), key=lambda path: int(path.name.removeprefix("video"))):
        with suppress(FileNotFoundError):  # it was unplugged meanwhile
            if (device / "index").read_text().strip() == "0":
                found.append((device.name.removeprefix("video"), (device / "name").read_text().strip()))
    return found
