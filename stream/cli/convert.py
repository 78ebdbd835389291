"""The options of `convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actionstream.models.common.choices import FlowMethod, FrameModality, Shift


def convert(
    file: Annotated[
        Path,
        typer.Argument(
            help="Weights of another project: safetensors or torch.save, 4 GiB at most "
            "(ACTIONSTREAM_MAX_WEIGHTS_BYTES)."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The checkpoint to write, NAME.safetensors.")],
    project: Annotated[
        str, typer.Option("--from", help="The project of the weights, such as tsm, mmaction2 or torchvision.")
    ] = "auto",
    network: Annotated[
        str | None, typer.Option("--model", help="A network of `models`, where the weights fit several.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="A file with a label a line, or a list such as kinetics400.")
    ] = None,
    modality: Annotated[
        FrameModality | None, typer.Option(help="The input of the network.", show_default="from its channels")
    ] = None,
    flow_method: Annotated[
        FlowMethod, typer.Option(help="The method of optical flow; tvl1 needs opencv-contrib-python.")
    ] = "dis",
    interval: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Time between two frames in training.", show_default="of the network"),
    ] = None,
    num_frames: Annotated[
        int | None,
        typer.Option(min=1, help="Frames of a clip, for a network of clips.", show_default="of the network"),
    ] = None,
    many_labels: Annotated[
        bool, typer.Option("--many-labels", help="A clip can have several labels: scores are sigmoids.")
    ] = False,
    trained_shift: Annotated[
        Shift | None, typer.Option(help="The temporal shift in training.", show_default="as the project does")
    ] = None,
) -> None:
    """Make a checkpoint of another project's weights, for watch --model; no code in the file is executed."""
    from actionstream.commands.convert import convert_file

    convert_file(
        file,
        output,
        network=network,
        project=project,
        labels=labels,
        modality=modality,
        flow_method=flow_method,
        interval_seconds=interval,
        num_frames=num_frames,
        activation="sigmoid" if many_labels else None,
        trained_shift=trained_shift,
    )
