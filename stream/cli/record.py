"""The options of `record`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actionstream.cli.options import MaxPixels
from actionstream.models.common.limits import MAX_PIXELS


def record(
    label: Annotated[str, typer.Argument(help="The label of the clips.")],
    camera: Annotated[str, typer.Option(help="A camera number, or any SOURCE of watch.")] = "0",
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder to write; each label has a folder in it.")
    ] = Path("videos"),
    clips: Annotated[int, typer.Option(min=1, help="Number of clips.")] = 20,
    seconds: Annotated[float, typer.Option(help="Duration of a clip.")] = 2.0,
    pause: Annotated[float, typer.Option(metavar="SECONDS", help="Pause before each clip.")] = 1.5,
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Record clips of your own LABEL, for train --data."""
    from actionstream.commands.record import record_clips

    record_clips(label, source=camera, folder=output, num_clips=clips, seconds=seconds, pause_seconds=pause)
