"""The features of long videos, kept in files: a row for each snippet, as the backbones see it live.

A video is read once; memory does not depend on its length.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from actionstream.engine.scorer import Scorer
from actionstream.frame import Frame
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import atomic_write
from actionstream.sources import open_source
from actionstream.videos.scores import scored_chunks

ROWS, TIMES = ".f16", ".npz"


@dataclass(frozen=True)
class VideoFeatures:
    """The features of a video, of which n snippets were sampled.

    rows              float16 (n, F), a memory map
    times_seconds     float64 (n,), increasing
    begins_anew       bool (n,): rows before which the state was emptied
    duration_seconds  to the end of the last frame
    """

    rows: np.ndarray
    times_seconds: np.ndarray
    begins_anew: np.ndarray
    duration_seconds: float


class FeatureStore:
    """Makes the features of videos, and keeps them in a folder until what they were made of changes.

    scorer   of the backbones alone, see `Looking`
    made_of  what tells these backbones from others, such as a digest of their weights
    """

    def __init__(self, folder: Path, scorer: Scorer, *, made_of: str):
        self._folder = folder
        self._scorer = scorer
        self._made_of = made_of
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, video: Path, *, look: Callable[[Frame], None] = lambda frame: None) -> VideoFeatures:
        """The features of a video; SourceError or ActionstreamError where it cannot be read.

        look  is shown every frame, where the video is read
        """
        stem = self._folder / self._key(video)
        try:
            return self._read(stem)
        except (OSError, EOFError, KeyError, ValueError, BadZipFile):  # there is none, or it is damaged
            self._make(video, stem, look)
        return self._read(stem)

    def _read(self, stem: Path) -> VideoFeatures:
        with stem.with_suffix(TIMES).open("rb") as file, np.load(file) as known:
            times, begins, duration = known["times_seconds"], known["begins_anew"], float(known["duration_seconds"])
        rows = np.memmap(stem.with_suffix(ROWS), np.float16, "r", shape=(len(times), len(self._scorer.card.labels)))
        return VideoFeatures(rows, times, begins, duration)

    def _make(self, video: Path, stem: Path, look: Callable[[Frame], None]) -> None:
        times: list[float] = []
        begins: list[bool] = []
        last_seconds = 0.0

        def count(frame: Frame) -> None:
            nonlocal last_seconds
            last_seconds = frame.time_seconds
            look(frame)

        source = open_source(video)
        with atomic_write(stem.with_suffix(ROWS)) as partial, partial.open("wb") as file:
            begin = True
            with closing(scored_chunks(source, self._scorer, look=count)) as chunks:
                for chunk in chunks:
                    for time_seconds, row in chunk:
                        begin = begin or bool(row.reset)
                        if row.scores is None:
                            continue
                        file.write(row.scores.astype(np.float16).tobytes())
                        times.append(time_seconds)
                        begins.append(begin)
                        begin = False
            if len(times) < 2:
                raise ActionstreamError("the video is too short: nothing can happen in it")
        with atomic_write(stem.with_suffix(TIMES)) as partial, partial.open("wb") as file:
            np.savez(
                file,
                times_seconds=np.array(times),
                begins_anew=np.array(begins),
                duration_seconds=source.ends_at(last_seconds),
            )

    def _key(self, video: Path) -> str:
        there = os.stat(video)
        made_of = f"{self._made_of} {video.resolve()} {there.st_size} {there.st_mtime_ns}"
        return hashlib.sha256(made_of.encode()).hexdigest()[:24]
