"""The video files of `watch --save`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from itertools import chain, count
from pathlib import Path

from actionstream.models.common.errors import ActionstreamError
from actionstream.sinks import Overlay, SavedVideo, VideoFile


class Saving:
    """The labelled video of each stream: of one source the file `path`, of several a file in the folder `path`.

    No file is replaced: in a folder a stream gets the next free name, such as "door (2).mp4".

    Raises ActionstreamError where a single file exists, or `path` is no folder and there are several sources.
    """

    def __init__(self, path: Path, *, several: bool):
        self._path = path
        self._several = several
        self._given: set[Path] = set()
        self._videos: list[SavedVideo] = []
        if several:
            if path.suffix and not path.is_dir():
                raise ActionstreamError(f"--save is the file {path}; expected a folder, as there are several streams")
            path.mkdir(parents=True, exist_ok=True)
        elif os.path.lexists(path) and not path.is_dir():
            raise ActionstreamError(f"{path} exists; give another name")

    def add(
        self,
        stream: str,
        overlay: Overlay,
        *,
        drops: Callable[[], bool],
        fail: Callable[[Exception], None],
        say: Callable[[str], None],
    ) -> SavedVideo:
        """The sink of a new stream; `drops`, `fail` and `say` as in `SavedVideo`."""
        file = VideoFile(self._free_path(stream) if self._several else self._path, overlay)
        video = SavedVideo(file, drops=drops, fail=fail, say=say)
        self._videos = [*(each for each in self._videos if not each.finished), video]
        return video

    def join(self) -> None:
        """Wait until all files are finished, after the ends of their streams."""
        for video in self._videos:
            video.join()

    def _free_path(self, stream: str) -> Path:
        name = re.sub(r"[^\w.-]+", "_", stream)
        paths = (self._path / (name + end) for end in chain([".mp4"], (f" ({n}).mp4" for n in count(2))))
        path = next(path for path in paths if path not in self._given and not os.path.lexists(path))
        self._given.add(path)
        return path
