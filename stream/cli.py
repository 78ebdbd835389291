"""The command line."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack, closing, suppress
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from stream.sinks import Sink

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


class Shift(StrEnum):
    uni = "uni"
    none = "none"


STOPPING = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """A signal asks to end."""

    def __init__(self, number: int):
        self.exit_code = 128 + number


@app.callback()
def _root() -> None:
    pass


@app.command(
    epilog="Exit codes: 0 the source ended, 1 it ended before its time, 2 bad input, 3 a fault of ours, "
    "130 Ctrl-C, 143 SIGTERM."
)
def watch(
    source: Annotated[
        str,
        typer.Argument(
            help="A video file, a folder or glob of images, a camera number such as 0, - for a video on standard "
            "input, or sample, the clip that comes with the package."
        ),
    ],
    model: Annotated[str, typer.Option(help="A packaged checkpoint, or the path of one.")] = "motion",
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line on standard output.")] = False,
    save: Annotated[Path | None, typer.Option(help="Write the video with the labels drawn in, as MP4.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Show it in a window; q ends.")] = False,
    max_frames: Annotated[int | None, typer.Option(min=1, help="Stop after this many frames of the source.")] = None,
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.auto,
    threshold: Annotated[float, typer.Option(help="From this smoothed score on a label is an event, 0 to 1.")] = 0.6,
    top: Annotated[int, typer.Option(min=1, help="How many labels to tell.")] = 5,
    realtime: Annotated[bool, typer.Option("--realtime", help="Play a file at its own speed.")] = False,
    rate: Annotated[float, typer.Option(help="Frames a second of a folder of images.")] = 30.0,
) -> None:
    """Label the frames of SOURCE as they arrive."""
    from stream import sinks as kinds
    from stream.engine import Engine
    from stream.sources import SourceError, open_source
    from stream.watching import Watch

    failure: SourceError | None = None
    with ExitStack() as stack:
        sinks: list[Sink] = []

        def add(sink: Sink) -> None:
            stack.callback(sink.close)
            sinks.append(sink)

        overlay = partial(kinds.Overlay, top=top, threshold=threshold)
        if show:
            add(kinds.Window(source, overlay()))
        engine = Engine(model, device=device.value, threshold=threshold)
        session = Watch(open_source(source, rate=rate), engine, realtime=realtime)
        stack.callback(lambda: _say(*session.source.warnings))
        stack.callback(session.close)
        if save is not None:
            if save.exists() and Path(source).exists() and save.samefile(source):
                raise ValueError(f"{save} is the source itself; write the labelled video to another file")
            add(kinds.VideoFile(save, overlay()))
        if json:
            add(kinds.JsonLines(sys.stdout, top=top))
        else:
            add(kinds.Terminal(top=top, dropped=lambda: session.num_dropped))
        try:
            with closing(iter(session)) as frames:
                for frame, prediction in frames:
                    for sink in sinks:
                        sink.events([] if prediction is None else prediction.events)
                        sink.push(frame, prediction)
                    if session.num_frames == max_frames:
                        break
        except SourceError as error:
            failure = error
        except kinds.SinkClosed:
            pass
        finally:
            _stopping()
            for sink in sinks:
                with suppress(kinds.SinkClosed):
                    sink.events(session.events)
    if failure is not None:
        _say(str(failure))
        raise typer.Exit(1 if session.num_frames else 2)


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
    from stream.training import train_recipe

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
    from stream.training import test_motion

    test_motion(model, num_clips=clips, pictures=pictures, background=background, write=write, as_json=json)


def _stop(number: int, _: Any) -> None:
    """Ctrl-C and SIGTERM end the program through its `finally` clauses; further ones do not cut them short.

    An exception that a signal raises can be lost, where it falls into a finalizer or a callback from C. So it is
    raised again and again until `_stopping` says that it has arrived.
    """

    def again(*_: Any) -> None:
        raise Stopped(number)

    for each in STOPPING:
        signal.signal(each, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, again)
    signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)
    raise Stopped(number)


def _stopping() -> None:
    """The program is on its way out: from here on nothing is interrupted."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def _say(*messages: str) -> None:
    for message in messages:
        print(f"actionstream: {message}", file=sys.stderr)


def main() -> None:
    """Run the command line; every error is one line."""
    before = {number: signal.signal(number, _stop) for number in STOPPING}
    try:
        app()
    except Stopped as stopped:
        _stopping()
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
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
