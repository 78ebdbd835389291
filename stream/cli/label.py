"""The options of `label`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actionstream.choices import SubtitleFormat
from actionstream.cli.messages import say
from actionstream.cli.options import Background, Decoder, Device, MaxPixels, Model, Precision, Streaming, loading
from actionstream.models.common.extras import needs
from actionstream.models.common.limits import MAX_PIXELS

EXIT_CODES = (
    "Exit codes: 0 all videos are labelled, 1 some are not or ended too early, 2 none is, or bad input, 3 a fault in "
    "actionstream, 130 Ctrl-C, 143 SIGTERM."
)


def label(
    videos: Annotated[
        list[str],
        typer.Argument(
            metavar="VIDEO...", help="A video file, a folder of images, or sample, the clip of the package."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The folder to write.", show_default="the working folder")] = Path(),
    model: Model = "motion",
    streaming: Streaming = None,
    subtitles: Annotated[SubtitleFormat | None, typer.Option(help="Write the segments as subtitles, too.")] = None,
    csv: Annotated[
        bool,
        typer.Option(
            "--csv", help="Write a table, too; of segments of one label that lie inside each other it has the best."
        ),
    ] = False,
    scores: Annotated[bool, typer.Option("--scores", help="Write the scores of all frames, NAME.npz, too.")] = False,
    threshold: Annotated[
        float,
        typer.Option(
            metavar="NUMBER",
            help="A segment is shown, and is in the subtitles, when its score reaches this number from 0 to 1; JSON "
            "has all segments, for evaluate.",
        ),
    ] = 0.3,
    background: Background = None,
    device: Device = "auto",
    precision: Precision = "float32",
    decoder: Decoder = "processor",
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Find what happens when in each VIDEO: write its segments (NAME.json) and a picture of them (NAME.png)."""
    needs("pictures")

    from actionstream.commands.label import label_files

    code = label_files(
        videos,
        model=model,
        device=device,
        precision=precision,
        background=background,
        folder=out,
        subtitle=subtitles,
        table=csv,
        scores=scores,
        threshold=threshold,
        say=say,
        **loading(None, None, streaming),
    )
    raise typer.Exit(code)
