"""The clips of a run: for training, for validation, and the labels of both, from one description that can be stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from models.labels import read_labels
from models.training import datasets
from models.training.datasets import Clip, folder_tree, split_by_group

Format = Literal[
    "folders",
    "ucf101",
    "hmdb51",
    "list",
    "something-something",
    "jester",
    "kinetics",
    "charades",
    "activitynet",
    "thumos14",
    "ut-interaction",
]


@dataclass(frozen=True, kw_only=True)
class Data:
    """Where clips are, and how their labels are written down.

    root        folder of videos, or of folders of frames
    format      "folders": a folder for each class; where there are folders train and val (or test) of such, these are
                the sides, else a fifth of the groups is held out, by `seed`. "ucf101" and "hmdb51": folders, and the
                official lists. Others: see models.training.datasets
    training    list or annotations of the clips to learn from; for hmdb51 the folder of its lists
    validation  of those to test on; for activitynet and thumos14 the same file, of which the subsets are taken
    labels      a list of models.labels or a file, where the annotations have numbers; else those that occur, in order
    split       number of the official split (hmdb51), or of the sequence that is left out (ut-interaction)
    seed        of the split of folders
    """

    root: str
    format: Format = "folders"
    training: str | None = None
    validation: str | None = None
    labels: str | None = None
    split: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.format not in get_args(Format):
            raise ValueError(f"no format {self.format!r}; there are {', '.join(get_args(Format))}")
        if self.format != "folders" and self.training is None:
            raise ValueError(f"the format {self.format} needs a list or annotations of the training clips")
        if not Path(self.root).is_dir():
            raise ValueError(f"no folder {self.root}")
        for name in ("root", "training", "validation"):  # so that a run can be gone on with from anywhere
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, str(Path(value).resolve()))

    def open(self) -> tuple[list[Clip], list[Clip], tuple[str, ...]]:
        """Clips for training, clips for validation, and the labels."""
        training, validation = self._folders() if self.format == "folders" else self._listed()
        known = None if self.labels is None else tuple(read_labels(self.labels))
        labels = known or tuple(sorted({label for clip in training for label in clip.labels}))
        if unknown := {label for clip in [*training, *validation] for label in clip.labels} - set(labels):
            raise ValueError(f"{len(unknown)} labels of the clips are not in {self.labels}, such as {min(unknown)!r}")
        if unlabelled := [clip for clip in training if not clip.labels]:
            raise ValueError(f"{len(unlabelled)} clips to learn from have no label, such as {unlabelled[0].path}")
        return training, validation, labels

    def _folders(self) -> tuple[list[Clip], list[Clip]]:
        root = Path(self.root)
        if (root / "train").is_dir():
            other = next((root / name for name in ("val", "validation", "test") if (root / name).is_dir()), None)
            return folder_tree(root / "train"), [] if other is None else folder_tree(other)
        return split_by_group(folder_tree(root), seed=self.seed)

    def _listed(self) -> tuple[list[Clip], list[Clip]]:
        assert self.training is not None
        if self.format == "ut-interaction":
            return datasets.leave_one_out(self._read(self.training, test=False), self.split)
        sides = [self._read(self.training, test=False)]
        if self.validation is not None or self.format in ("hmdb51", "activitynet", "thumos14"):
            sides.append(self._read(self.validation or self.training, test=True))
        return sides[0], sides[1] if len(sides) > 1 else []

    def _read(self, name: str, *, test: bool) -> list[Clip]:
        file, root = Path(name), Path(self.root)
        if not file.exists():
            raise ValueError(f"no file {file}")
        numbered: Sequence[str] = () if self.labels is None else read_labels(self.labels)
        readers: dict[str, Callable[[], list[Clip]]] = {
            "ucf101": lambda: datasets.ucf101_split(folder_tree(root), file),
            "hmdb51": lambda: datasets.hmdb51_split(folder_tree(root), file, self.split, test=test),
            "list": lambda: datasets.frame_list(file, root, numbered),
            "something-something": lambda: datasets.something_something(file, root),
            "jester": lambda: datasets.jester(file, root),
            "kinetics": lambda: datasets.kinetics(file, root),
            "charades": lambda: datasets.charades(file, root, numbered),
            "ut-interaction": lambda: datasets.ut_interaction(file, root),
            "activitynet": lambda: datasets.activitynet(file, root, subset="validation" if test else "training"),
            "thumos14": lambda: datasets.activitynet(file, root, subset="test" if test else "train"),
        }
        return readers[self.format]()
