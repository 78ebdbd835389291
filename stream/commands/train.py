"""The command `train`: a network on the user's own clips."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from actionstream.models.catalogue import find_entry
from actionstream.models.common.choices import FrameModality, Shift
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.training import distributed
from actionstream.models.training.augmentation import Augmentation, find_opposites
from actionstream.models.training.changes import changed
from actionstream.models.training.data import Data
from actionstream.models.training.features import FeatureSettings
from actionstream.models.training.optimisation import Optimisation
from actionstream.models.training.run import Run
from actionstream.models.training.sampling import FrameSampling
from actionstream.models.training.settings import TrainingSettings
from actionstream.runtimes.eager import choose_device

IN_CHANNELS: dict[FrameModality, int] = {"rgb": 3, "rgb-difference": 15, "flow": 10, "warped-flow": 10}
"""Channels of a snippet (TSN, arXiv:1608.00859), for networks without a number of channels of their own."""


def train_clips(
    output: Path,
    *,
    data: Data | str | os.PathLike[str],
    model: str,
    shift: Shift | None = None,
    modality: FrameModality | None = None,
    size: int | None = None,
    changes: Sequence[str] = (),
    device: str = "auto",
    workers: int = 0,
    **settings: Any,
) -> None:
    """Begin a run and train it to its end; for `settings` and `changes` see models.training.settings.

    data  a folder with a folder of clips for each label, or a description of the data
    """
    data = data if isinstance(data, Data) else Data(root=os.fspath(data))
    entry = find_entry(model)
    arguments: dict[str, Any] = {} if shift is None else {"shift": shift}
    features = FeatureSettings.read(Path(data.root))
    if (features is not None) != (model == "timeception"):
        what = "no features in it" if features is None else "features in it"
        raise ActionstreamError(
            f"{data.root} has {what}, and the model is {model}: timeception, and no other, learns from what "
            "`actionstream features` has written"
        )
    in_channels = entry.arguments.get("in_channels", 3)
    if modality is not None:
        in_channels = arguments["in_channels"] = IN_CHANNELS[modality] if in_channels == 3 else in_channels
    if features is None:
        preprocessing = entry.preprocessing(in_channels, modality=modality)
    else:
        preprocessing = Preprocessing.of_features(*features.shape[1:])
    if size is not None:
        preprocessing = replace(preprocessing, height=size, width=size, short_side=round(size * 8 / 7))
    sampled = FrameSampling(
        num_frames=max(entry.num_frames, 8),
        interval_seconds=entry.step / 30,
        frame_seconds=1 / 30 if preprocessing.num_pictures > 1 else 0.0,
    )
    if features is not None:
        arguments["in_channels"] = preprocessing.in_channels
        sampled = replace(sampled, num_frames=features.num_segments, sampling="segments")
    labels = data.open()[2]
    whole = TrainingSettings(
        data=data,
        network=model,
        arguments=arguments,
        labels=labels,
        preprocessing=preprocessing,
        sampled=sampled,
        augmentation=Augmentation(opposites=find_opposites(labels)),
        optimisation=Optimisation(),
        **{name: value for name, value in settings.items() if value is not None},
    )
    _train(Run.begin(output, changed(whole, changes)), device=device, workers=workers)


def resume(folder: Path, *, device: str, workers: int) -> None:
    """Resume a run from its last complete epoch."""
    _train(Run.open(folder), device=device, workers=workers)


def _train(run: Run, *, device: str, workers: int) -> None:
    summary = run.train(device=choose_device(device).type, workers=workers, say=_say)
    if distributed.rank() > 0:
        return
    best = summary["best"]
    figures = [f"{name} {100 * best[name]:.1f} %" for name in ("top1", "mean_class", "mAP") if name in best]
    print(
        f"{run.folder}: {summary['training']} clips learnt, {summary['validation']} held out, "
        f"{len(summary['broken'])} broken; best {', '.join(figures) or 'loss'} after epoch {best['epoch']:g}"
    )
    for message in summary["broken"]:
        _say(f"broken: {message}")
    for remark in summary["remarks"]:
        _say(remark)


def _say(line: str) -> None:
    print(line, file=sys.stderr)
