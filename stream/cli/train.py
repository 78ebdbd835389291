"""The options of `train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from actionstream.choices import Metric
from actionstream.cli.messages import refuse
from actionstream.cli.options import Device, FalseStarts, MaxPixels
from actionstream.models.common.choices import DataFormat, FrameModality, Shift
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.extras import needs
from actionstream.models.common.limits import MAX_PIXELS


def train(
    recipe: Annotated[
        str | None,
        typer.Argument(help="A recipe: motion, ut-interaction, arrow-of-time or timeception."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The folder to write; for motion, the checkpoint."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="A folder with a folder for each label, of videos or of folders of frames; or, with --annotations, of "
            "whole videos."
        ),
    ] = None,
    annotations: Annotated[
        Path | None,
        typer.Option(
            help="What happens when in whole videos: ActivityNet's JSON, the folder of THUMOS14, or a CSV with "
            "video, start_seconds, end_seconds, label and, if known, group. A live detector learns from it."
        ),
    ] = None,
    metric: Annotated[
        Metric | None,
        typer.Option(
            help="With --annotations: by which thresholds and durations of labels are chosen on held-out videos.",
            show_default="f1; with --false-starts false-alarms",
        ),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(
            help="With --annotations: a folder that keeps what the backbones see of videos, for several runs.",
            show_default="OUTPUT/features",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="A network of `models`; all its weights are trained.",
            show_default="with few clips frozen backbones, else tsm_efficientnet_lite0 or that of --start",
        ),
    ] = None,
    shift: Annotated[
        Shift | None,
        typer.Option(
            help="The temporal shift: uni streams, bi needs whole clips, none has no shift.",
            show_default="of the network",
        ),
    ] = None,
    streaming: Annotated[
        Literal["window", "causal"] | None,
        typer.Option(
            help="How a network for whole clips will run live: in a window, whose weights delayed takes, too; or, "
            "causal, frame by frame.",
            show_default="that of --start; window",
        ),
    ] = None,
    modality: Annotated[
        FrameModality | None, typer.Option(help="The input of the network.", show_default="of the network")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help="A checkpoint to start from, such as motion; none: random weights.",
            show_default="imagenet, where it fits",
        ),
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(help="A checkpoint for distillation: the network learns its scores, too.")
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Number of epochs; an epoch takes all clips once.", show_default="by the clips"),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Clips in a step, of all processes together.", show_default="8")
    ] = None,
    size: Annotated[int | None, typer.Option(min=32, help="Height and width of the input, in pixels.")] = None,
    format: Annotated[
        DataFormat | None, typer.Option(help="The layout of the data set.", show_default="folders")
    ] = None,
    training: Annotated[Path | None, typer.Option(help="A list or annotations of the clips to train on.")] = None,
    validation: Annotated[
        Path | None, typer.Option(help="A list or annotations of the clips to validate on after each epoch.")
    ] = None,
    labels: Annotated[str | None, typer.Option(help="A file with a label a line, or a list such as ucf101.")] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other setting, such as optimisation.mixup=0.2."),
    ] = None,
    background: Annotated[
        list[Path] | None,
        typer.Option(
            help="A video, or a folder of videos, in which none of the labels happens; may be given several times."
        ),
    ] = None,
    false_starts: FalseStarts = None,
    resume: Annotated[Path | None, typer.Option(help="The folder of a run to resume.")] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of steps of a recipe, or with --annotations.", show_default="of the recipe; 600"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The seed of all randomness.")] = 0,
    device: Device = "auto",
    workers: Annotated[
        int, typer.Option(min=0, help="Processes that read or render clips, or train folds; 0: this one.")
    ] = 1,
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Train a network on videos, for watch --model. A run is a folder; --resume goes on with it after any stop.

    On several GPUs: torchrun --nproc-per-node 8 -m -- actionstream train ...
    """
    needs("train")

    from actionstream.commands import train as training_commands
    from actionstream.commands.calibration import Calibration
    from actionstream.commands.recipes import train_recipe
    from actionstream.models.training import distributed
    from actionstream.models.training.data import Data
    from actionstream.runtimes.eager import choose_device

    calibration = Calibration(tuple(background or ()), false_starts)
    with distributed.joined(choose_device(device).type):
        if resume is not None:
            where = {"a recipe": recipe, "--data": data, "--annotations": annotations, "--format": format, "-o": output}
            clips = {"--training": training, "--validation": validation, "--labels": labels}
            network = {"--model": model, "--shift": shift, "--modality": modality, "--start": start}
            network["--streaming"] = streaming
            how = {"--teacher": teacher, "--epochs": epochs, "--batch-size": batch_size, "--steps": steps}
            detector = {"--metric": metric, "--features": features}
            refuse(
                {**where, **clips, **network, **how, **detector, "--size": size, "--set": changes},
                "is for a new run; a resumed run keeps its own settings, so leave it out",
            )
            training_commands.resume(resume, calibration, device=device, workers=workers)
            return
        if output is None or (recipe is None and data is None and annotations is None):
            raise ActionstreamError(
                "train needs data and an output: give --data DIR or a recipe, and -o; or give --resume RUN"
            )
        if annotations is not None:
            from actionstream.commands.train_videos import train_videos
            from actionstream.detector.settings import DetectorSettings
            from actionstream.models.training.changes import changed

            if distributed.num_processes() > 1:
                raise ActionstreamError("a detector is trained by one process; start it without torchrun")
            if data is None:
                raise ActionstreamError(f"{annotations} names videos; give the folder they are in, --data DIR")
            of_clips = {"a recipe": recipe, "--format": format, "--training": training, "--validation": validation}
            of_network = {"--model": model, "--shift": shift, "--modality": modality, "--size": size, "--start": start}
            of_network["--streaming"] = streaming
            other = {"--labels": labels, "--epochs": epochs, "--teacher": teacher, "--background": background}
            refuse(
                {**of_clips, **of_network, **other},
                "is for clips; --annotations is for whole videos, so leave one of them out",
            )
            given: dict[str, Any] = {"steps": steps, "batch_size": batch_size, "false_alarms_per_hour": false_starts}
            given["metric"] = metric or ("f1" if false_starts is None else "false-alarms")
            settings = DetectorSettings(seed=seed, **{name: each for name, each in given.items() if each is not None})
            train_videos(
                output,
                data=data,
                annotations=annotations,
                features=features,
                settings=changed(settings, changes or ()),
                device=device,
            )
            return
        refuse({"--metric": metric, "--features": features}, "is for --annotations; leave it out")
        if recipe is not None:
            refuse({"--background": background, "--false-starts": false_starts}, "is for --data; leave it out")
            train_recipe(
                recipe,
                output,
                data=data,
                model=model,
                shift=shift,
                streaming=streaming,
                modality=modality,
                start=start,
                teacher=teacher,
                steps=steps,
                epochs=epochs,
                batch_size=batch_size,
                size=size,
                format=format,
                training=training,
                validation=validation,
                labels=labels,
                set=changes,
                seed=seed,
                device=device,
                workers=workers,
            )
            return
        refuse({"--steps": steps}, "is for recipes; give --epochs")
        training_commands.train_clips(
            output,
            data=Data(
                root=str(data),
                format=format or "folders",
                training=None if training is None else str(training),
                validation=None if validation is None else str(validation),
                labels=labels,
                seed=seed,
            ),
            model=model,
            shift=shift,
            streaming=streaming,
            modality=modality,
            size=size,
            changes=changes or (),
            device=device,
            workers=workers,
            start=start,
            teacher=teacher,
            epochs=epochs,
            batch_size=batch_size,
            seed=seed,
            calibration=calibration,
        )
