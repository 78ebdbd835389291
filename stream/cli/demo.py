"""The options of `demo`."""

from __future__ import annotations

from typing import Annotated

import typer

from actionstream.cli.messages import say
from actionstream.cli.options import Device, Model, Runtime
from actionstream.models.extras import needs


def demo(
    model: Model = "motion",
    device: Device = "auto",
    runtime: Runtime = "auto",
    host: Annotated[
        str, typer.Option(help="The address to listen at; with 0.0.0.0 other machines can open the page.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="The port to listen at.", show_default="the first free one from 7860 on"),
    ] = None,
    share: Annotated[
        bool,
        typer.Option("--share", help="Make the page public for a while, through a tunnel that Gradio offers."),
    ] = False,
    max_megabytes: Annotated[float, typer.Option(help="Size limit of an uploaded video.")] = 200,
    max_minutes: Annotated[float, typer.Option(help="Duration limit of an uploaded video.")] = 10,
    max_height: Annotated[int, typer.Option(min=16, help="Height limit of an uploaded video, in pixels.")] = 1440,
    allow_private: Annotated[
        bool,
        typer.Option("--allow-private", help="Let visitors give addresses in this machine's own network."),
    ] = False,
) -> None:
    """Open the web page: your camera or an address live, videos, two models side by side."""
    needs("page")

    from actionstream.demos.page.server import serve
    from actionstream.demos.page.site import Limits

    serve(
        model=model,
        runtime=runtime,
        device=device,
        host=host,
        port=port,
        share=share,
        limits=Limits(
            max_megabytes=max_megabytes, max_minutes=max_minutes, max_height=max_height, allow_private=allow_private
        ),
        say=say,
    )
