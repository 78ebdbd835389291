"""Options that several commands share."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from actionstream.choices import DeviceName, PrecisionName, RuntimeName
from actionstream.models.common.choices import DecoderName, LiveMode
from actionstream.models.common.decoders import VARIABLE as DECODER_VARIABLE
from actionstream.models.common.decoders import decoder
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.limits import HIGHEST_MAX_PIXELS, VARIABLE, max_pixels

Model = Annotated[
    str, typer.Option("--model", help="A checkpoint by name or path, a run, or a file NAME.toml of networks to fuse.")
]
Device = Annotated[DeviceName, typer.Option("--device", help="The network runs on this device.")]
Runtime = Annotated[
    RuntimeName,
    typer.Option(
        "--runtime", help="The software that runs the network; auto takes the fastest one with the same scores."
    ),
]
Precision = Annotated[
    PrecisionName,
    typer.Option(
        "--precision",
        help="The numbers of the network on a CPU: less precise ones are faster. int8 is calibrated on the sample "
        "video; auto takes the fastest that this machine has.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="CPU threads of the network.", show_default="as suits this machine"),
]
Streaming = Annotated[
    LiveMode | None,
    typer.Option(
        help="How a network for whole clips runs live. window: each step computes the last clip again. causal: frame "
        "by frame, for weights of train --streaming causal. delayed: frame by frame with the weights of whole clips; "
        "answers come some frames later.",
        show_default="as it was trained; window",
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option("--weights", help="A file with weights of another project. The model is then the name of a network."),
]
Labels = Annotated[
    str | None,
    typer.Option("--labels", help="The labels of --weights: a file with one a line, or a list such as kinetics400."),
]
Background = Annotated[
    str | None,
    typer.Option(
        "--background",
        help="The label that means no action; it has no segments and no events.",
        show_default="background or nothing, where the model has it",
    ),
]


def _check_false_starts(number: float | None) -> float | None:
    if number is not None and not 0 < number < math.inf:
        raise ActionstreamError(f"--false-starts is {number:g}; expected a number above 0, of an hour")
    return number


FalseStarts = Annotated[
    float | None,
    typer.Option(
        "--false-starts",
        metavar="NUMBER",
        callback=_check_false_starts,
        help="Choose the thresholds of events so that this many labels an hour start falsely, counted on footage "
        "without action.",
        show_default="0.6 for all labels",
    ),
]


def _limit_pixels(pixels: int) -> int:
    """Set the limit for this process and those that it starts; a command need not do anything."""
    if pixels != max_pixels():
        os.environ[VARIABLE] = str(pixels)
    return pixels


MaxPixels = Annotated[
    int,
    typer.Option(
        "--max-pixels",
        envvar=VARIABLE,
        min=1,
        max=HIGHEST_MAX_PIXELS,
        callback=_limit_pixels,
        help="Videos and pictures of more pixels, height times width, are not opened, as they take much memory.",
    ),
]


def _choose_decoder(name: DecoderName) -> DecoderName:
    """Set the decoder for this process and those that it starts."""
    if name != decoder():
        os.environ[DECODER_VARIABLE] = name
    return name


Decoder = Annotated[
    DecoderName,
    typer.Option(
        "--decoder",
        envvar=DECODER_VARIABLE,
        callback=_choose_decoder,
        help="What decodes videos; the processor, where the device cannot.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object.")]


def loading(weights: Path | None, labels: str | None, streaming: LiveMode | None) -> dict[str, Any]:
    """The arguments of `actionstream.models.load` besides the model: only options that are given."""
    from actionstream.models.labels import read_labels

    options = {"weights": weights, "labels": labels and read_labels(labels), "streaming": streaming}
    return {name: value for name, value in options.items() if value is not None}
