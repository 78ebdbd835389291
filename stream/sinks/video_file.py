"""A video file with the labels drawn in."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.video import SourceError
from actionstream.models.video.decoder import Decoder
from actionstream.results import Update
from actionstream.sinks.overlay import Overlay

if TYPE_CHECKING:
    import av
    import numpy as np

FORMATS = {".mp4": "mp4", ".mkv": "matroska", ".mov": "mov"}
"""Containers by the suffix of the name."""
FRAGMENTED = {"movflags": "hybrid_fragmented+default_base_moof"}
OPTIONS = {
    ".mp4": FRAGMENTED,
    ".mov": FRAGMENTED,
    ".mkv": {"cluster_time_limit": "1000"},
}
"""Options with which a truncated file still plays; a closed MP4 or MOV is an ordinary file."""


class VideoFile:
    """Every frame of the source, with an overlay unless it is None, as H.264; the suffix gives the container.

    The write is atomic: the frames go to NAME.PID.partial.SUFFIX, and `close` renames it. The partial file plays to its
    last second when the process is killed or the disk is full. A file that exists is never replaced: ActionstreamError
    at first, and where it is there at the end only, the partial file stays.
    """

    def __init__(self, path: str | os.PathLike[str], overlay: Overlay | None):
        import av

        self.path = Path(path)
        self._overlay = overlay
        self._stream: av.VideoStream | None = None
        self._last = -1
        if self.path.suffix.lower() not in FORMATS:
            raise ActionstreamError(f"{self.path} cannot be written: its name must end in {', '.join(FORMATS)}")
        if self.path.is_dir():
            raise ActionstreamError(f"{self.path} cannot be written: it is a folder")
        if os.path.lexists(self.path):
            raise ActionstreamError(f"{self.path} exists; give another name")
        self._partial = self.path.with_name(f"{self.path.stem}.{os.getpid()}.partial{self.path.suffix}")
        try:
            self._partial.open("wb").close()  # PyAV would raise at the first frame only
        except OSError as error:
            raise ActionstreamError(f"{self.path} cannot be written: {error.strerror}") from error
        suffix = self.path.suffix.lower()
        self._container: av.container.OutputContainer | None = av.open(
            f"file:{self._partial}", "w", format=FORMATS[suffix], options={**OPTIONS[suffix], "flush_packets": "1"}
        )

    def push(self, update: Update) -> None:
        """Add the frame of an update; OSError where it cannot be written: the partial file stays."""
        if update.frame is None or self._container is None:
            return
        image = update.frame.image
        if self._overlay is not None:
            image = self._overlay(update.frame, update.prediction)
        self._last = max(self._last + 1, round(update.frame.time_seconds * 1000))
        with self._or_part():
            self._add(self._container, image)

    def close(self) -> None:
        """Finish the file and rename it, if there were frames; OSError where it cannot be written."""
        if self._container is None:
            return
        if self._stream is None:  # there was no frame
            self.discard()
            return
        with self._or_part():
            self._container.mux(self._stream.encode(None))
            self._container.close()
            if os.path.lexists(self.path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            os.rename(self._partial, self.path)
        self._container = None

    def discard(self) -> None:
        """Delete the partial file, if the file was not closed."""
        container, self._container = self._container, None
        if container is not None:
            with suppress(Exception):  # the file is deleted in any case
                container.close()
            self._partial.unlink(missing_ok=True)

    def _add(self, container: av.container.OutputContainer, image: np.ndarray) -> None:
        import av

        if self._stream is None:
            height, width = image.shape[:2]
            self._stream = stream = container.add_stream("libx264", rate=Fraction(30))
            stream.width, stream.height = width // 2 * 2, height // 2 * 2
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = Fraction(1, 1000)
            stream.options = {"preset": "veryfast", "crf": "20", "g": "30", "bf": "0", "rc-lookahead": "10"}
        picture = av.VideoFrame.from_ndarray(image, format="rgb24")
        picture = picture.reformat(self._stream.width, self._stream.height, format="yuv420p")
        picture.pts, picture.time_base = self._last, Fraction(1, 1000)
        container.mux(self._stream.encode(picture))

    @contextmanager
    def _or_part(self) -> Iterator[None]:
        """In this context an error ends the file; the partial file stays if it plays."""
        try:
            yield
        except Exception as error:
            container, self._container = self._container, None
            with suppress(Exception):  # the same error again
                container.close()  # type: ignore[union-attr]
            try:
                with closing(Decoder(str(self._partial), name=self._partial.name)) as written:
                    next(written.pictures())
                kept = f"; what was written is {self._partial}"
            except (SourceError, StopIteration):
                self._partial.unlink(missing_ok=True)
                kept = ""
            if isinstance(error, OSError):
                raise OSError(error.errno, f"{self.path} cannot be written: {error.strerror}{kept}") from error
            raise
