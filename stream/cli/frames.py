"""The options of `frames`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actionstream.cli.options import MaxPixels
from actionstream.models.common.limits import MAX_PIXELS


def frames(
    videos: Annotated[Path, typer.Argument(help="A folder with videos, in folders of any depth.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder to write; each video is a folder of pictures in it.")
    ],
    short_side: Annotated[
        int | None, typer.Option(min=16, help="Scale the short side of the pictures down to this many pixels.")
    ] = None,
    max_repeats: Annotated[
        int,
        typer.Option(
            min=1,
            help="A picture that is shown for long is written for each frame of its time. A video of more than 10000 "
            "frames is left out where it has more than this for each picture, on average.",
        ),
    ] = 100,
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Extract the frames of VIDEOS once, so that training need not decode them again in each epoch."""
    from actionstream.commands.frames import extract_frames

    extract_frames(videos, output, short_side=short_side, max_repeats=max_repeats)
