"""The commands `train` and `test`: recipes and their figures."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from models.checkpoint import find, load, save, save_card
from models.network import Network, Shift
from models.training.accuracy import motion_accuracy
from models.training.motion import MOVEMENTS, PREPROCESSING, motion_card, train_motion
from stream.engine import Engine
from stream.evaluation.false_starts import false_starts
from stream.runtimes.eager import choose_device
from stream.sources import open_source

VIDEOS = (".mp4", ".mkv", ".avi", ".webm", ".mov")
PICTURES_OF_A_VIDEO = 12


def train_recipe(
    recipe: str, output: Path, *, shift: Shift, num_steps: int, seed: int, device: str, workers: int
) -> None:
    """Train a recipe and write its checkpoint, and a whole one of the last state after each 200 steps."""
    if recipe != "motion":
        raise ValueError(f"no recipe {recipe!r}; there is motion")
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


def test_motion(
    model: str, *, num_clips: int, pictures: Path | None, background: Path | None, write: bool, as_json: bool
) -> None:
    """Measure a checkpoint of the recipe `motion`, and print the figures."""
    network, card = load(model)
    if card.labels != MOVEMENTS or card.preprocessing != PREPROCESSING:
        raise ValueError(f"{model} is no checkpoint of the recipe motion: its labels or its input are others")
    figures: dict[str, Any] = {
        "sets": motion_accuracy(
            network,
            card,
            num_clips=num_clips,
            pictures=[] if pictures is None else real_pictures(pictures),
        )
    }
    if background is not None:
        starts, hours = false_starts(Engine(model), videos(background), nothing=("still",))
        figures["false_starts"] = {"starts": starts, "hours": round(hours, 4), "an_hour": round(starts / hours, 1)}
    if write:
        save_card(find(model), replace(card, accuracy=figures))
    if as_json:
        print(json.dumps(figures))
    else:
        show(figures)


def show(figures: dict[str, Any]) -> None:
    """Print the figures as a table."""
    table = Table(title="right, in %")
    for column in (
        "set",
        "clips",
        "opposites",
        *(f"frame {n}" for n in next(iter(figures["sets"].values()))["frames"]),
    ):
        table.add_column(column, justify="left" if column == "set" else "right")
    for name, values in figures["sets"].items():
        shares = [values["clips"], values["opposites"], *values["frames"].values()]
        table.add_row(name, *(f"{100 * share:.1f}" for share in shares))
    console = Console()
    console.print(table)
    for name, values in figures["sets"].items():
        each = ", ".join(f"{movement} {100 * share:.0f}" for movement, share in values["by_movement"].items())
        console.print(f"{name}: {each}")
    if "false_starts" in figures:
        found = figures["false_starts"]
        console.print(f"{found['starts']} starts in {found['hours']} hours without action: {found['an_hour']} an hour")


def videos(folder: Path) -> list[Path]:
    """The videos in a folder; ValueError when there is none."""
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in VIDEOS)
    if not found:
        raise ValueError(f"no videos in {folder}; they end in {', '.join(VIDEOS)}")
    return found


def real_pictures(folder: Path) -> list[np.ndarray]:
    """Pictures spread over each video of a folder."""
    pictures: list[np.ndarray] = []
    for path in videos(folder):
        source = open_source(path)
        images = [frame.image for frame in source if frame.index % 20 == 0]
        source.close()
        chosen = np.linspace(0, len(images) - 1, min(PICTURES_OF_A_VIDEO, len(images))).astype(int)
        pictures += [images[index] for index in chosen]
    return pictures
