"""Scores of the videos of an archive, for an evaluation."""

from __future__ import annotations

import zlib
from dataclasses import asdict
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from actionstream.archives.jobs import Do, ModelJob, Tell, open_video
from actionstream.frame import Frame
from actionstream.models.common.checked import checked
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import atomic_write
from actionstream.runtimes.threads import core_left_free
from actionstream.videos.scores import VideoScores, score_video
from actionstream.videos.thumbnails import Thumbnails


@checked
class ScoreJob(ModelJob):
    """Score videos. with_pictures: keep thumbnails, too"""

    with_pictures: bool = False

    def is_done(self, folder: Path, name: str) -> bool:
        """Whether the scores of a video are there."""
        return _file(folder, name).is_file()

    def open(self) -> Do:
        """Open the model."""
        scorer = self.open_scorer()

        def do(video: str, folder: Path, name: str, tell: Tell) -> list[str]:
            thumbnails = Thumbnails()

            def look(frame: Frame) -> None:
                if self.with_pictures:
                    thumbnails.push(frame)
                tell(frame.time_seconds)

            source = open_video(video)
            source.one_of_several = True
            with core_left_free():
                scores = score_video(source, scorer, look=look)
            _write(_file(folder, name), scores, thumbnails)
            return [*source.warnings, *filter(None, [scores.cut_short])]

        return do


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.scores.npz"


def _write(path: Path, scores: VideoScores, thumbnails: Thumbnails) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)  # a name may have folders
    times, pictures = zip(*thumbnails.kept, strict=True) if thumbnails.kept else ((), ())
    arrays = {**asdict(scores), "cut_short": scores.cut_short or ""}
    with atomic_write(path) as partial, partial.open("wb") as file:  # given a name, numpy would append .npz
        np.savez_compressed(file, **arrays, thumbnail_seconds=np.array(times), thumbnails=np.array(pictures))


def read_scores(folder: Path, name: str) -> tuple[VideoScores, Thumbnails]:
    """The scores of a video, and its thumbnails, where the job kept some; ActionstreamError for a damaged file."""
    file, thumbnails = _file(folder, name), Thumbnails()
    try:
        with file.open("rb") as opened, np.load(opened) as arrays:  # numpy leaves a damaged file open
            scores = VideoScores(
                times_seconds=arrays["times_seconds"],
                scores=arrays["scores"],
                rows_since_reset=arrays["rows_since_reset"],
                duration_seconds=float(arrays["duration_seconds"]),
                cut_short=str(arrays["cut_short"]) or None,
            )
            thumbnails.kept = list(zip(arrays["thumbnail_seconds"].tolist(), arrays["thumbnails"], strict=True))
    except (ValueError, KeyError, EOFError, TypeError, BadZipFile, zlib.error) as error:
        raise ActionstreamError(f"{file} is damaged; remove it, and run the command again") from error
    return scores, thumbnails
