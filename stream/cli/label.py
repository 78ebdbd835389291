"""The options of `label`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actionstream.choices import SubtitleFormat
from actionstream.cli.cluster import Gpus, MaxMemory, Ray, Stall, sharing_of
from actionstream.cli.messages import say
from actionstream.cli.options import Background, Decoder, Device, MaxPixels, Model, Precision, Streaming, Threads
from actionstream.models.common.errors import ActionstreamError
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
            metavar="VIDEO...",
            help="A video file, a folder of images, a folder of videos, or sample, the clip of the "
            "package. With --ray also an address such as s3://bucket/videos.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The folder to write.", show_default="the working folder")
    ] = Path(),
    model: Model = "motion",
    streaming: Streaming = None,
    subtitles: Annotated[SubtitleFormat | None, typer.Option(help="Write the segments as subtitles, too.")] = None,
    csv: Annotated[
        bool,
        typer.Option(
            "--csv", help="Write a table, too. Where segments of one label lie inside each other, it has the best one."
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
    ray: Ray = None,
    threads: Threads = None,
    stall: Stall = 300,
    max_memory: MaxMemory = None,
    gpus: Gpus = None,
) -> None:
    """Find what happens when in each VIDEO: write its segments (NAME.json) and a picture of them (NAME.png).

    With --ray the machines of a cluster share the videos; those with results are left as they are, so that the same
    command goes on after an interruption.
    """
    sharing = sharing_of(ray, stall, max_memory, gpus)
    if sharing is None:
        needs("pictures")
    if not 0 <= threshold <= 1:
        raise ActionstreamError(f"--threshold is {threshold}; expected a number from 0 to 1")

    from actionstream.archives.label_job import LabelJob

    job = LabelJob(
        model=model,
        streaming=streaming,
        precision=precision,
        device=device,
        num_threads=threads,
        background=background,
        kinds=("json", "png", *([subtitles] if subtitles else []), *["csv"] * csv, *["npz"] * scores),
        threshold=threshold,
    )
    if sharing is None:
        from actionstream.commands.label import label_files

        raise typer.Exit(label_files(videos, job, out, say=say))

    from actionstream.commands.archive import label_archive

    raise typer.Exit(label_archive(videos, job, out, sharing=sharing, say=say))
