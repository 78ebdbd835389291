"""The options of `features`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actionstream.cli.cluster import Gpus, MaxMemory, Ray, Stall, sharing_of
from actionstream.cli.messages import say
from actionstream.cli.options import Device, MaxPixels, Weights
from actionstream.models.common.limits import MAX_PIXELS


def features(
    videos: Annotated[
        list[Path],
        typer.Argument(metavar="VIDEO...", help="Video files, folders of videos, or folders of frames."),
    ],
    model: Annotated[
        str, typer.Option(help="A checkpoint whose backbone makes the features, or with --weights a network.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder to write; each video is a file of features in it.")
    ],
    weights: Weights = None,
    segments: Annotated[
        int, typer.Option(min=1, max=4096, help="Number of segments, spread evenly over a video.")
    ] = 128,
    shard: Annotated[str, typer.Option(metavar="N/M", help="Take the N-th of M equal parts of the videos.")] = "1/1",
    device: Device = "auto",
    max_pixels: MaxPixels = MAX_PIXELS,
    ray: Ray = None,
    stall: Stall = 300,
    max_memory: MaxMemory = None,
    gpus: Gpus = None,
) -> None:
    """Extract features of long videos, a feature map of each segment, for train --model timeception.

    A segment is 8 successive frames, or one frame where the network looks at single frames.
    """
    sharing = sharing_of(ray, stall, max_memory, gpus)

    from actionstream.commands.features import extract_features

    extract_features(
        videos,
        output,
        model=model,
        weights=weights,
        num_segments=segments,
        shard=shard,
        device=device,
        sharing=sharing,
        say=say,
    )
