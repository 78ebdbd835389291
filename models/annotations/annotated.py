"""What a file of annotations says of each video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from actionstream.models.annotations.subsets import side_of
from actionstream.models.common.errors import ActionstreamError

AMBIGUOUS = "Ambiguous"
"""The label that THUMOS14 gives to segments of which nobody can say what happens."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """A label of a segment of a video; start and end are NaN where it is of the whole video (ActivityNet)."""

    start_seconds: float
    end_seconds: float
    label: str

    def __str__(self) -> str:
        return f"[{self.start_seconds:g}, {self.end_seconds:g}] {self.label}"


@dataclass(frozen=True, slots=True)
class AnnotatedVideo:
    """A video and its annotations, in the order of their file; segments may overlap.

    name              as the file names it
    annotations       none where nothing happens in the video
    subset            as the file names it; None where it says nothing
    group             name of the recording; all videos of a group belong to one side of a split
    duration_seconds  None where it is not known
    path              None where the video was not looked for
    ignored           segments that count neither as an action nor as background
    reviewed          whether a person says that nothing is missing in `annotations`; None where the file says nothing
    """

    name: str
    annotations: tuple[Annotation, ...]
    subset: str | None
    group: str
    duration_seconds: float | None = None
    path: Path | None = None
    ignored: tuple[Annotation, ...] = ()
    reviewed: bool | None = None


@dataclass(frozen=True, slots=True)
class AnnotationSet:
    """The videos of a file or folder of annotations, each with a subset or none of them, and all labels that it names.

    not_annotated  names of videos that somebody has only begun with: without annotations, and not reviewed. They are
                   none of the videos, as nobody says that nothing happens in them

    Raises ValueError where only some of the videos have a subset.
    """

    source: Path
    videos: tuple[AnnotatedVideo, ...]
    labels: tuple[str, ...]
    not_annotated: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        without = [video.name for video in self.videos if video.subset is None]
        if 0 < len(without) < len(self.videos):
            raise ActionstreamError(
                f"video {without[0]} of {self.source} does not say which subset it is in, and others do; expected a "
                "subset for each video, or for none"
            )

    @property
    def subsets(self) -> list[str]:
        """The names of the subsets, sorted."""
        return sorted({video.subset for video in self.videos if video.subset is not None})

    def of_subset(self, name: str) -> list[AnnotatedVideo]:
        """The videos of a subset; all videos where none has a subset.

        A name that no video has stands for the subsets that mean the same: "validation" for "val" or "dev".
        """
        subsets = self.subsets
        same = {each for each in subsets if side_of(each) is not None and side_of(each) == side_of(name)}
        chosen = {name} if name in subsets else same
        return [video for video in self.videos if video.subset is None or video.subset in chosen]
