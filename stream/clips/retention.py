"""What clips are kept: by their age, by the size of all, and as long as the disk has room."""

from __future__ import annotations

import os
from bisect import insort
from collections.abc import Callable
from contextlib import suppress
from glob import glob
from pathlib import Path
from typing import NamedTuple

from actionstream.clips.clip import finish
from actionstream.clips.paths import PARTIAL, start_of, stem_of_file
from actionstream.models.common.files import bytes_of_files

DAY_SECONDS = 86_400


class FinishedClip(NamedTuple):
    """A clip on the disk, sorted by its start: all files of a stem, and their size."""

    start_seconds: float
    stem: Path
    num_bytes: int
    files: list[Path]


class Retention:
    """The finished clips of a folder; the oldest are deleted first. Files that are not of clips are left alone.

    clock    seconds since 1970
    deleted  clips deleted so far
    """

    def __init__(self, folder: Path, *, keep_days: float, keep_bytes: float, clock: Callable[[], float]):
        self._folder = folder
        self._keep_seconds = keep_days * DAY_SECONDS
        self._keep_bytes = keep_bytes
        self._clock = clock
        self._clips: list[FinishedClip] = []
        self._bytes = 0
        self.deleted = 0

    def scan(self) -> None:
        """Find the clips of an earlier process; a file that it did not finish is kept where it plays."""
        files: dict[Path, list[Path]] = {}
        for path in (self._folder / name for name in sorted(glob("*/*/*", root_dir=self._folder, include_hidden=True))):
            stem = stem_of_file(path)
            if stem is None:
                continue
            if path.stem.endswith(PARTIAL):
                whole = path.with_name(path.stem.removesuffix(PARTIAL) + path.suffix)
                if not (path.suffix == ".mp4" and finish(path, whole)):
                    path.unlink(missing_ok=True)
                    continue
                path = whole
            files.setdefault(stem, []).append(path)
        for stem, paths in files.items():
            self.add(stem, paths)

    def add(self, stem: Path, files: list[Path]) -> None:
        """Add a finished clip."""
        size = bytes_of_files(files)
        insort(self._clips, FinishedClip(start_of(stem), stem, size, files))
        self._bytes += size

    def tidy(self) -> None:
        """Delete the clips that are too old or too many."""
        oldest = self._clock() - self._keep_seconds
        while self._clips and (self._bytes > self._keep_bytes or self._clips[0].start_seconds < oldest):
            self.delete_oldest()

    def delete_oldest(self) -> bool:
        """Delete the oldest clip; returns False where there is none."""
        if not self._clips:
            return False
        clip = self._clips.pop(0)
        self._bytes -= clip.num_bytes
        for path in clip.files:
            path.unlink(missing_ok=True)
        with suppress(OSError):  # it has other clips
            os.rmdir(clip.stem.parent)
        self.deleted += 1
        return True
