"""The command line: its commands, and the handling of errors and signals."""

from __future__ import annotations

import io
import os
import sys
import traceback
import warnings
from typing import Annotated

import typer

from actionstream.cli import label, teach, watch
from actionstream.cli.bench import bench
from actionstream.cli.convert import convert
from actionstream.cli.demo import demo
from actionstream.cli.evaluate import evaluate
from actionstream.cli.export import export
from actionstream.cli.features import features
from actionstream.cli.frames import frames
from actionstream.cli.messages import say
from actionstream.cli.models import models
from actionstream.cli.record import record
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
app.command(epilog=watch.EXIT_CODES)(watch.watch)
app.command(epilog=label.EXIT_CODES)(label.label)
app.command(epilog=teach.EXIT_CODES, cls=teach.TeachCommand)(teach.teach)
for command in (demo, sources, record, frames, features, models, convert, train, export, test, evaluate):
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
    warnings.formatwarning = lambda message, *_: f"actionstream: {_in_a_line(message)}\n"
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


def _tell(error: Exception) -> int:
    """Print an error in one line; returns the exit code, 2 for a mistake of the user, 3 for a fault of ours."""
    from actionstream.models.common.errors import is_mistake, where

    if os.environ.get("ACTIONSTREAM_TRACEBACK"):
        traceback.print_exception(error)
    if is_mistake(error):
        say(_in_a_line(error))
        return 2
    place = f" in {where(error)}" if where(error) else ""
    what = _in_a_line(f"{type(error).__name__}: {error}")
    say(f"a fault in actionstream{place}, please report it: {what} (ACTIONSTREAM_TRACEBACK=1 shows the traceback)")
    return 3


def _in_a_line(message: object) -> str:
    return " ".join(str(message).split())
