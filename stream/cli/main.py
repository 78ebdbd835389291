"""The command line: its commands, and the handling of errors and signals."""

from __future__ import annotations

import io
import os
import sys
import traceback
import warnings
from typing import Annotated

import typer

from actionstream.cli import fleet, label, serve, teach, watch
from actionstream.cli.annotate import annotate
from actionstream.cli.bench import bench
from actionstream.cli.cluster import RayCommand
from actionstream.cli.convert import convert
from actionstream.cli.demo import demo
from actionstream.cli.evaluate import evaluate
from actionstream.cli.export import export
from actionstream.cli.features import features
from actionstream.cli.frames import frames
from actionstream.cli.messages import say
from actionstream.cli.models import models
from actionstream.cli.record import record
from actionstream.cli.runtimes import runtimes
from actionstream.cli.sources import sources
from actionstream.cli.test import test
from actionstream.cli.train import train
from actionstream.commands import signals
from actionstream.models.common.extras import extras_named

app = typer.Typer(
    name="actionstream",
    help="Label what happens in a video, frame by frame, as the frames arrive.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command(epilog=watch.EXIT_CODES, cls=watch.WatchCommand)(watch.watch)
app.command(epilog=serve.EXIT_CODES)(serve.serve)
app.command(epilog=fleet.EXIT_CODES, cls=RayCommand)(fleet.fleet)
app.command(epilog=label.EXIT_CODES, cls=RayCommand)(label.label)
app.command(cls=RayCommand)(features)
app.command(cls=RayCommand)(evaluate)
app.command(epilog=teach.EXIT_CODES, cls=teach.TeachCommand)(teach.teach)
for command in (
    demo,
    annotate,
    sources,
    record,
    frames,
    models,
    runtimes,
    convert,
    train,
    export,
    test,
):
    app.command()(command)
app.add_typer(bench, name="bench")


def _print_version(wanted: bool) -> None:
    if wanted:
        from actionstream import __version__

        print(f"actionstream {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; every error and every warning is one line."""
    warnings.formatwarning = lambda message, *_: f"actionstream: {' '.join(str(message).split())}\n"
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name may have letters that the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    try:
        with signals.raised(), extras_named():
            app(prog_name="actionstream")
    except signals.Stopped as stopped:
        signals.arrived()
        sys.exit(stopped.exit_code)
    except Exception as error:  # noqa: BLE001  each error is printed, and gives an exit code
        sys.exit(_tell(error))


def _open_closed_streams() -> None:
    """Let standard output and error that are closed lead to nowhere; stdin stays None, and `watch -` says so.

    Else the next file that is opened, such as a video, would get their numbers, and what a library prints.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  open as long as the process
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _tell(error: Exception) -> int:
    """Print an error in one line; returns the exit code, 2 for what the user can correct, 3 for a fault of ours."""
    from actionstream.models.common.errors import in_a_line, is_mistake, is_out_of_memory

    if os.environ.get("ACTIONSTREAM_TRACEBACK"):
        traceback.print_exception(error)
    if is_mistake(error) or is_out_of_memory(error):
        say(in_a_line(error))
        return 2
    say(f"{in_a_line(error)} (ACTIONSTREAM_TRACEBACK=1 shows the traceback)")
    return 3
