"""The command line of `bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actionstream.cli.choices import Device, RuntimeName

bench = typer.Typer(
    help="How fast it is on this machine; ratios are of two things that took turns.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Model = Annotated[str, typer.Option("--model", help="A checkpoint or a run, as in watch.")]
Runtime = Annotated[RuntimeName, typer.Option("--runtime", help="What runs the network.")]
Where = Annotated[Device, typer.Option("--device", help="Where the network runs.")]
Json = Annotated[bool, typer.Option("--json", help="All figures as one JSON object.")]
Rounds = Annotated[int, typer.Option("--rounds", min=1, help="How often each takes its turn.")]
Size = Annotated[
    str | None, typer.Option("--size", metavar="WxH", help="Encode it anew first (H.264), such as 640x480.")
]
Film = Annotated[str, typer.Argument(metavar="SOURCE", help="A video file, or sample.")]


@bench.command("latency")
def bench_latency(
    source: Film = "sample",
    size: Size = None,
    rate: Annotated[float | None, typer.Option(help="Frames a second.", show_default="the file's own")] = None,
    frames: Annotated[int, typer.Option(min=20, help="How many, after a first second.")] = 600,
    busy: Annotated[int, typer.Option(min=0, help="Other processes that compute in every second stretch.")] = 0,
    picture: Annotated[Path | None, typer.Option(help="A PNG to draw it in.")] = None,
    model: Model = "motion",
    runtime: Runtime = RuntimeName.auto,
    device: Where = Device.auto,
    json: Json = False,
) -> None:
    """Where the time of each frame goes, from when a camera sends it to its line of JSON.

    SOURCE is played as a live stream, and labelled as watch does.
    """
    from actionstream.commands.bench import bench_latency

    bench_latency(
        source,
        size=size,
        rate=rate,
        num_frames=frames,
        num_busy=busy,
        picture=picture,
        model=model,
        runtime=runtime.value,
        device=device.value,
        as_json=json,
    )


@bench.command("throughput")
def bench_throughput(
    batch: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Streams in a step; may be given several times.", show_default="1, 2, 4, 8"),
    ] = None,
    threads: Annotated[
        list[int] | None, typer.Option(min=1, help="May be given several times.", show_default="1, 2, 4 ... all cores")
    ] = None,
    rounds: Rounds = 30,
    model: Model = "motion",
    runtime: Runtime = RuntimeName.auto,
    device: Where = Device.auto,
    json: Json = False,
) -> None:
    """Frames a second that a runtime scores, by streams in a batch and by threads."""
    from actionstream.commands.bench import bench_throughput

    bench_throughput(
        batches=batch or (),
        threads=threads or (),
        rounds=rounds,
        model=model,
        runtime=runtime.value,
        device=device.value,
        as_json=json,
    )


@bench.command("streams")
def bench_streams(
    rate: Annotated[float, typer.Option(help="Frames a second of each stream.")] = 15.0,
    source: Annotated[
        str,
        typer.Option(help="A video file that each plays, or the address of a live source, rtsp://camera/stream."),
    ] = "sample",
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WxH", help="Encode a file anew first (H.264).", show_default="640x480 for sample, else as it is"
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(help="That each number of streams is tried.")] = 10.0,
    most: Annotated[int, typer.Option(min=1, help="Do not try more.")] = 256,
    model: Model = "motion",
    runtime: Runtime = RuntimeName.auto,
    device: Where = Device.auto,
    json: Json = False,
) -> None:
    """How many live streams this machine holds: 99 % of the labels come before the next frame, and none is dropped."""
    from actionstream.commands.bench import bench_streams

    bench_streams(
        source,
        size=size,
        rate=rate,
        seconds=seconds,
        most=most,
        model=model,
        runtime=runtime.value,
        device=device.value,
        as_json=json,
    )


@bench.command("decode")
def bench_decode(
    source: Film = "sample",
    size: Size = None,
    pixels: Annotated[int, typer.Option(min=16, help="Height and width of a network's input.")] = 224,
    frames: Annotated[int, typer.Option(min=1, help="How many of its first ones.")] = 100,
    rounds: Rounds = 10,
    json: Json = False,
) -> None:
    """The decoders beside each other, without and with what makes the input of a network."""
    from actionstream.commands.bench import bench_decode

    bench_decode(source, size=size, num_frames=frames, rounds=rounds, pixels=pixels, as_json=json)


@bench.command("ratios")
def bench_ratios(
    network: Annotated[
        list[str] | None,
        typer.Option(
            help="An online one; may be given several times. What is of one network is of the first.",
            show_default="tsm_mobilenet_v2, tsm_resnet50",
        ),
    ] = None,
    runtime: Annotated[
        list[str] | None,
        typer.Option(
            help="Beside torch; may be given several times: onnx, openvino, 'onnx int8', 'openvino int8', compile.",
            show_default="those installed, but for compile",
        ),
    ] = None,
    pixels: Annotated[int, typer.Option(min=32, help="Height and width of the input.")] = 224,
    threads: Annotated[int, typer.Option(min=1, help="Of each runtime.")] = 2,
    rounds: Rounds = 40,
    peer: Annotated[
        Path | None, typer.Option(help="A folder with MoViNet-A0-Stream as a TFLite file, which LiteRT runs.")
    ] = None,
    json: Json = False,
) -> None:
    """The figures that this project aims at, on a CPU, each as two things that take turns."""
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


@bench.command("soak")
def bench_soak(
    frames: Annotated[int, typer.Option(min=30, help="How many.")] = 100_000,
    model: Model = "motion",
    runtime: Runtime = RuntimeName.auto,
    device: Where = Device.auto,
    json: Json = False,
) -> None:
    """Whether memory or latency grow while one stream goes on."""
    from actionstream.commands.bench import bench_soak

    bench_soak(num_frames=frames, model=model, runtime=runtime.value, device=device.value, as_json=json)


@bench.command("start")
def bench_start(
    rounds: Rounds = 5,
    model: Model = "motion",
    runtime: Runtime = RuntimeName.auto,
    json: Json = False,
) -> None:
    """How long a command takes to its first words, and to its first label."""
    from actionstream.commands.bench import bench_start

    bench_start(rounds=rounds, model=model, runtime=runtime.value, as_json=json)
