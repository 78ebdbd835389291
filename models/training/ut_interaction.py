"""The recipes on UT-Interaction: which interaction a clip shows, and whether it runs forward or backward.

Each fold leaves out one sequence of a set, and trains the network on the other nine. A set has only 60 clips, so the
early blocks of MobileNetV2 are frozen with their ImageNet weights, and their feature maps are computed once.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from actionstream.models.catalogue import create
from actionstream.models.common.checked import LabelNames, ShortText, checked, read_json
from actionstream.models.common.choices import Shift
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import read_text, write_text
from actionstream.models.networks.mobilenet_v2 import MobileNetV2
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.training.annotations import ut_interaction
from actionstream.models.training.augmentation import Augmentation
from actionstream.models.training.batches import begin_worker, load_batches
from actionstream.models.training.controls import BINS, binned_features, count_right, shape_features
from actionstream.models.training.datasets import Clip, leave_one_out
from actionstream.models.training.loop import train
from actionstream.models.training.optimisation import Optimisation
from actionstream.models.training.run import start_from
from actionstream.models.training.sampling import FrameSampling
from actionstream.models.training.stem_maps import BACKWARD, BothWays, MapBatches, make_maps, read_maps, rows_of, split
from actionstream.models.weights.loading import load

Task = Literal["interactions", "direction"]
FORWARD = "forward"
NETWORKS = {"tsm_mobilenet_v2": "TSM", "tam_mobilenet_v2_causal": "TAM"}
STEM = 8  # frozen blocks: they turn pictures of 112 x 112 into 64 maps of 7 x 7
SIZE = 112
RATE = 30  # frames a second of the clips; their headers are ignored
EVERY = 2  # stride in frames
HOW = Optimisation(learning_rate=3e-4, norms="none", label_smoothing=0.1)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The settings of the training on each fold.

    root        the folder of UT-Interaction with manifest.csv
    start       a checkpoint of MobileNetV2
    task        "interactions": which of six; "direction": forward or backward, with each clip in both directions
    network     a MobileNetV2 of the catalogue
    shift       "none" is TSN, "uni" streams, "bi" is for whole clips
    n_div       1 / n_div of the channels is shifted, where the network has temporal shifts
    num_frames  frames of a clip, one from each of as many segments
    """

    root: str
    start: str
    task: Task = "interactions"
    network: str = "tsm_mobilenet_v2"
    shift: Shift = "uni"
    n_div: int = 8
    dropout: float = 0.5
    seed: int = 0
    epochs: int = 24
    num_frames: int = 8
    batch_size: int = 8
    optimisation: Optimisation = HOW

    def clips(self) -> list[Clip]:
        """All clips, with the labels of the task."""
        root = Path(self.root)
        clips = ut_interaction(root / "manifest.csv", root).complete()
        if self.task == "interactions":
            return clips
        return [replace(clip, labels=(label,)) for clip in clips for label in (FORWARD, BACKWARD)]

    def arguments(self, num_classes: int) -> dict[str, Any]:
        """The arguments of the network: those of `start`, with shifts in the blocks that are trained."""
        given = load(self.start)[1].arguments
        shifts = {"shift": self.shift, "n_div": self.n_div, "first_shift": STEM}
        return {**given, "num_classes": num_classes, "dropout": self.dropout, **shifts}

    def build(self, num_classes: int) -> MobileNetV2:
        """The network before training."""
        torch.manual_seed(self.seed)
        network = create(self.network, **self.arguments(num_classes))
        start_from(network, load(self.start)[0], self.start)
        assert isinstance(network, MobileNetV2)
        return network.eval()

    def preprocessing(self) -> Preprocessing:
        """The whole picture, squeezed into a square: the two people stand at its sides."""
        return replace(load(self.start)[1].preprocessing, height=SIZE, width=SIZE, short_side=None)


DIFFERENT: Mapping[Task, Mapping[str, Any]] = {
    "interactions": {},
    "direction": {
        "n_div": 4,
        "dropout": 0.0,  # two dropout masks change the features more than the two directions do
        "epochs": 20,
        "optimisation": Optimisation(learning_rate=1e-4, norms="none"),
    },
}
"""Settings of a task that replace the defaults of `Recipe`; chosen on sequences 1, 4 and 7 of the first set."""


def recipe_for(task: Task, **given: Any) -> Recipe:
    """The recipe of a task; `given` replaces its settings."""
    return Recipe(task=task, **{**DIFFERENT[task], **given})


