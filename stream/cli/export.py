"""The options of `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actionstream.cli.options import Labels, MaxPixels, Streaming, Weights
from actionstream.models.common.choices import ExportTarget, Takes
from actionstream.models.common.extras import needs
from actionstream.models.common.limits import MAX_PIXELS


def export(
    model: Annotated[str, typer.Argument(help="A checkpoint or a run, or with --weights a network.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The file to write: .onnx, .xml for OpenVINO, .pt2 for torch-export."),
    ],
    to: Annotated[ExportTarget, typer.Option(help="The format of the file.")] = "onnx",
    int8: Annotated[bool, typer.Option("--int8", help="Quantise weights and activations to 8 bits.")] = False,
    calibrate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VIDEO",
            help="A typical video, to calibrate --int8 with; may be given several times.",
            show_default="sample",
        ),
    ] = None,
    takes: Annotated[
        Takes,
        typer.Option(
            help="The input of the file: pixels of the network's size, pictures of any size, or normalised frames."
        ),
    ] = "pixels",
    chunk: Annotated[int, typer.Option(min=1, help="Snippets in a call; watch takes files with one.")] = 1,
    weights: Weights = None,
    labels: Labels = None,
    streaming: Streaming = None,
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Write a checkpoint as a file for other runtimes: watch --model takes it, and so do programs without torch."""
    needs("export")

    from actionstream.commands.export import export_checkpoint
    from actionstream.models.labels import read_labels

    export_checkpoint(
        model,
        output,
        to=to,
        takes=takes,
        chunk=chunk,
        int8=int8,
        calibrate=calibrate or (),
        weights=weights,
        labels=None if labels is None else read_labels(labels),
        streaming=streaming,
    )
