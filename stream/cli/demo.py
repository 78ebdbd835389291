"""The options of `demo`."""

from __future__ import annotations

from typing import Annotated

import typer

from actionstream.cli.messages import say
from actionstream.cli.options import Device, MaxPixels, Model, Runtime
from actionstream.models.common.extras import needs
from actionstream.models.common.max_pixels import MAX_PIXELS


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
    max_stored_megabytes: Annotated[
        float, typer.Option(help="Size limit of the uploads of all visitors together.")
    ] = 4000,
    max_model_megabytes: Annotated[
        float, typer.Option(help="Memory limit of an uploaded checkpoint with one stream.")
    ] = 500,
    max_pages: Annotated[int, typer.Option(min=1, help="Limit of open pages.")] = 128,
    max_pages_per_client: Annotated[int, typer.Option(min=1, help="Limit of open pages of one client address.")] = 16,
    max_streams: Annotated[int, typer.Option(min=1, help="Limit of live streams.")] = 32,
    max_streams_per_client: Annotated[
        int, typer.Option(min=1, help="Limit of live streams of one client address.")
    ] = 8,
    silent_seconds: Annotated[
        float, typer.Option(help="A live stream ends when its page has sent no frame for this time.")
    ] = 20,
    allow_private: Annotated[
        bool,
        typer.Option("--allow-private", help="Let visitors give addresses in this machine's own network."),
    ] = False,
    root_path: Annotated[str, typer.Option(help="The path of the page behind a proxy, such as /actionstream.")] = "",
    proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS", help="The address of a proxy in front of the page; its X-Forwarded headers are trusted."
        ),
    ] = None,
    max_pixels: MaxPixels = MAX_PIXELS,
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
        root_path=root_path,
        proxies=proxy or (),
        limits=Limits(
            max_megabytes=max_megabytes,
            max_minutes=max_minutes,
            max_height=max_height,
            max_stored_megabytes=max_stored_megabytes,
            max_model_megabytes=max_model_megabytes,
            max_pages=max_pages,
            max_pages_per_client=max_pages_per_client,
            max_streams=max_streams,
            max_streams_per_client=max_streams_per_client,
            silent_seconds=silent_seconds,
            allow_private=allow_private,
        ),
        say=say,
    )
