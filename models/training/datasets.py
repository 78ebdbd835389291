"""A data set: clips, what was left out of it, and its sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

import numpy as np

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.training.left_out import LeftOut

NOT_THERE = "videos that are not there"
NO_CLIP = "labels without a clip"


@dataclass(frozen=True)
class Clip:
    """A stretch of a video, or of a folder of frames, and what happens in it.

    path     a video file, a folder of pictures in the order of their names, or a file of features
    labels   names; several in a multi-label data set, none for an unlabelled clip
    seconds  (start, end) of the stretch; None for all of it
    frames   (first, one past the last) of the stretch, counted from 0, where a list gives frames
    group    name of the recording; all its clips belong to one side of a split
    """

    path: Path
    labels: tuple[str, ...]
    seconds: tuple[float, float] | None = None
    frames: tuple[int, int] | None = None
    group: str = ""

    def __post_init__(self) -> None:
        for stretch in (self.seconds, self.frames):
            if stretch is not None and not 0 <= stretch[0] < stretch[1]:
                raise ActionstreamError(
                    f"{self.path} from {stretch[0]} to {stretch[1]}: expected a start of 0 or more, and an end after it"
                )


@dataclass(frozen=True)
class Listing(Sequence[Clip]):
    """The clips of a data set in order, and what of it was left out.

    labels   all labels that were read, also those of clips that were left out
    is_test  whether the clips are of the subset that the data set has for testing
    """

    clips: list[Clip] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)
    labels: set[str] = field(default_factory=set)
    is_test: bool = False

    @overload
    def __getitem__(self, index: int) -> Clip: ...

    @overload
    def __getitem__(self, index: slice) -> list[Clip]: ...

    def __getitem__(self, index: int | slice) -> Clip | list[Clip]:
        return self.clips[index]

    def __len__(self) -> int:
        return len(self.clips)

    def add(
        self,
        path: Path | None,
        name: str,
        labels: Sequence[str],
        *,
        seconds: tuple[float, float] | None = None,
        frames: tuple[int, int] | None = None,
        group: str = "",
    ) -> None:
        """Add a clip of a video; a missing video (None) is left out by its name."""
        self.labels.update(labels)
        if path is None:
            self.left_out.add(NOT_THERE, name)
        else:
            self.clips.append(Clip(path, tuple(labels), seconds, frames, group))

    def checked(self, source: Path, root: Path) -> Listing:
        """The listing itself, after it has named the labels without a clip; ValueError where there is no clip."""
        if not self.clips:
            why = "; ".join(self.left_out.lines()) or "it has no row"
            raise ActionstreamError(f"none of the clips of {source} can be used, with videos in {root}: {why}")
        if gone := self.labels - {label for clip in self.clips for label in clip.labels}:
            self.left_out.add(NO_CLIP, *sorted(gone))
        return self

    def complete(self) -> list[Clip]:
        """The clips; ValueError where something was left out."""
        if self.left_out:
            raise ActionstreamError(f"the data set is not complete: {'; '.join(self.left_out.lines())}")
        return self.clips


def split_by_group(clips: Sequence[Clip], *, seed: int, share: float = 0.2) -> tuple[list[Clip], list[Clip]]:
    """Clips for training and for validation: about `share` of each label's groups are for validation."""
    held_out: set[str] = set()
    for label in sorted({label for clip in clips for label in clip.labels}):
        groups = sorted({clip.group or str(clip.path) for clip in clips if label in clip.labels})
        order = np.random.default_rng((seed, len(groups))).permutation(groups)
        held_out |= set(order[: max(1, round(share * len(groups)))].tolist() if len(groups) > 1 else ())
    sides: tuple[list[Clip], list[Clip]] = [], []
    for clip in clips:
        sides[(clip.group or str(clip.path)) in held_out].append(clip)
    return sides


def check_split(training: Sequence[Clip], validation: Sequence[Clip]) -> None:
    """ValueError where a recording is on both sides."""
    groups = [{clip.group or str(clip.path) for clip in side} for side in (training, validation)]
    if leaked := groups[0] & groups[1]:
        raise ActionstreamError(f"{len(leaked)} groups are in training and validation, such as {min(leaked)}")


def count_shared(tested: Sequence[Clip], learnt: Sequence[Clip]) -> int:
    """How many tested clips are of a recording that was learnt from, or are themselves learnt from."""
    known = {clip.group or str(clip.path.resolve()) for clip in learnt}
    return sum((clip.group or str(clip.path.resolve())) in known for clip in tested)


def leave_one_out(clips: Sequence[Clip], number: int) -> tuple[list[Clip], list[Clip]]:
    """The clips of the other groups of the same set, and the clips of group `number`, from 1 in order of names.

    The set of a group is the part of its name before the underscore: set1_seq01 belongs to set1.
    """
    groups = sorted({clip.group for clip in clips})
    if not 1 <= number <= len(groups):
        raise ActionstreamError(f"no group {number} to leave out; there are {len(groups)}: {groups[0]} to {groups[-1]}")
    out = groups[number - 1]
    same_set = [clip for clip in clips if clip.group.split("_")[0] == out.split("_")[0]]
    return [clip for clip in same_set if clip.group != out], [clip for clip in same_set if clip.group == out]
