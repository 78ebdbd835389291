"""The options of `annotate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actionstream.cli.messages import say
from actionstream.cli.options import Device, MaxPixels, Model, Runtime
from actionstream.models.common.extras import needs
from actionstream.models.common.limits import MAX_PIXELS


def annotate(
    videos: Annotated[
        list[Path], typer.Argument(metavar="VIDEOS...", help="A folder of videos, or videos.", show_default=False)
    ],
    out: Annotated[
        Path,
        typer.Option(
            "-o", "--out", metavar="FILE", help="The annotations, in ActivityNet's layout; a file that exists goes on."
        ),
    ],
    labels: Annotated[
        str | None,
        typer.Option(
            help="Labels with commas between them, or a file with one a line, or a list such as kinetics400; the page "
            "can add others.",
            show_default="those of FILE",
        ),
    ] = None,
    model: Model = "motion",
    device: Device = "auto",
    runtime: Runtime = "auto",
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="The port to listen at.", show_default="the first free one from 7860 on"),
    ] = None,
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Mark what happens when in long VIDEOS, on a page for your browser: the model drafts, you correct.

    Each change is saved at once. Only this machine can open the page, and only with the whole address that is printed.
    """
    needs("page")

    from actionstream.demos.page.limits import Limits
    from actionstream.demos.page.projects import open_folder
    from actionstream.demos.page.server import serve

    serve(
        model=model,
        runtime=runtime,
        device=device,
        host="127.0.0.1",
        port=port,
        share=False,
        root_path="",
        proxies=(),
        allowed_hosts=(),
        limits=Limits(),
        project=open_folder(videos, out, labels=labels),
        say=say,
    )
