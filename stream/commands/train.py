"""The command `train`: a network on the user's own clips."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from actionstream.commands import train_frozen
from actionstream.models.common.choices import FrameModality, Shift
from actionstream.models.training import distributed
from actionstream.models.training.changes import changed
from actionstream.models.training.data import Data
from actionstream.models.training.defaults import settings_for, start_fits
from actionstream.models.training.features import FeatureSettings
from actionstream.models.training.remarks import describe
from actionstream.models.training.run import Run
from actionstream.runtimes.eager import choose_device

TESTED_BY = {
    "validation": "held-out clips",
    "recording": "each recording, by what all others teach",
    "clip": "each clip, by what all others teach",
}


def train_clips(
    output: Path,
    *,
    data: Data | str | os.PathLike[str],
    model: str | None = None,
    shift: Shift | None = None,
    modality: FrameModality | None = None,
    size: int | None = None,
    start: str | None = None,
    teacher: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    changes: Sequence[str] = (),
    seed: int = 0,
    device: str = "auto",
    workers: int = 0,
) -> None:
    """Begin a run and train it to its end.

    With few clips the backbones stay frozen (actionstream.commands.train_frozen), unless anything says how to train.

    data     a folder with a folder of clips for each label, or a description of the data
    start    a checkpoint; "none": random weights
    changes  of other settings, NAME=VALUE, see actionstream.models.training.settings
    """
    data = data if isinstance(data, Data) else Data(root=os.fspath(data))
    how: dict[str, Any] = {"model": model, "shift": shift, "modality": modality, "size": size, "start": start}
    how |= {"teacher": teacher, "epochs": epochs, "batch_size": batch_size}
    if not changes and all(value is None for value in how.values()) and distributed.num_processes() == 1:
        whole = replace(data, hold_out=False)
        if FeatureSettings.read(Path(data.root)) is None and train_frozen.are_few(clips := whole.open()[0]):
            _say(
                f"{len(clips)} clips are few: frozen backbones see them, and a linear layer learns, as with `teach`; "
                "--model NAME trains all of a network"
            )
            _train(Run.begin(output, train_frozen.settings_for(whole, seed=seed)), device=device, workers=workers)
            return
    settings = changed(settings_for(data, **how, seed=seed, say=_say), changes)
    if start is None and not start_fits(settings):  # the changes made another network of it
        _say(f"{settings.network} starts from random weights: those of {settings.start} do not fit its arguments")
        settings = replace(settings, start=None)
    _train(Run.begin(output, settings), device=device, workers=workers)


def resume(folder: Path, *, device: str, workers: int) -> None:
    """Resume a run from its last complete epoch."""
    run = Run.open(folder)
    if run.settings.network == train_frozen.NETWORK and run.is_complete:
        print(f"{folder} is complete: its linear layer was fitted in one step; begin a new run for other clips")
        return
    _train(run, device=device, workers=workers)


def _train(run: Run, *, device: str, workers: int) -> None:
    device = choose_device(device).type
    if run.settings.network == train_frozen.NETWORK:
        summary = train_frozen.fit_run(run, device=device, say=_say)
    else:
        summary = run.train(device=device, workers=workers, say=_say)
    if distributed.rank() == 0:
        _show(run.folder, summary)


def _show(folder: Path, summary: Mapping[str, Any]) -> None:
    best = summary["best"]
    figures = [f"{name} {100 * best[name]:.1f} %" for name in ("top1", "mean_class", "mAP") if name in best]
    when = f" after epoch {best['epoch']:g}" if "epoch" in best else ""
    print(
        f"{folder}: {summary['training']} clips learnt, {summary['validation']} held out, "
        f"{len(summary['broken'])} broken; best {', '.join(figures) or 'loss'}{when}"
    )
    if "right" in summary:
        by = TESTED_BY[summary.get("tested_by", "validation")]
        print(f"{by}: {describe(summary['right'], summary['tested'])}")
    for remark in summary["remarks"]:
        _say(remark)
    for message in summary["broken"]:
        _say(f"broken: {message}")


def _say(line: str) -> None:
    if distributed.rank() == 0:
        print(line, file=sys.stderr)
