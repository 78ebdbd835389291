"""The training clips, validation clips and labels of a run, from one description that can be stored."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from actionstream.models.annotations.read import read_annotations
from actionstream.models.common.checked import Seed, ShortText, checked
from actionstream.models.common.choices import DataFormat
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.labels import list_labels, read_labels
from actionstream.models.training.annotated import choose_sides, divide, no_subset
from actionstream.models.training.annotations import (
    charades,
    hmdb51_split,
    jester,
    kinetics,
    segment_clips,
    something_something,
    ucf101_split,
    ut_interaction,
)
from actionstream.models.training.datasets import Listing, leave_one_out, split_by_group
from actionstream.models.training.folders import Videos, find_sides, folder_tree
from actionstream.models.training.frame_lists import frame_list
from actionstream.models.training.left_out import LeftOut
from actionstream.models.video import is_hidden, is_video


@checked
class Data:
    """Where clips are, and how their labels are written down.

    root        folder of videos, or of folders of frames
    format      "folders": a folder for each class. Folders train and val (or valid, validation, dev) that hold such
                folders are the sides, and a folder test is not used; without sides a fifth of the groups, chosen by
                `seed`, is for validation. "ucf101" and "hmdb51": folders, and the official lists. Others: see
                actionstream.models.training.annotations and actionstream.models.training.frame_lists
    training    list or annotations of the training clips; for hmdb51 the folder of its lists
    validation  list or annotations of the validation clips; hmdb51, activitynet and thumos14 find both sides in
                `training` where this is None; where activitynet and thumos14 find no validation clip there, a fifth of
                the groups is held out, as in folders
    labels      a list of models.labels or a file, for annotations with numbers; None: the labels that occur, sorted
    split       number of the official split (hmdb51), or of the sequence that is left out (ut-interaction)
    seed        of the split of folders
    hold_out    whether folders without sides are split; else all their clips are for training
    """

    root: ShortText
    format: DataFormat = "folders"
    training: ShortText | None = None
    validation: ShortText | None = None
    labels: ShortText | None = None
    split: Annotated[int, Field(ge=1, le=100_000)] = 1
    seed: Seed = 0
    hold_out: bool = True

    def __post_init__(self) -> None:
        if self.format != "folders" and self.training is None:
            raise ActionstreamError(f"the format {self.format} needs a list or annotations of the training clips")
        if self.format == "folders" and (self.training or self.validation):
            raise ActionstreamError(
                "lists and annotations have a format of their own; give it, --format list or another one"
            )
        if not Path(self.root).is_dir():
            raise ActionstreamError(f"no folder {self.root}")
        for name in ("root", "training", "validation", "labels"):  # a run can be resumed from any folder
            value = getattr(self, name)
            if value is not None and not (name == "labels" and value in list_labels()):
                object.__setattr__(self, name, str(Path(value).resolve()))

    def open(self) -> tuple[Listing, Listing, tuple[str, ...]]:
        """Clips for training, clips for validation, and the labels."""
        training, validation = (_labelled(side) for side in self._sides())
        if not training.clips:
            raise ActionstreamError(
                f"none of the clips to learn from has a label: {'; '.join(training.left_out.lines())}"
            )
        there = {label for clip in training for label in clip.labels}
        if self.labels is None:
            labels = tuple(sorted(there, key=_by_number if self.format in ("list", "charades") else None))
            return training, _known(validation, there), labels
        labels = tuple(read_labels(self.labels))
        if unknown := {label for clip in [*training, *validation] for label in clip.labels} - set(labels):
            raise ActionstreamError(
                f"{len(unknown)} labels of the clips are not in {self.labels}, such as {min(unknown)!r}"
            )
        return training, validation, labels

    def to_test(self) -> Listing:
        """Clips to test a trained network on: those of the test side, or else of the validation side.

        All clips where the data set has no sides.
        """
        sides = find_sides(Path(self.root))
        return folder_tree(sides.get("test") or sides.get("validation") or sides.get("training") or Path(self.root))

    def _sides(self) -> tuple[Listing, Listing]:
        if self.format == "folders":
            return self._folders()
        assert self.training is not None
        if self.format == "ut-interaction":
            every = ut_interaction(Path(self.training), Path(self.root))
            learnt, held_out = leave_one_out(every, self.split)
            return replace(every, clips=learnt), Listing(held_out)
        if self.format in ("activitynet", "thumos14"):
            return self._segments(Path(self.training))
        # the lists name some of the videos in the folders
        tree = folder_tree(Path(self.root)) if self.format in ("ucf101", "hmdb51") else Listing()
        training = self._read(self.training, tree, test=False)
        validation = Listing()
        if self.validation is not None or self.format == "hmdb51":
            validation = self._read(self.validation or self.training, tree, test=True)
        unnamed = {clip.path for clip in tree} - {clip.path for clip in [*training, *validation]}
        training.left_out.merge(tree.left_out)
        training.left_out.add(
            "videos that no list names", *(f"{path.parent.name}/{path.name}" for path in sorted(unnamed))
        )
        return training, validation

    def _folders(self) -> tuple[Listing, Listing]:
        root = Path(self.root)
        sides = find_sides(root)
        tree = folder_tree(sides.get("training", root))
        if sides:
            beside = sorted(path for path in root.iterdir() if path not in sides.values() and not is_hidden(path))
            strange = (path.name for path in beside if path.is_dir() or is_video(path))
            tree.left_out.add("folders and videos that are of no side of the data set", *strange)
            if "test" in sides:
                tree.left_out.add("folders for testing, on which no epoch is chosen", sides["test"].name)
        if "validation" in sides:
            return tree, folder_tree(sides["validation"])
        if (sides and "test" not in sides) or not self.hold_out:
            return tree, Listing()
        training, validation = split_by_group(tree, seed=self.seed)
        return replace(tree, clips=training), Listing(validation)

    def _segments(self, source: Path) -> tuple[Listing, Listing]:
        """The segments of annotated videos; without videos to validate on, a part of the training groups is held out.

        THUMOS14 is validated on its test subset, as is usual.
        """
        root, left_out = Path(self.root), LeftOut()
        sides = choose_sides(read_annotations(source), left_out)
        videos = Videos(root)
        training = segment_clips(sides.training, videos).checked(source, root)
        if self.validation is not None:
            second = read_annotations(Path(self.validation))
            others = divide(second, left_out)
            is_test = bool(others.test) and (self.format == "thumos14" or not others.validation)
            held_out = others.test if is_test else others.validation
            if not held_out and second.subsets:
                raise no_subset(second, "validation")
            validation = segment_clips(held_out or others.training, videos).checked(second.source, root)
        else:
            is_test = self.format == "thumos14" and bool(sides.test)
            validation = segment_clips(sides.test if is_test else sides.validation, videos)
        training.left_out.merge(left_out)
        learnt = {label for clip in training for label in clip.labels}
        if self.validation is not None or any(learnt.issuperset(clip.labels) for clip in validation):
            return training, replace(validation, is_test=is_test)
        training.left_out.merge(validation.left_out)
        training.left_out.add("labels of validation that no clip of training has", *sorted(validation.labels - learnt))
        if not self.hold_out:
            return training, Listing()
        clips, held_out_clips = split_by_group(training, seed=self.seed)
        return replace(training, clips=clips), Listing(held_out_clips)

    def _read(self, name: str, tree: Listing, *, test: bool) -> Listing:
        file, root = Path(name), Path(self.root)
        if not file.exists():
            raise ActionstreamError(f"no file {file}")
        numbered: Sequence[str] = () if self.labels is None else read_labels(self.labels)
        readers: dict[str, Callable[[], Listing]] = {
            "ucf101": lambda: ucf101_split(tree, file),
            "hmdb51": lambda: hmdb51_split(tree, file, self.split, test=test),
            "list": lambda: frame_list(file, root, numbered),
            "something-something": lambda: something_something(file, root),
            "jester": lambda: jester(file, root),
            "kinetics": lambda: kinetics(file, root),
            "charades": lambda: charades(file, root, numbered),
        }
        return readers[self.format]()


def report(data: Data, training: Listing, validation: Listing, labels: Sequence[str]) -> list[str]:
    """What was read and what was left out, in lines."""
    lines = [f"read: {len(training)} clips to learn from, {len(validation)} of validation, {len(labels)} labels"]
    if (
        data.format == "hmdb51"
        or validation.is_test
        or (data.validation and "test" in Path(data.validation).stem.lower())
    ):
        lines.append("the best epoch is chosen on clips for testing; the last one is kept, too")
    left_out = left_out_of(training, validation)
    used = {label for clip in [*training, *validation] for label in clip.labels}
    left_out.add("labels without a clip", *(label for label in labels if label not in used))
    return lines + left_out.lines()


def left_out_of(*sides: Listing) -> LeftOut:
    """What was left out of the sides of a data set together."""
    together = LeftOut()
    for side in sides:
        together.merge(side.left_out)
    return together


def _labelled(side: Listing) -> Listing:
    """A side without its unlabelled clips."""
    side.left_out.add("clips without a label", *(clip.path.name for clip in side if not clip.labels))
    return replace(side, clips=[clip for clip in side if clip.labels])


def _known(validation: Listing, labels: Collection[str]) -> Listing:
    """Validation without clips whose labels do not occur in training; ValueError where no clip is left."""
    known = [clip for clip in validation if set(clip.labels) <= set(labels)]
    strange = {label for clip in validation for label in clip.labels} - set(labels)
    if strange:
        left_out = len(validation) - len(known)
        what = f"labels of {left_out} clips of validation that no clip of training has"
        if not known:
            raise ActionstreamError(
                f"{len(strange)} {what}: {', '.join(sorted(strange)[:5])}; none is left to validate on; expected "
                f"labels of training, such as {min(labels)}; give training clips of these labels, too"
            )
        validation.left_out.add(what, *sorted(strange))
    return replace(validation, clips=known)


def _by_number(label: str) -> tuple[int, str]:
    """Numbers in their order, after names."""
    return (int(label) if label.isdecimal() else -1), label
