"""The options of `watch`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from actionstream.choices import Policy, Transport
from actionstream.cli.messages import say
from actionstream.cli.options import Background, Device, Labels, MaxPixels, Model, Runtime, Weights, loading
from actionstream.cli.thresholds import read_thresholds
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.limits import MAX_PIXELS

EXIT_CODES = (
    "Exit codes: 0 all sources ended, 1 a source failed or ended too early, 2 bad input, 3 a fault in actionstream, "
    "130 Ctrl-C, 143 SIGTERM."
)


def watch(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE...",
            help="A video file, a folder or glob of images, an address such as rtsp://camera/stream or "
            "http://host/film.mp4, a camera number such as 0, - for a video on standard input, or sample, the clip "
            "of the package.",
        ),
    ] = None,
    model: Model = "motion",
    weights: Weights = None,
    labels: Labels = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line on standard output.")] = False,
    save: Annotated[
        Path | None,
        typer.Option(help="Write the video with its labels to this MP4 file; of several sources, to this folder."),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Show the video with its labels in a window; q ends.")] = False,
    timeline: Annotated[
        bool,
        typer.Option("--timeline", help="Print segments, and the labels of the whole video (live: the last minute)."),
    ] = False,
    max_frames: Annotated[int | None, typer.Option(min=1, help="Stop after this many frames of a source.")] = None,
    device: Device = "auto",
    runtime: Runtime = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads of the network.", show_default="as suits this machine")
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[LABEL=]NUMBER",
            help="A label starts when its smoothed score reaches this number from 0 to 1. LABEL=NUMBER is the "
            "threshold of one label; may be given several times.",
            show_default="of the model, else 0.6",
        ),
    ] = None,
    end_threshold: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[LABEL=]NUMBER",
            help="A label ends when its smoothed score falls below this number; may be given several times.",
            show_default="half of --threshold",
        ),
    ] = None,
    smoothing: Annotated[
        float, typer.Option(metavar="SECONDS", help="Time constant of the exponential smoothing of scores; 0: none.")
    ] = 0.3,
    min_duration: Annotated[
        float, typer.Option(metavar="SECONDS", help="A label that lasts less than this is no event.")
    ] = 0.2,
    background: Background = None,
    gap: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="A longer pause between two frames empties the state of the stream.",
            show_default="8 frames of the model, at least 0.5",
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Number of labels that are shown or printed.")] = 5,
    realtime: Annotated[bool, typer.Option("--realtime", help="Play a file at its own speed.")] = False,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="FPS", help="Frames a second of a folder of images.", show_default="as in its rate.txt, else 30"
        ),
    ] = None,
    watch_list: Annotated[
        Path | None,
        typer.Option(
            help="A file with one source a line, SOURCE or SOURCE as NAME. Sources start and end as lines come and "
            "go. The last ' as ' of a line divides it, unless the whole line is an existing path."
        ),
    ] = None,
    policy: Annotated[
        Policy,
        typer.Option(
            help="newest drops frames that arrive too fast, every drops no frame; auto is newest for live "
            "sources and every for files."
        ),
    ] = "auto",
    retries: Annotated[
        int | None,
        typer.Option(min=0, help="Number of attempts to reconnect to a live source.", show_default="no limit"),
    ] = None,
    transport: Annotated[Transport, typer.Option(help="Transport protocol of RTSP.")] = "tcp",
    open_timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="Longest time that a live source may take for its first frame.")
    ] = 10.0,
    read_timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="Longest time that a live source may send no data.")
    ] = 3.0,
    stall_timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="Longest time between two frames of a live source.")
    ] = 5.0,
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Label the frames of each SOURCE as they arrive, all sources in one batch."""
    from actionstream.commands.watch import watch_sources
    from actionstream.engine.engine import Engine
    from actionstream.engine.fusion import open_scorer
    from actionstream.sources.connection import Connection

    if not sources and watch_list is None:
        raise ActionstreamError("watch has no source; give a SOURCE, such as sample or 0, or --watch-list FILE")
    for option, seconds in (("--smoothing", smoothing), ("--min-duration", min_duration), ("--gap", gap)):
        if seconds is not None and not 0 <= seconds < math.inf:
            raise ActionstreamError(f"{option} is {seconds:g}; expected a number of seconds, 0 or more")
    starts = read_thresholds("--threshold", threshold or ())
    ends = read_thresholds("--end-threshold", end_threshold or ())
    loaded = loading(weights, labels)

    def open_engine() -> Engine:
        scorer = open_scorer(
            model,
            gap_seconds=gap,
            runtime=runtime,
            device=device,
            num_threads=threads,
            export_meanwhile=True,
            **loaded,
        )
        return Engine(
            scorer,
            threshold=starts,
            end_threshold=ends,
            smoothing_seconds=smoothing,
            min_duration_seconds=min_duration,
            background=background,
        )

    code = watch_sources(
        sources or [],
        engine=open_engine,
        watch_list=watch_list,
        rate=rate,
        as_json=json,
        save=save,
        show=show,
        timeline=timeline,
        top=top,
        say=say,
        policy=policy,
        connection=Connection(
            open_seconds=open_timeout,
            read_seconds=read_timeout,
            stall_seconds=stall_timeout,
            retries=retries,
            transport=transport,
        ),
        realtime=realtime,
        max_frames=max_frames,
    )
    raise typer.Exit(code)
