"""The options of `bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actionstream.cli.messages import say
from actionstream.cli.options import Device, Json, Model, Runtime
from actionstream.models.common.extras import needs

bench = typer.Typer(
    help="Measure the speed on this machine; ratios compare two things that take turns.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Rounds = Annotated[int, typer.Option("--rounds", min=1, help="Number of turns of each.")]
Size = Annotated[
    str | None,
    typer.Option("--size", metavar="WxH", help="Encode the video at this size first (H.264), such as 640x480."),
]
Video = Annotated[str, typer.Argument(metavar="VIDEO", help="A video file, or sample, the clip of the package.")]


@bench.command("latency")
def bench_latency(
    video: Video = "sample",
    size: Size = None,
    rate: Annotated[
        float | None, typer.Option(metavar="FPS", help="Frames a second.", show_default="the rate of the video")
    ] = None,
    frames: Annotated[int, typer.Option(min=20, help="Number of frames, after a warm-up of one second.")] = 600,
    busy: Annotated[
        int, typer.Option(min=0, help="Number of other processes that compute, in every other stretch of frames.")
    ] = 0,
    picture: Annotated[Path | None, typer.Option(help="Draw the latencies into this PNG file.")] = None,
    model: Model = "motion",
    runtime: Runtime = "auto",
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Measure the parts of each frame's latency, from the camera to the line of JSON.

    VIDEO is played as a live stream, and labelled as watch does.
    """
    from actionstream.commands.bench import bench_latency

    bench_latency(
        video,
        size=size,
        rate=rate,
        num_frames=frames,
        num_busy=busy,
        picture=picture,
        model=model,
        runtime=runtime,
        device=device,
        as_json=json,
    )


@bench.command("throughput")
def bench_throughput(
    batch: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Streams in a batch; may be given several times.", show_default="1, 2, 4, 8"),
    ] = None,
    threads: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            help="CPU threads of the network; may be given several times.",
            show_default="1, 2, 4 ... all cores",
        ),
    ] = None,
    rounds: Rounds = 30,
    model: Model = "motion",
    runtime: Runtime = "auto",
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Measure the frames a second that a runtime scores, by batch size and threads."""
    from actionstream.commands.bench import bench_throughput

    bench_throughput(
        batches=batch or (),
        threads=threads or (),
        rounds=rounds,
        model=model,
        runtime=runtime,
        device=device,
        as_json=json,
    )


@bench.command("streams")
def bench_streams(
    rate: Annotated[float, typer.Option(metavar="FPS", help="Frames a second of each stream.")] = 15.0,
    source: Annotated[
        str,
        typer.Option(
            help="A video file that each stream plays, or the address of a live source, rtsp://camera/stream."
        ),
    ] = "sample",
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WxH",
            help="Encode a video file at this size first (H.264).",
            show_default="640x480 for sample, else its own",
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(help="Duration of the test of each number of streams.")] = 10.0,
    most: Annotated[int, typer.Option(min=1, help="The highest number of streams to test.")] = 256,
    model: Model = "motion",
    runtime: Runtime = "auto",
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Find the number of live streams that this machine holds.

    A machine holds them when 99 % of the labels come before the next frame, and no frame is dropped.
    """
    from actionstream.commands.bench import bench_streams

    bench_streams(
        source,
        size=size,
        rate=rate,
        seconds=seconds,
        most=most,
        model=model,
        runtime=runtime,
        device=device,
        as_json=json,
    )


@bench.command("decode")
def bench_decode(
    video: Video = "sample",
    size: Size = None,
    pixels: Annotated[int, typer.Option(min=16, help="Height and width of the network's input, in pixels.")] = 224,
    frames: Annotated[int, typer.Option(min=1, help="Number of frames, from the beginning of the video.")] = 100,
    rounds: Rounds = 10,
    json: Json = False,
) -> None:
    """Compare the video decoders, without and with the preprocessing of a network's input."""
    from actionstream.commands.bench import bench_decode

    bench_decode(video, size=size, num_frames=frames, rounds=rounds, pixels=pixels, as_json=json)


@bench.command("ratios")
def bench_ratios(
    network: Annotated[
        list[str] | None,
        typer.Option(
            help="A network that streams; may be given several times. Figures of a single network use the first one.",
            show_default="tsm_mobilenet_v2, tsm_resnet50",
        ),
    ] = None,
    runtime: Annotated[
        list[str] | None,
        typer.Option(
            help="A runtime to compare with torch: onnx, openvino, 'onnx int8', 'openvino int8' or compile; may be "
            "given several times.",
            show_default="all that are installed, except compile",
        ),
    ] = None,
    pixels: Annotated[int, typer.Option(min=32, help="Height and width of the input, in pixels.")] = 224,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of each runtime.")] = 2,
    rounds: Rounds = 40,
    peer: Annotated[
        Path | None, typer.Option(help="A folder with MoViNet-A0-Stream as a TFLite file, for LiteRT.")
    ] = None,
    json: Json = False,
) -> None:
    """Measure the target figures of the project on a CPU, each as a ratio of two things that take turns."""
    from actionstream.commands.bench import bench_ratios

    bench_ratios(
        networks=network or ("tsm_mobilenet_v2", "tsm_resnet50"),
        runtimes=runtime or (),
        pixels=pixels,
        threads=threads,
        rounds=rounds,
        peer=peer,
        as_json=json,
    )


@bench.command("history")
def bench_history(
    folder: Annotated[Path, typer.Argument(help="The folder of all reports; it has one for each machine.")],
    reports: Annotated[
        list[Path] | None, typer.Argument(help="New reports, as the other commands print with --json.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the figures of all reports over time into this PNG.")
    ] = None,
) -> None:
    """Keep reports by machine, date and version, and draw their figures over time."""
    from actionstream.commands.bench import bench_history

    if picture is not None:
        needs("pictures")
    bench_history(folder, reports or (), picture=picture)


