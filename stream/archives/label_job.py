"""Labels of the videos of an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Strict

from actionstream.archives.jobs import Do, ModelJob, Tell, open_video
from actionstream.archives.label_files import write_found
from actionstream.frame import Frame
from actionstream.models.common.checked import Share, ShortText, checked
from actionstream.runtimes.threads import core_left_free
from actionstream.videos.label import label_video
from actionstream.videos.thumbnails import Thumbnails


@checked
class LabelJob(ModelJob):
    """Label videos.

    kinds      of the files of a video: json, png, srt or vtt, csv, npz
    threshold  of the segments in subtitles and on the screen
    """

    kinds: Annotated[tuple[ShortText, ...], Strict(False)]
    threshold: Share

    def targets(self, folder: Path, name: str) -> dict[str, Path]:
        """The file of each kind."""
        return {kind: folder / f"{name}.{kind}" for kind in self.kinds}

    def is_done(self, folder: Path, name: str) -> bool:
        """Whether the files of a video are all there."""
        return self.targets(folder, name)["json"].is_file()  # it is written last

    def open(self) -> Do:
        """Open the model."""
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
