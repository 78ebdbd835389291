"""The command line."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from stream import signals

app = typer.Typer(
    name="actionstream",
    help="Label what happens in a video, frame by frame, as it comes.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


class Device(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class Policy(StrEnum):
    auto = "auto"
    newest = "newest"
    every = "every"


class Transport(StrEnum):
    tcp = "tcp"
    udp = "udp"


class Shift(StrEnum):
    uni = "uni"
    none = "none"


class TrainedShift(StrEnum):
    uni = "uni"
    bi = "bi"
    none = "none"


class Modality(StrEnum):
    rgb = "rgb"
    rgb_difference = "rgb-difference"
    flow = "flow"
    warped_flow = "warped-flow"


class FlowMethod(StrEnum):
    dis = "dis"
    tvl1 = "tvl1"


class Challenge(StrEnum):
    thumos14 = "thumos14"
    activitynet = "activitynet"


class EvaluationTask(StrEnum):
    detection = "detection"
    classification = "classification"
    proposals = "proposals"


@app.callback()
def _root() -> None:
    pass


@app.command(
    epilog="Exit codes: 0 the sources ended, 1 one ended before its time, 2 bad input, 3 a fault of ours, "
    "130 Ctrl-C, 143 SIGTERM."
)
def watch(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE...",
            help="A video file, a folder or glob of images, an address such as rtsp://camera/stream or "
            "http://host/film.mp4, a camera number such as 0, - for a video on standard input, or sample, the clip "
            "that comes with the package.",
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="A checkpoint by its name (see `models`) or path, a file NAME.toml of several to fuse, or, with "
            "--weights, a network."
        ),
    ] = "motion",
    weights: Annotated[Path | None, typer.Option(help="A file with another project's weights for the network.")] = None,
    labels: Annotated[
        str | None, typer.Option(help="For --weights: a file with a label a line, or a list such as kinetics400.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line on standard output.")] = False,
    save: Annotated[
        Path | None,
        typer.Option(help="Write the video with the labels drawn in, as MP4; a folder where there are several."),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Show it in a window; q ends.")] = False,
    max_frames: Annotated[int | None, typer.Option(min=1, help="Stop after this many frames of a source.")] = None,
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.auto,
    threshold: Annotated[float, typer.Option(help="From this smoothed score on a label is an event, 0 to 1.")] = 0.6,
    top: Annotated[int, typer.Option(min=1, help="How many labels to tell.")] = 5,
    realtime: Annotated[bool, typer.Option("--realtime", help="Play a file at its own speed.")] = False,
    rate: Annotated[float, typer.Option(help="Frames a second of a folder of images.")] = 30.0,
    watch_list: Annotated[
        Path | None,
        typer.Option(help="A file with a source a line (SOURCE or SOURCE as NAME), followed as lines come and go."),
    ] = None,
    policy: Annotated[
        Policy,
        typer.Option(help="newest drops frames that come too fast, every waits; auto: newest for live sources."),
    ] = Policy.auto,
    retries: Annotated[
        int | None,
        typer.Option(min=0, help="How often a live source is tried again; 0: not at all.", show_default="no end"),
    ] = None,
    transport: Annotated[Transport, typer.Option(help="Of RTSP.")] = Transport.tcp,
    open_timeout: Annotated[float, typer.Option(help="Seconds for the first frame of a live source.")] = 10.0,
    read_timeout: Annotated[float, typer.Option(help="Seconds without data from it.")] = 3.0,
    stall_timeout: Annotated[float, typer.Option(help="Seconds without a frame from it.")] = 5.0,
) -> None:
    """Label the frames of each SOURCE as they arrive, all in one batch."""
    from models.labels import read_labels
    from stream.commands.watch import watch_sources
    from stream.connection import Connection
    from stream.engine import Engine
    from stream.runtimes import open_runtime

    if not sources and watch_list is None:
        raise ValueError("nothing to watch: give a SOURCE, such as sample or 0, or --watch-list FILE")

    def open_engine() -> Engine:
        if weights is None and labels is None:
            return Engine(model, device=device.value, threshold=threshold)
        names = None if labels is None else read_labels(labels)
        runtime = open_runtime(model, device=device.value, weights=weights, labels=names)
        return Engine(runtime, threshold=threshold)

    connection = Connection(
        open_seconds=open_timeout,
        read_seconds=read_timeout,
        stall_seconds=stall_timeout,
        retries=retries,
        transport=transport.value,
    )
    code = watch_sources(
        sources or [],
        engine=open_engine,
        watch_list=watch_list,
        rate=rate,
        as_json=json,
        save=save,
        show=show,
        threshold=threshold,
        top=top,
        say=_say,
        policy=policy.value,
        connection=connection,
        realtime=realtime,
        max_frames=max_frames,
    )
    raise typer.Exit(code)


@app.command()
def sources() -> None:
    """List the cameras that are attached here."""
    from stream.sources.camera import attached_cameras

    cameras = attached_cameras()
    for number, what in cameras:
        print(f"{number}\t{what}")
    if not cameras:
        _say("no camera is attached here; a source can also be a file, an address such as rtsp://camera/stream, or -")


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="One of the table, in detail.")] = None,
) -> None:
    """The networks of the catalogue with what each costs, and the checkpoints that `watch --model` takes by name.

    Input is frames x height x width, state what a live stream keeps; those that do not stream run in a window. A
    published checkpoint is downloaded when it is first used.
    """
    from stream.commands.models import print_network, print_table

    if name is None:
        print_table()
    else:
        print_network(name)


@app.command()
def convert(
    file: Annotated[Path, typer.Argument(help="Another project's weights: safetensors, or what torch.save wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The checkpoint to write.")],
    project: Annotated[
        str, typer.Option("--from", help="Whose: a project such as tsm, mmaction2 or torchvision.")
    ] = "auto",
    network: Annotated[
        str | None, typer.Option("--model", help="The network of `models`, where several have the same weights.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="A file with a label a line, or a list such as kinetics400.")
    ] = None,
    modality: Annotated[Modality | None, typer.Option(help="What goes in, if the channels do not tell.")] = None,
    flow_method: Annotated[
        FlowMethod, typer.Option(help="For flow; tvl1 needs opencv-contrib-python.")
    ] = FlowMethod.dis,
    trained_shift: Annotated[
        TrainedShift | None, typer.Option(help="How it was trained, if that is not what its project does.")
    ] = None,
) -> None:
    """Make a checkpoint of another project's weights, for `watch --model`; nothing in them is executed."""
    from stream.commands.convert import convert_file

    convert_file(
        file,
        output,
        network=network,
        project=project,
        labels=labels,
        modality=modality and modality.value,
        flow_method=flow_method.value,
        trained_shift=trained_shift and trained_shift.value,
    )


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe of the repository: motion.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The checkpoint to write.")],
    shift: Annotated[
        Shift, typer.Option(help="uni streams with a memory; none is the same network without.")
    ] = Shift.uni,
    steps: Annotated[int, typer.Option(min=1, help="Training steps, of 160 frames each.")] = 3600,
    seed: Annotated[int, typer.Option(help="All randomness comes from it.")] = 0,
    device: Annotated[Device, typer.Option(help="Where the network is trained.")] = Device.auto,
    workers: Annotated[int, typer.Option(min=0, help="Processes that render clips.")] = 1,
) -> None:
    """Train a checkpoint that `actionstream watch --model` runs; the last state is kept as it goes."""
    from stream.commands.train import train_recipe

    train_recipe(recipe, output, shift=shift.value, num_steps=steps, seed=seed, device=device.value, workers=workers)


