"""The options of `demo`."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated

import typer

from actionstream.cli.messages import say
from actionstream.cli.options import Device, MaxPixels, Model, Runtime
from actionstream.models.common.extras import needs
from actionstream.models.common.limits import MAX_PIXELS


def demo(
    context: typer.Context,
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
    max_megabytes: Annotated[float, typer.Option(help="Size of an uploaded file, in MB.")] = 200,
    max_minutes: Annotated[float, typer.Option(help="Duration of an uploaded video.")] = 10,
    max_height: Annotated[int, typer.Option(help="Height of an uploaded video, in pixels.")] = 1440,
    max_stored_megabytes: Annotated[float, typer.Option(help="Size of all uploads together, in MB.")] = 4000,
    max_uploads_per_client: Annotated[
        int,
        typer.Option(help="Uploads of one client that are received or wait for their page."),
    ] = 8,
    min_upload_kilobytes: Annotated[float, typer.Option(help="Least speed of an upload, in kB a second.")] = 8,
    upload_seconds: Annotated[float, typer.Option(help="Time until an upload that no page takes is removed.")] = 60,
    max_model_megabytes: Annotated[
        float, typer.Option(help="Memory of an uploaded checkpoint with one stream, in MB.")
    ] = 500,
    max_snapshot_megabytes: Annotated[
        float, typer.Option(help="Snapshots of a video with an uploaded checkpoint, in MB.")
    ] = 300,
    max_checkpoints: Annotated[int, typer.Option(help="Uploaded checkpoints of one page.")] = 3,
    max_models: Annotated[int, typer.Option(help="Open models.")] = 12,
    max_pages: Annotated[int, typer.Option(help="Open pages.")] = 128,
    max_pages_per_client: Annotated[int, typer.Option(help="Open pages of one client.")] = 16,
    idle_seconds: Annotated[
        float,
        typer.Option(help="Time until a page without a connection, or a stream without a request, ends."),
    ] = 5,
    max_streams: Annotated[int, typer.Option(help="Live streams.")] = 32,
    max_streams_per_client: Annotated[int, typer.Option(help="Live streams of one client.")] = 8,
    silent_seconds: Annotated[float, typer.Option(help="Time until a camera stream without frames ends.")] = 20,
    max_labels: Annotated[int, typer.Option(help="Labels that one visitor teaches.")] = 30,
    max_examples: Annotated[int, typer.Option(help="Examples of one visitor.")] = 100,
    max_examples_megabytes: Annotated[float, typer.Option(help="Memory of the examples of one visitor, in MB.")] = 16,
    max_example_seconds: Annotated[float, typer.Option(help="Duration of an example, at most 60.")] = 20,
    max_lessons: Annotated[int, typer.Option(help="Visitors whose examples are kept.")] = 64,
    max_lessons_per_client: Annotated[int, typer.Option(help="The same, of one client.")] = 8,
    lesson_seconds: Annotated[
        float, typer.Option(help="Time until the examples of a visitor whose page has ended are forgotten.")
    ] = 600,
    max_annotations_kilobytes: Annotated[float, typer.Option(help="Size of the annotations of a video, in kB.")] = 2000,
    max_frame_kilobytes: Annotated[float, typer.Option(help="Size of a frame of a camera, in kB.")] = 1000,
    max_frame_pixels: Annotated[int, typer.Option(help="Pixels of a frame of a camera.")] = 1_638_400,
    max_call_kilobytes: Annotated[float, typer.Option(help="Size of a call, the settings of a tab, in kB.")] = 64,
    max_calls_per_page: Annotated[int, typer.Option(help="Calls of one page whose answers it has not read.")] = 16,
    max_waiting_calls: Annotated[int, typer.Option(help="Calls that wait for their turn.")] = 64,
    max_connections: Annotated[
        int,
        typer.Option(help="Connections; half of the limit on open files, where that is less."),
    ] = 512,
    max_connections_per_client: Annotated[int, typer.Option(help="Connections of one client.")] = 64,
    max_requests_per_client: Annotated[int, typer.Option(help="Requests of one client at once.")] = 64,
    max_head_kilobytes: Annotated[float, typer.Option(help="Size of the head of a request, in kB.")] = 16,
    head_seconds: Annotated[float, typer.Option(help="Time for the head of a request.")] = 10,
    body_seconds: Annotated[
        float,
        typer.Option(help="Time for the body of a request; an upload has more, by its size."),
    ] = 10,
    stalled_seconds: Annotated[
        float,
        typer.Option(help="Time until a client that does not read its answer is disconnected."),
    ] = 60,
    allow_private: Annotated[
        bool,
        typer.Option("--allow-private", help="Let visitors give addresses in this machine's own network."),
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A host name of the page, besides IP addresses, localhost, this machine's name and --host.",
        ),
    ] = None,
    root_path: Annotated[str, typer.Option(help="The path of the page behind a proxy, such as /actionstream.")] = "",
    proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS", help="The address of a proxy in front of the page; its X-Forwarded headers are trusted."
        ),
    ] = None,
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Open the web page: your camera or an address live, actions of your own, videos, two models side by side.

    The limits are for strangers who open the page; a client is an IPv4 address, or an IPv6 /64 network.
    """
    needs("page")

    from actionstream.demos.page.limits import Limits
    from actionstream.demos.page.server import serve

    serve(
        model=model,
        runtime=runtime,
        device=device,
        host=host,
        port=port,
        share=share,
        root_path=root_path,
        proxies=proxy or (),
        allowed_hosts=allow_host or (),
        limits=Limits(**{each.name: context.params[each.name] for each in fields(Limits)}),
        project=None,
        say=say,
    )