@checked
class FoldResult:
    """The result of a fold, a file of JSON.

    group   the group that the network has not seen
    labels  K names
    truth   (N,), the index of the label of each of N clips
    scores  (N, V, T, K) of V views; T is 1 for a network that needs whole clips
    """

    group: ShortText
    labels: LabelNames
    truth: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    scores: list[list[list[list[float]]]]

    def __post_init__(self) -> None:
        shape = self.shape
        if len(shape) != 4 or shape[0] != len(self.truth) or shape[3] != len(self.labels) or 0 in shape:
            raise ActionstreamError("the scores are not (clips, views, frames, labels)")
        if max(self.truth) >= len(self.labels):
            raise ActionstreamError(f"truth has a label {max(self.truth)} of {len(self.labels)}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the scores; empty where they are no array."""
        try:
            return np.array(self.scores).shape
        except ValueError:  # rows of different lengths
            return ()


def run_fold(recipe: Recipe, maps_file: Path, number: int, *, device: str = "cpu") -> FoldResult:
    """Train without group `number` (from 1), and score its clips."""
    maps = read_maps(maps_file, recipe.clips())
    training, held_out = leave_one_out(recipe.clips(), number)
    labels = sorted({label for clip in training for label in clip.labels})
    kind = MapBatches
    if recipe.task == "direction":
        kind, training = BothWays, [clip for clip in training if clip.labels == (FORWARD,)]
    late = split(recipe.build(len(labels)), STEM)[1]
    steps = recipe.epochs * math.ceil(len(training) / recipe.batch_size)
    plain = Preprocessing.of_features(*next(iter(maps.values())).shape[-3:])
    batches = kind(
        training,
        labels,
        FrameSampling(num_frames=recipe.num_frames, sampling="segments"),
        plain,
        Augmentation(),
        recipe.batch_size,
        steps,
        recipe.seed,
        maps=maps,
    )
    how = replace(recipe.optimisation, num_steps=steps)
    train(late, load_batches(batches, workers=0), how, plain, seed=recipe.seed, device=device, show_progress=False)
    late.cpu()
    scores = [_scores(late, rows_of(maps[str(clip.path)], clip, recipe.num_frames)) for clip in held_out]
    truth = [labels.index(clip.labels[0]) for clip in held_out]
    return FoldResult(
        group=held_out[0].group, labels=tuple(labels), truth=truth, scores=np.stack(scores).astype(float).tolist()
    )


def _scores(late: MobileNetV2, maps: Tensor) -> np.ndarray:
    """Maps (V, T, D, h, w) to scores (V, T, K), or (V, 1, K) where the network needs whole clips."""
    with torch.inference_mode():
        return (late(maps)[0] if late.streams else late(maps)[:, None]).numpy()


def run_folds(recipe: Recipe, folder: Path, *, device: str = "cpu", workers: int = 1) -> list[FoldResult]:
    """The result of `run_fold` for each group; results that are already in `folder` are read.

    workers  folds at a time, each in a process with its part of the cores; 0: one after the other in this process

    Raises ActionstreamError where the folder has results of other settings, or files with something else in them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "settings.json"
    text = json.dumps(asdict(recipe), indent=1)
    if settings.exists() and read_text(settings) != text:
        raise ActionstreamError(f"{folder} was begun with other settings, see {settings}; take another folder")
    write_text(settings, text)
    maps_file = find_maps(recipe, folder.parent)
    groups = sorted({clip.group for clip in recipe.clips()})
    files = {number: folder / f"{number:02}.json" for number in range(1, len(groups) + 1)}
    todo = [number for number, file in files.items() if not file.exists()]
    description = f"{recipe.task}, {recipe.network}, shift {recipe.shift}, seed {recipe.seed}"
    folds = DataLoader(
        _Folds(recipe, maps_file, device),
        batch_size=None,
        sampler=todo,
        num_workers=workers,
        worker_init_fn=partial(_begin_fold, max(1, (os.cpu_count() or 1) // max(workers, 1))),
        multiprocessing_context="spawn" if workers else None,
        in_order=False,
    )
    for number, result in track(folds, description, len(todo), console=Console(stderr=True)):
        write_text(files[number], json.dumps(asdict(result)))
    results = [read_json(file, FoldResult) for file in files.values()]
    for file, result in zip(files.values(), results, strict=True):
        if (result.labels, result.shape[1:]) != (results[0].labels, results[0].shape[1:]):
            raise ActionstreamError(f"{file} has other labels, views or frames than {files[1]}; delete the wrong one")
    return results


@dataclass(frozen=True)
class _Folds(Dataset[tuple[int, FoldResult]]):
    recipe: Recipe
    maps_file: Path
    device: str

    def __getitem__(self, number: int) -> tuple[int, FoldResult]:
        return number, run_fold(self.recipe, self.maps_file, number, device=self.device)


def _begin_fold(num_threads: int, worker: int) -> None:
    begin_worker(worker)
    torch.set_num_threads(num_threads)


def count_controls(recipe: Recipe, maps_file: Path) -> dict[str, dict[str, int]]:
    """Clips of each group that the controls classify correctly.

    The controls are picture shape and length alone, and a linear classifier on frozen features in ordered parts.
    """
    clips = recipe.clips()
    maps = read_maps(maps_file, clips)
    late = split(replace(recipe, shift="none").build(1), STEM)[1]
    features = []
    with torch.inference_mode():
        for clip in clips:
            found = late.trunk(maps[str(clip.path)][:1].float())[0].mean(dim=(-2, -1))
            played = found[0].numpy()[:: -1 if clip.labels == (BACKWARD,) else 1]
            features.append(binned_features(played))
    return {
        "picture shape and length": count_right(clips, [shape_features(clip) for clip in clips]),
        f"frozen features, {BINS} parts, linear": count_right(clips, features),
    }


def find_maps(recipe: Recipe, folder: Path) -> Path:
    """The file of feature maps in `folder`, the same for all shifts and seeds; it is made where it is missing."""
    clips = list({clip.path: clip for clip in recipe.clips()}.values())
    stem = split(recipe.build(1), STEM)[0]
    return make_maps(folder, stem, clips, recipe.preprocessing(), every=EVERY)
