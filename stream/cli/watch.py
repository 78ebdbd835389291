"""The options of `watch`."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from actionstream.choices import Policy, Transport
from actionstream.cli.messages import refuse, say
from actionstream.cli.options import (
    Background,
    Decoder,
    Device,
    Labels,
    MaxPixels,
    Model,
    Precision,
    Runtime,
    Streaming,
    Threads,
    Weights,
    loading,
)
from actionstream.cli.thresholds import read_thresholds
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.limits import MAX_PIXELS

EXIT_CODES = (
    "Exit codes: 0 all sources ended, 1 a source failed or ended too early, 2 bad input, 3 a fault in actionstream, "
    "130 Ctrl-C, 143 SIGTERM."
)

JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")


class WatchCommand(TyperCommand):
    """A command whose --json takes a file or nothing: typer has no type for that."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give --json the value -, standard output, where no name of a JSON file follows."""
        options = args[: args.index("--")] if "--" in args else args
        for place, (word, after) in enumerate(pairwise([*options, ""])):
            if word == "--json" and (after.startswith("-") or not after.lower().endswith(JSON_SUFFIXES)):
                args[place] = "--json=-"
        return super().parse_args(ctx, args)


def _print_schema(wanted: bool) -> None:
    if wanted:
        from actionstream.sinks.json_lines import SCHEMA_FILE

        print(SCHEMA_FILE.read_text(encoding="utf-8"), end="")
        raise typer.Exit


def watch(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE...",
            help="A video file, a folder or glob of images, the number of a camera such as 0, or an address such as "
            "rtsp://camera/stream or http://host/film.mp4. Also - for a video on standard input, and sample, the clip "
            "of the package.",
        ),
    ] = None,
    model: Model = "motion",
    weights: Weights = None,
    labels: Labels = None,
    streaming: Streaming = None,
    json: Annotated[
        list[str] | None,
        typer.Option(
            "--json",
            metavar="[FILE]",
            help="Print one JSON object a line on standard output; or append it to FILE, whose name ends in .json, "
            ".jsonl or .ndjson, or is given as --json=FILE. May be given several times.",
        ),
    ] = None,
    json_megabytes: Annotated[
        float | None,
        typer.Option(
            metavar="MEGABYTES",
            help="A FILE of --json that would get larger is renamed, with the UTC time in its name, and begins anew.",
            show_default="100",
        ),
    ] = None,
    json_hours: Annotated[
        float | None,
        typer.Option(
            metavar="HOURS",
            help="Rename it after this many hours, too, counted from midnight, UTC.",
            show_default="24",
        ),
    ] = None,
    json_keep: Annotated[
        int | None,
        typer.Option(min=0, help="Number of renamed files that stay; the oldest are deleted.", show_default="7"),
    ] = None,
    json_schema: Annotated[
        bool,
        typer.Option(
            "--json-schema",
            is_eager=True,
            callback=_print_schema,
            help="Print the JSON Schema of the lines, and exit.",
        ),
    ] = False,
    events: Annotated[
        bool, typer.Option("--events", help="Only events and notices: no predictions in JSON, no table on a terminal.")
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option(
            help="Write the video with its labels to this new MP4 file; of several sources, to files in this folder."
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Show the video with its labels in a window; q ends.")] = False,
    timeline: Annotated[
        bool,
        typer.Option("--timeline", help="Print segments, and the labels of the whole video (live: the last minute)."),
    ] = False,
    max_frames: Annotated[int | None, typer.Option(min=1, help="Stop after this many frames of a source.")] = None,
    device: Device = "auto",
    runtime: Runtime = "auto",
    precision: Precision = "float32",
    threads: Threads = None,
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
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="A label that lasts less than this is no event.",
            show_default="the model's, else 0.2",
        ),
    ] = None,
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
    gate: Annotated[
        bool,
        typer.Option(
            "--gate",
            help="Save work in still scenes. While nothing moves, the network runs once in 2 s. When something moves, "
            "the frames of the last second come first.",
        ),
    ] = False,
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
    retry_refused: Annotated[
        bool, typer.Option("--retry-refused", help="Try again where a source refuses the user name or password.")
    ] = False,
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
    decoder: Decoder = "processor",
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Label the frames of each SOURCE as they arrive, all sources in one batch."""
    from actionstream.commands.watch import Output, watch_sources
    from actionstream.engine.engine import Engine
    from actionstream.engine.fusion import open_scorer
    from actionstream.sources.connection import Connection

    if not sources and watch_list is None:
        raise ActionstreamError("watch has no source; give a SOURCE, such as sample or 0, or --watch-list FILE")
    for option, seconds in (("--smoothing", smoothing), ("--min-duration", min_duration), ("--gap", gap)):
        if seconds is not None and not 0 <= seconds < math.inf:
            raise ActionstreamError(f"{option} is {seconds:g}; expected a number of seconds, 0 or more")
    rotation = {"--json-megabytes": json_megabytes, "--json-hours": json_hours, "--json-keep": json_keep}
    for option, limit in rotation.items():
        if limit is not None and not (0 < limit < math.inf or option == "--json-keep"):
            raise ActionstreamError(f"{option} is {limit:g}; expected a number above 0")
    files = [Path(name) for name in dict.fromkeys(json or ()) if name != "-"]
    if not files:
        given = {option: limit is not None for option, limit in rotation.items()}
        refuse(given, "is for a FILE of --json; give both, or leave it out")
    starts = read_thresholds("--threshold", threshold or ())
    ends = read_thresholds("--end-threshold", end_threshold or ())
    loaded = loading(weights, labels, streaming)

    def open_engine() -> Engine:
        scorer = open_scorer(
            model,
            gap_seconds=gap,
            runtime=runtime,
            precision=precision,
            device=device,
            num_threads=threads,
            say=say,
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
        output=Output(
            as_json="-" in (json or ()),
            json_files=files,
            rotation={
                "max_bytes": 1e6 * (100 if json_megabytes is None else json_megabytes),
                "max_seconds": 3600 * (24 if json_hours is None else json_hours),
                "keep": 7 if json_keep is None else json_keep,
            },
            events_only=events,
            save=save,
            show=show,
            timeline=timeline,
            top=top,
        ),
        say=say,
        policy=policy,
        connection=Connection(
            open_seconds=open_timeout,
            read_seconds=read_timeout,
            stall_seconds=stall_timeout,
            retries=retries,
            retry_refused=retry_refused,
            transport=transport,
        ),
        realtime=realtime,
        max_frames=max_frames,
        gate=gate,
    )
    raise typer.Exit(code)
