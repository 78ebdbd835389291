"""A video of a visitor: the shared engine labels it, and a snapshot of the state is kept for every second."""

from __future__ import annotations

import math
import secrets
import threading
from bisect import bisect_right
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np

from actionstream.archives.label_files import write_found
from actionstream.demos.page.answers import quiet_classes
from actionstream.demos.page.hub import Hub, Settings
from actionstream.engine.engine import Snapshot
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.labels import find_background
from actionstream.results import Prediction, Update
from actionstream.scoring import sure_segments
from actionstream.sources import SourceError
from actionstream.sources.video import FileSource
from actionstream.videos.label import LabelledVideo, label_scores
from actionstream.videos.picture import choose_classes, score_columns
from actionstream.videos.scores import VideoScores
from actionstream.videos.thumbnails import Thumbnails

MAX_SNAPSHOTS = 600
KINDS = ("json", "csv", "srt", "png")


class UploadedVideo:
    """A video while it is labelled; a sink.

        clip = UploadedVideo(path, name="film.mp4", hub=hub)
        clip.begin()
        clip.done.wait()
        found = clip.finish()

    Raises ValueError where the video cannot be read or exceeds a limit.
    """

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        hub: Hub,
        max_minutes: float,
        max_height: float,
        max_snapshots: int = MAX_SNAPSHOTS,
    ):
        self.token = secrets.token_urlsafe(16)
        self.path = path
        self.name = name
        self.hub = hub
        self.done = threading.Event()
        self.thumbnails = Thumbnails()
        self.seconds_done = 0.0
        self._source = FileSource(str(path), name=name, uploaded=True)
        self._max_seconds = 60 * max_minutes
        self._max_height = max_height
        self._max_snapshots = max_snapshots
        if self.seconds > self._max_seconds:
            raise ActionstreamError(self._too_long())
        self._rows: list[tuple[float, np.ndarray, int]] = []
        self._moments: list[tuple[float, Snapshot, Prediction]] = []
        self._spacing_seconds = 1.0
        self._problem: str | None = None

    @property
    def seconds(self) -> float:
        """The duration in the file's header; 0 where it has none."""
        return self._source.seconds

    def begin(self) -> None:
        self.hub.add(self.token, self._source, self, Settings(), realtime=False)

    def stop(self) -> None:
        """End the labelling."""
        self.hub.remove(self.token)

    def push(self, update: Update) -> None:
        if update.frame is not None and self._problem is None:
            height, width = update.frame.size
            self.seconds_done = update.frame.time_seconds
            if min(height, width) > self._max_height:
                self._refuse(f"{self.name} has {width} x {height} pixels; the most are {self._max_height} lines")
            elif self.seconds_done > self._max_seconds:
                self._refuse(self._too_long())
            self.thumbnails.push(update.frame)
        if update.prediction is not None:
            self._keep(update.prediction)
        if update.notice is not None and update.notice.event == "close":
            self._problem = self._problem or update.notice.reason
            self.done.set()

    def close(self) -> None:
        self.done.set()

    def finish(self) -> LabelledVideo:
        """The segments and scores, after `done` is set; ActionstreamError where labelling failed."""
        if self.hub.failure:
            raise ActionstreamError(self.hub.failure)
        if self._problem is not None:  # a part of a video is no result
            raise ActionstreamError(self._problem)
        if len(self._rows) < 2:
            raise ActionstreamError(f"{self.name} is too short: nothing can happen in it")
        times, scores, ages = map(np.array, zip(*self._rows, strict=True))
        card = self.hub.engine.card
        rows = VideoScores(
            times_seconds=times,
            scores=scores,
            rows_since_reset=ages,
            duration_seconds=self._source.ends_at(self.seconds_done),
        )
        self._rows = []
        return label_scores(rows, card, name=self.name, background=find_background(card.labels))

    @property
    def remarks(self) -> list[str]:
        return self._source.warnings

    def at(self, time_seconds: float) -> Prediction | None:
        """The exact live prediction at a time: the engine goes on from the last snapshot before it.

        None before the first prediction.
        """
        place = bisect_right([moment for moment, *_ in self._moments], time_seconds) - 1
        if place < 0:
            return None
        begin, snapshot, prediction = self._moments[place]
        engine = self.hub.engine
        stream = engine.open()
        try:
            # where times are index / rate, only decoding from the first frame gives the same times
            for start_seconds in (0.0,) if self.remarks else (begin, 0.0):
                engine.restore(stream, snapshot)
                said = prediction
                source = FileSource(str(self.path), start_seconds=start_seconds, uploaded=True)
                with suppress(SourceError), closing(source):
                    for frame in source:
                        if frame.time_seconds > time_seconds:
                            break
                        if frame.time_seconds > begin:
                            said = engine.push(stream, frame.picture, frame.time_seconds) or said
                    return said
            return said
        finally:
            engine.close(stream)

    def write(self, found: LabelledVideo, folder: Path) -> dict[str, Path]:
        """Write the files to download; return their paths by kind. No file name on disk comes from the visitor."""
        folder.mkdir(exist_ok=True)
        stem = Path(self.name).stem or "video"
        targets = {kind: folder / f"found.{kind}" for kind in KINDS}
        write_found(found, stem, targets, card=self.hub.engine.card, thumbnails=self.thumbnails)
        return targets

    def _keep(self, prediction: Prediction) -> None:
        time_seconds = prediction.time_seconds
        self._rows.append((time_seconds, prediction.scores, prediction.frames_since_reset))
        if self._moments and time_seconds < self._moments[-1][0] + self._spacing_seconds:
            return
        if len(self._moments) >= self._max_snapshots:
            self._moments = self._moments[::2]
            self._spacing_seconds *= 2
        self._moments.append((time_seconds, self.hub.engine.snapshot(self.token), prediction))

    def _refuse(self, why: str) -> None:
        self._problem = why
        self.stop()

    def _too_long(self) -> str:
        return f"{self.name} is longer than {self._max_seconds / 60:g} minutes, which is the most"


def timeline(clip: UploadedVideo, found: LabelledVideo) -> dict[str, Any]:
    """The result of a video as JSON for the page: a column has a score for each label, None where there is no score."""
    card = clip.hub.engine.card
    shown = choose_classes(found, card.labels)
    columns = score_columns(found, shown, interval_seconds=card.interval_seconds)
    best = np.argsort(-found.overall, kind="stable")[:5]
    sure = sorted(sure_segments(found.segments), key=lambda s: (s.start_seconds, s.end_seconds))
    return {
        "name": clip.name,
        "duration": found.scores.duration_seconds,
        "labels": [card.labels[index] for index in shown],
        "quiet": quiet_classes([card.labels[index] for index in shown]),
        "columns": [[None if math.isnan(v) else round(float(v), 3) for v in column] for column in columns.T],
        "segments": [
            {"label": s.label, "start": s.start_seconds, "end": s.end_seconds, "score": round(s.score, 3)} for s in sure
        ],
        "overall": [[card.labels[index], round(float(found.overall[index]), 4)] for index in best],
        "remarks": clip.remarks,
        "files": KINDS,
    }
