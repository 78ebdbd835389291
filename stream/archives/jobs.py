"""What is made of each video of an archive."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import Strict

from actionstream.archives.label_files import write_found
from actionstream.choices import DeviceName, PrecisionName, RuntimeName
from actionstream.engine.fusion import open_scorer
from actionstream.engine.scorer import Scorer
from actionstream.frame import Frame
from actionstream.models.common.checked import Share, ShortText, checked
from actionstream.models.common.choices import LiveMode
from actionstream.models.labels import find_background
from actionstream.runtimes.threads import core_left_free
from actionstream.sources import Source, SourceError, open_source
from actionstream.videos.label import label_video
from actionstream.videos.thumbnails import Thumbnails

Tell = Callable[[float], object]
"""Is told how many seconds of the video are done."""
Do = Callable[[str, Path, str, Tell], list[str]]
"""Does a video: takes its path, the folder of the results, and its name there; returns warnings about it.

Raises ActionstreamError or OSError where the video is at fault.
"""


@checked
class LabelJob:
    """Label videos. The settings hold for all; processes on other machines get them as JSON.

    kinds      of the files of a video: json, png, srt or vtt, csv, npz
    threshold  of the segments in subtitles and on the screen
    """

    model: ShortText
    streaming: LiveMode | None = None
    runtime: RuntimeName = "auto"
    precision: PrecisionName = "float32"
    device: DeviceName = "auto"
    num_threads: int | None = None
    background: ShortText | None = None
    kinds: Annotated[tuple[ShortText, ...], Strict(False)]
    threshold: Share

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    def open_scorer(self, say: Callable[[str], None] = lambda _: None) -> Scorer:
        """The scorer of the model; `say` is told a runtime that was not asked for by its name."""
        loading: dict[str, Any] = {} if self.streaming is None else {"streaming": self.streaming}
        return open_scorer(
            self.model,
            runtime=self.runtime,
            precision=self.precision,
            device=self.device,
            num_threads=self.num_threads,
            say=say,
            **loading,
        )

    def pinned(self, scorer: Scorer, *, num_threads: int) -> LabelJob:
        """The same, with all that a machine would choose by itself as it is here."""
        pinned = replace(self, num_threads=num_threads, background=find_background(scorer.card.labels, self.background))
        if len(scorer.runs_with) > 1:  # networks that are fused, of different kinds: each has one runtime that fits
            return pinned
        ((software, precision),) = scorer.runs_with
        return replace(pinned, runtime=cast(RuntimeName, software), precision=cast(PrecisionName, precision))

    def targets(self, folder: Path, name: str) -> dict[str, Path]:
        """The file of each kind."""
        return {kind: folder / f"{name}.{kind}" for kind in self.kinds}

    def is_done(self, folder: Path, name: str) -> bool:
        """Whether the files of a video are all there."""
        return self.targets(folder, name)["json"].is_file()  # it is written last

    def open(self) -> Do:
        """Do what takes long, once in each process."""
        scorer = self.open_scorer()

        def do(video: str, folder: Path, name: str, tell: Tell) -> list[str]:
            thumbnails = Thumbnails()

            def look(frame: Frame) -> None:
                thumbnails.push(frame)
                tell(frame.time_seconds)

            source = open_video(video)
            source.one_of_several = True
            with core_left_free():
                found = label_video(source, scorer, background=self.background, look=look)
            targets = self.targets(folder, name)
            write_found(found, name, targets, card=scorer.card, thumbnails=thumbnails, threshold=self.threshold)
            return [*source.warnings, *filter(None, [found.scores.cut_short])]

        return do


def open_video(video: str | Path) -> Source:
    """Open a video file, a folder of pictures, or "sample", the clip of the package."""
    if not Path(video).exists() and video != "sample":
        raise SourceError(f"no such file: {video}; give video files, or folders of images")
    return open_source(video if video == "sample" else Path(video))
