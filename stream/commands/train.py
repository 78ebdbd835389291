"""The command `train`: a recipe of the repository, or a network on clips of one's own."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import torch

from models.catalogue import find_entry
from models.checkpoint import save
from models.network import Network, Shift
from models.preprocessing import ModalityName
from models.training import distributed
from models.training.augmentation import Augmentation
from models.training.clips import Sampled
from models.training.data import Data
from models.training.motion import motion_card, train_motion
from models.training.optimisation import Optimisation
from models.training.run import Run, Settings
from stream.runtimes.eager import choose_device

IN_CHANNELS: dict[str, int] = {"rgb": 3, "rgb-difference": 15, "flow": 10, "warped-flow": 10}
"""Of a snippet (TSN, arXiv:1608.00859), for networks that do not say how many they take."""


def train_recipe(
    recipe: str, output: Path, *, shift: Shift, num_steps: int, seed: int, device: str, workers: int
) -> None:
    """Train a recipe and write its checkpoint, and a whole one of the last state after each 200 steps."""
    if recipe != "motion":
        raise ValueError(f"no recipe {recipe!r}; there is motion")
    if distributed.num_processes() > 1:
        raise ValueError("the recipe motion is trained by one process; start it without torchrun")
    output.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(output.parent, os.W_OK) or output.is_dir():
        raise ValueError(f"{output} cannot be written; give the path of a file in a folder of yours")
    training: dict[str, Any] = {
        "command": f"actionstream train motion --shift {shift} --steps {num_steps} --seed {seed}",
        "data": "clips rendered by models.training.scenes",
        "start": "random weights",
        "torch": torch.__version__.split("+")[0],
        "machine": platform.machine(),
        "date": date.today().isoformat(),
    }

    def keep(network: Network, done: int) -> None:
        save(output, network, motion_card(shift, {**training, "steps": done}, {}), half=True)

    where = choose_device(device).type
    train_motion(shift=shift, num_steps=num_steps, seed=seed, device=where, workers=workers, on_progress=keep)
    print(f"wrote {output}; measure it with: actionstream test {output} --write")


def train_clips(
    output: Path,
    *,
    data: Data,
    model: str,
    shift: str | None,
    modality: ModalityName | None,
    size: int | None,
    changes: Sequence[str],
    device: str,
    workers: int,
    **settings: Any,
) -> None:
    """Begin a run and train it to its end; `settings` and `changes` are those of models.training.run.Settings."""
    entry = find_entry(model)
    arguments: dict[str, Any] = {} if shift is None else {"shift": shift}
    in_channels = entry.arguments.get("in_channels", 3)
    if modality is not None:
        in_channels = arguments["in_channels"] = IN_CHANNELS[modality] if in_channels == 3 else in_channels
    preprocessing = entry.preprocessing(in_channels, modality=modality)
    if size is not None:
        preprocessing = replace(preprocessing, height=size, width=size, short_side=round(size * 8 / 7))
    frames = max(entry.num_frames, 8)
    whole = Settings(
        data=data,
        network=model,
        arguments=arguments,
        labels=data.open()[2],
        preprocessing=preprocessing,
        sampled=Sampled(
            num_frames=frames,
            interval_seconds=entry.step / 30,
            frame_seconds=1 / 30 if preprocessing.num_pictures > 1 else 0.0,
        ),
        augmentation=Augmentation(),
        optimisation=Optimisation(),
        **{name: value for name, value in settings.items() if value is not None},
    )
    for change in changes:
        whole = _changed(whole, change)
    _train(Run.begin(output, whole), device=device, workers=workers)


def resume(folder: Path, *, device: str, workers: int) -> None:
    """Go on with a run from its last whole epoch."""
    _train(Run.open(folder), device=device, workers=workers)


def _train(run: Run, *, device: str, workers: int) -> None:
    summary = run.train(device=choose_device(device).type, workers=workers)
    if distributed.rank() > 0:
        return
    best = summary["best"]
    figures = [f"{name} {100 * best[name]:.1f} %" for name in ("top1", "mean_class", "mAP") if name in best]
    print(
        f"{run.folder}: {summary['training']} clips learnt, {summary['validation']} held out, "
        f"{len(summary['broken'])} broken; best {', '.join(figures) or 'loss'} after epoch {best['epoch']:g}"
    )


def _changed(settings: Settings, change: str) -> Settings:
    """Settings with one changed by NAME=VALUE, such as optimisation.mixup=0.2; the value is JSON, or a word."""
    path, equals, text = change.partition("=")
    values = asdict(settings)
    *parents, name = path.split(".")
    part = values
    for parent in parents:
        part = part[parent] if isinstance(part.get(parent), dict) else {}
    if not equals or name not in part:
        raise ValueError(f"--set {change}: it is NAME=VALUE, and the names are {', '.join(part or values)}")
    try:
        part[name] = json.loads(text)
    except ValueError:
        part[name] = text
    return Settings.from_json(json.dumps(values))