@bench.command("teach")
def bench_teach(
    clips: Annotated[
        Path,
        typer.Argument(metavar="CLIPS.csv", help="A table with a head; path and label are columns of it."),
    ],
    group: Annotated[str, typer.Option(metavar="COLUMN", help="The column that names the recording of a clip.")],
    within: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="A column; each of its values is a data set of its own.")
    ] = None,
    groups: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            help="Number of recordings whose clips are examples; may be given several times.",
            show_default="5",
        ),
    ] = None,
    each: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Examples of a label from each recording, of recordings that have all labels.",
            show_default="all clips of the recordings",
        ),
    ] = None,
    leave_out: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A recording that is not used; may be given several times.")
    ] = None,
    draws: Annotated[int, typer.Option(min=1, help="Number of random draws of the recordings.")] = 20,
    background: Annotated[
        Path | None,
        typer.Option(
            metavar="CLIPS.csv",
            help="A table of clips without action, with the columns of CLIPS.csv: count false starts.",
        ),
    ] = None,
    false_starts: Annotated[
        list[float] | None,
        typer.Option(
            metavar="NUMBER",
            help="A number of false starts an hour for which thresholds are chosen; may be given several times.",
            show_default="60, 120, 240 and 480",
        ),
    ] = None,
    videos: Annotated[
        Path | None,
        typer.Option(
            metavar="TRUTH.json",
            help="Whole videos beside their truth, as of ActivityNet: detect in them, and count no false starts.",
        ),
    ] = None,
    reverse: Annotated[
        bool, typer.Option("--reverse", help="Play each clip backwards, too, as an action of its own.")
    ] = False,
    backbone: Annotated[
        list[str] | None,
        typer.Option(help="A backbone; may be given several times.", show_default="imagenet and motion"),
    ] = None,
    json: Json = False,
) -> None:
    """Measure how well few examples teach: accuracy on clips of other recordings, over random draws of examples."""
    from actionstream.commands.bench import bench_teach
    from actionstream.models.backbones import BACKBONES

    bench_teach(
        clips,
        group=group,
        within=within,
        groups=groups or (5,),
        leave_out=leave_out or (),
        each=each,
        draws=draws,
        background=background,
        false_starts=false_starts or (60, 120, 240, 480),
        videos=videos,
        with_reverse=reverse,
        backbones=backbone or BACKBONES,
        as_json=json,
    )


@bench.command("soak")
def bench_soak(
    frames: Annotated[int, typer.Option(min=30, help="Number of frames.")] = 100_000,
    streams: Annotated[
        int,
        typer.Option(
            min=1, help="Number of live streams; several are of 640 x 480, and lose their connections each half minute."
        ),
    ] = 1,
    serve: Annotated[
        bool,
        typer.Option("--serve", help="Instead: --cameras of `serve`, while its clock goes through a day in --minutes."),
    ] = False,
    minutes: Annotated[float, typer.Option(min=0.1, help="Length of the day in short, with --serve.")] = 60,
    cameras: Annotated[int, typer.Option(min=2, help="Number of cameras, with --serve.")] = 8,
    model: Model = "motion",
    runtime: Runtime = "auto",
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Measure whether memory or latency grow while one stream goes on, or a service for a day."""
    if serve:
        from actionstream.commands.bench_serve import bench_serve_soak

        bench_serve_soak(minutes=minutes, num_cameras=cameras, say=say, as_json=json)
        return
    if streams > 1:
        from actionstream.commands.bench import bench_soak_streams

        bench_soak_streams(
            num_frames=frames, num_streams=streams, model=model, runtime=runtime, device=device, as_json=json
        )
        return
    from actionstream.commands.bench import bench_soak

    bench_soak(num_frames=frames, model=model, runtime=runtime, device=device, as_json=json)


@bench.command("outages")
def bench_outages(
    minutes: Annotated[float, typer.Option(min=0.1, help="Length of the test.")] = 30,
    kills: Annotated[int, typer.Option(min=0, help="How often the service is killed, at random moments.")] = 100,
    away: Annotated[float, typer.Option(min=0.05, help="Minutes without the broker.")] = 10,
    cameras: Annotated[int, typer.Option(min=1, help="Number of cameras.")] = 4,
    json: Json = False,
) -> None:
    """Count what arrives at MQTT and a webhook while `serve` is killed, the broker is away and the receiver fails."""
    from actionstream.commands.bench_serve import bench_outages

    bench_outages(minutes=minutes, num_kills=kills, away_minutes=away, num_cameras=cameras, as_json=json)


@bench.command("clips")
def bench_clips(
    cameras: Annotated[int, typer.Option(min=1, help="Number of cameras.")] = 16,
    seconds: Annotated[float, typer.Option(min=1, help="Length of a turn.")] = 30,
    rounds: Rounds = 3,
    json: Json = False,
) -> None:
    """Measure the processor time that packets in memory and clips of 1280x720 cameras take."""
    from actionstream.commands.bench_serve import bench_clips

    bench_clips(num_cameras=cameras, seconds=seconds, rounds=rounds, as_json=json)


@bench.command("start")
def bench_start(
    rounds: Rounds = 5,
    model: Model = "motion",
    runtime: Runtime = "auto",
    json: Json = False,
) -> None:
    """Measure the time from the start of a command to its first output, and to its first label."""
    from actionstream.commands.bench import bench_start

    bench_start(rounds=rounds, model=model, runtime=runtime, as_json=json)
