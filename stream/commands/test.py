"""The command `test`: how well a checkpoint does on clips it has not seen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from models.checkpoint import find, find_local, load, read_card, resolve, save_card
from models.training.accuracy import motion_accuracy
from models.training.clips import Sampled
from models.training.data import Data
from models.training.datasets import Clip
from models.training.motion import MOVEMENTS, PREPROCESSING
from models.training.run import Run
from models.training.testing import test, test_online
from stream.commands.tables import open_console, print_table
from stream.engine import Engine
from stream.evaluation.false_starts import false_starts
from stream.runtimes import RuntimeName, open_runtime
from stream.runtimes.choice import is_exported
from stream.runtimes.eager import choose_device
from stream.sources import open_source

VIDEOS = (".mp4", ".mkv", ".avi", ".webm", ".mov")
PICTURES_OF_A_VIDEO = 12


def test_clips(
    model: str,
    *,
    data: Path | None,
    num_clips: int,
    num_crops: int,
    num_frames: int | None,
    full: bool,
    online: bool,
    device: str,
    as_json: bool,
) -> None:
    """Measure a checkpoint on the clips of a folder, or that of a run on what it was validated on."""
    network, card = load(model)
    folder = Path(model)
    clips: Sequence[Clip] = ()
    if folder.is_dir() and find_local(folder):  # a run, and not a folder that has the name of a checkpoint
        settings = Run.open(folder).settings
        clips, sampled = settings.data.open()[1], settings.sampled
    else:
        sampled = Sampled(
            num_frames=max(card.num_frames, 8),
            interval_seconds=card.interval_seconds,
            frame_seconds=card.frame_seconds,
        )
    if data is not None:
        chosen = Data(root=str(data))
        training, clips, _ = chosen.open()
        clips = clips if (data / "train").is_dir() else [*training, *clips]
    if not clips:
        raise ValueError(f"{model} has no clips to be tested on; give a folder of them, --data DIR")
    where = choose_device(device).type
    if online:
        _show_online(test_online(network, card, clips, device=where, progress="streaming"), as_json=as_json)
        return
    sampled = replace(sampled, num_warm=0, num_frames=num_frames or sampled.num_frames)
    result = test(
        network,
        card,
        clips,
        sampled,
        num_clips=num_clips,
        num_crops=num_crops,
        full=full,
        device=where,
        progress="testing",
    )
    figures = result.figures()
    if as_json:
        print(json.dumps(figures))
        return
    console = open_console()
    console.print(f"{figures['videos']} videos, each as {num_clips} clips of {num_crops} crops\n")
    per_class = figures.pop("per_class", {})
    parts = [
        [[name, f"{100 * value:.1f}"] for name, value in part.items() if isinstance(value, float)]
        for part in (figures, per_class)
    ]
    print_table(console, ["", "%"], *filter(None, parts))
    for message in result.broken:
        console.print(f"left out: {message}")


def _show_online(right: dict[float, float], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"seen": right}))
        return
    head = ["seen", *(f"{100 * part:.0f}" for part in right)]
    row = ["top-1", *(f"{100 * value:.1f}" for value in right.values())]
    print_table(open_console(), head, [row], title="right when so much has been seen, in %\n")


def is_motion(model: str) -> bool:
    """Whether it is a checkpoint of the recipe `motion`, or a file that was exported."""
    if is_exported(model):
        return True
    file = resolve(model)
    if isinstance(file, str):  # published by others
        return False
    card = read_card(file)
    return card.labels == MOVEMENTS and card.preprocessing == PREPROCESSING


def test_motion(
    model: str,
    *,
    runtime: RuntimeName,
    num_clips: int,
    pictures: Path | None,
    background: Path | None,
    write: bool,
    as_json: bool,
) -> None:
    """Measure a checkpoint of the recipe `motion`, or an export of it, and print the figures."""
    opened = open_runtime(model, runtime=runtime)
    card = opened.card
    if card.labels != MOVEMENTS:
        raise ValueError(f"{model} is an export, which are tested here if they are of motion; test its checkpoint")
    if write and is_exported(model):
        raise ValueError("--write keeps the figures in a checkpoint; of an export they are only shown")

    def score(clips: np.ndarray) -> np.ndarray:
        slots = np.array([opened.allocate() for _ in clips])
        scores = opened.step(clips, slots)
        for slot in slots.tolist():
            opened.free(slot)
        return scores

    figures: dict[str, Any] = {
        "sets": motion_accuracy(
            score,
            card,
            num_clips=num_clips,
            pictures=[] if pictures is None else real_pictures(pictures),
        )
    }
    if background is not None:
        starts, hours = false_starts(Engine(opened), videos(background), nothing=("still",))
        figures["false_starts"] = {"starts": starts, "hours": round(hours, 4), "an_hour": round(starts / hours, 1)}
    if write:
        save_card(find(model), replace(card, accuracy=figures))
    if as_json:
        print(json.dumps(figures))
    else:
        show(figures)


def show(figures: dict[str, Any]) -> None:
    """Print the figures as a table."""
    console = open_console()
    moments = next(iter(figures["sets"].values()))["frames"]
    rows = [
        [name, *(f"{100 * share:.1f}" for share in (values["clips"], values["opposites"], *values["frames"].values()))]
        for name, values in figures["sets"].items()
    ]
    head = ["set", "clips", "opposites", *(f"frame {number}" for number in moments)]
    print_table(console, head, rows, title="right, in %\n")
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