@app.command()
def test(
    model: Annotated[str, typer.Argument(help="motion, or a checkpoint that `train motion` wrote.")] = "motion",
    clips: Annotated[int, typer.Option(min=10, help="Clips in each set.")] = 1000,
    pictures: Annotated[Path | None, typer.Option(help="Folder of videos to take real pictures from.")] = None,
    background: Annotated[
        Path | None, typer.Option(help="Folder of videos in which nothing happens, for false starts.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Keep the figures in the checkpoint.")] = False,
    json: Annotated[bool, typer.Option("--json", help="The figures as JSON.")] = False,
) -> None:
    """Measure how well a `motion` checkpoint tells movements, on clips it has not seen."""
    from stream.commands.train import test_motion

    test_motion(model, num_clips=clips, pictures=pictures, background=background, write=write, as_json=json)


@app.command()
def evaluate(
    challenge: Annotated[Challenge, typer.Argument(help="Whose rules count.")],
    results: Annotated[
        Path,
        typer.Option(
            help="What was found: ActivityNet's JSON, THUMOS14's text, or a table (CSV) with video, start_seconds, "
            "end_seconds, label, score; with gzip too."
        ),
    ],
    truth: Annotated[
        Path, typer.Option(help="ActivityNet's JSON, or for THUMOS14 the folder with its annotations, too.")
    ],
    task: Annotated[EvaluationTask, typer.Option(help="What was to be found.")] = EvaluationTask.detection,
    subset: Annotated[
        str | None, typer.Option(help="Of the truth.", show_default="test of THUMOS14, validation of ActivityNet")
    ] = None,
    iou: Annotated[
        list[float] | None,
        typer.Option(help="A threshold; may be given several times.", show_default="those of the challenge"),
    ] = None,
    blocked: Annotated[
        str | None,
        typer.Option(help="A file with videos to leave out, or mislabelled: three test videos of THUMOS14."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The figures as JSON, with those of each class.")] = False,
) -> None:
    """Measure a file with results exactly as the evaluator of a challenge does."""
    from stream.commands.evaluate import evaluate_results

    evaluate_results(
        challenge.value,
        results=results,
        truth=truth,
        task=task.value,
        subset=subset,
        iou_thresholds=iou or (),
        blocked=blocked,
        as_json=json,
    )


def _say(message: str) -> None:
    print(f"actionstream: {message}", file=sys.stderr)


def main() -> None:
    """Run the command line; every error is one line."""
    try:
        with signals.raised():
            app()
    except signals.Stopped as stopped:
        sys.exit(stopped.exit_code)
    except (ValueError, OSError, ArithmeticError) as error:
        _say(" ".join(str(error).split()))
        sys.exit(2)
    except Exception as error:
        if os.environ.get("ACTIONSTREAM_TRACEBACK"):
            raise
        what = " ".join(f"{type(error).__name__}: {error}".split())
        _say(f"a fault in actionstream, please report it: {what} (ACTIONSTREAM_TRACEBACK=1 shows where)")
        sys.exit(3)
