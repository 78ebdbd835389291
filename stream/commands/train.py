"""The command `train`: a network on the user's own clips."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from actionstream.commands import train_frozen
from actionstream.commands.calibration import (
    Calibration,
    background_videos,
    calibrate_checkpoints,
    print_false_starts,
)
from actionstream.models.common.choices import FrameModality, Shift
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.labels import find_background
from actionstream.models.training import distributed
from actionstream.models.training.changes import changed
from actionstream.models.training.data import Data
from actionstream.models.training.datasets import Clip
from actionstream.models.training.defaults import settings_for, start_fits
from actionstream.models.training.features import FeatureSettings
from actionstream.models.training.remarks import describe
from actionstream.models.training.run import Run
from actionstream.models.weights.checkpoint import read_card
from actionstream.runtimes.eager import choose_device
from actionstream.scoring.calibration import FalseStarts

TESTED_BY = {
    "validation": "held-out clips",
    "recording": "each recording, by what all others teach",
    "clip": "each clip, by what all others teach",
}

NOT_CALIBRATED = Calibration()


def train_clips(
    output: Path,
    *,
    data: Data | str | os.PathLike[str],
    model: str | None = None,
    shift: Shift | None = None,
    streaming: Literal["window", "causal"] | None = None,
    modality: FrameModality | None = None,
    size: int | None = None,
    start: str | None = None,
    teacher: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    changes: Sequence[str] = (),
    calibration: Calibration = NOT_CALIBRATED,
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
    how |= {"streaming": streaming, "teacher": teacher, "epochs": epochs, "batch_size": batch_size}
    if not changes and all(value is None for value in how.values()) and distributed.num_processes() == 1:
        whole = replace(data, hold_out=False)
        if FeatureSettings.read(Path(data.root)) is None and train_frozen.are_few(clips := whole.open()[0]):
            _say(
                f"{len(clips)} clips are few: frozen backbones see them, and a linear layer learns, as with `teach`; "
                "--model NAME trains all of a network"
            )
            run = Run.begin(output, train_frozen.settings_for(whole, seed=seed))
            _train(run, calibration, device=device, workers=workers)
            return
    settings = changed(settings_for(data, **how, seed=seed, say=_say), changes)
    if start is None and not start_fits(settings):  # the changes made another network of it
        _say(f"{settings.network} starts from random weights: those of {settings.start} do not fit its arguments")
        settings = replace(settings, start=None)
    _train(Run.begin(output, settings), calibration, device=device, workers=workers)


def resume(folder: Path, calibration: Calibration, *, device: str, workers: int) -> None:
    """Resume a run from its last complete epoch."""
    run = Run.open(folder)
    if run.settings.network == train_frozen.NETWORK and run.is_complete:
        print(f"{folder} is complete: its linear layer was fitted in one step; begin a new run for other clips")
        return
    _train(run, calibration, device=device, workers=workers)


def _train(run: Run, calibration: Calibration, *, device: str, workers: int) -> None:
    """Train a run and show its summary; what false starts then need cannot lose it."""
    device = choose_device(device).type
    files = [run.folder / f"{name}.safetensors" for name in ("best", "last")]
    count: Callable[[], FalseStarts | None] | None = None
    if run.settings.network == train_frozen.NETWORK:
        background = background_videos(calibration.background, _say)
        summary, teacher = train_frozen.fit_run(run, background, device=device, say=_say)
        count = partial(train_frozen.calibrate, run, teacher, calibration.per_hour)
    else:
        background = _background(run, calibration)
        summary = run.train(device=device, workers=workers, say=_say)
        if background:
            count = partial(calibrate_checkpoints, files, background, calibration.per_hour, device=device, say=_say)
    if distributed.rank() == 0:
        _show(run.folder, summary)
        if count is not None and (found := count()) is not None:
            print_false_starts(found, read_card(files[0]).thresholds)


def _background(run: Run, calibration: Calibration) -> list[Path]:
    """The videos on which false starts are counted, if they are: those that are given, or the clips without action."""
    if calibration.background:
        return background_videos(calibration.background, _say)
    if calibration.per_hour is None:
        return []
    training, validation, labels = run.settings.data.open()
    quiet = find_background(labels)
    if quiet is None:
        raise ActionstreamError(
            "no label of the data is background or nothing; give --background with videos on which false starts are "
            "counted"
        )

    def quiet_videos(clips: Sequence[Clip]) -> list[Path]:
        whole = [clip for clip in clips if clip.seconds is None and clip.frames is None]
        return [clip.path for clip in whole if clip.labels == (quiet,)]

    held_out = quiet_videos(validation)
    if not held_out:
        _say(f"no clip of {quiet} is held out: false starts are counted on learnt clips, and elsewhere there are more")
    return held_out or quiet_videos(training)


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
