"""Reports of benchmarks: their head, their progress, and how they are printed."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from actionstream.benchmarks.alternation import Done, Stage
from actionstream.benchmarks.machine import machine
from actionstream.commands.bench_tables import show_machine
from actionstream.commands.tables import open_console


def described(benchmark: str, **what: Any) -> dict[str, Any]:
    """The head of a report: the machine, and what is measured."""
    return {"benchmark": benchmark, "machine": machine(), **what}


@contextmanager
def stages() -> Iterator[Stage]:
    """A progress bar of the measurement on standard error, where that is a terminal."""
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )

    def stage(what: str) -> Done:
        for task in progress.task_ids:
            progress.remove_task(task)
        task = progress.add_task(what, total=1.0)
        return lambda share: progress.update(task, completed=share)

    with progress:
        yield stage


def print_report(report: dict[str, Any], show: Callable[[Console, dict[str, Any]], None], *, as_json: bool) -> None:
    """Print a report as a table for a person, or as one JSON object."""
    if as_json:
        print(json.dumps(_plain(report), allow_nan=False))
        return
    console = open_console()
    show(console, report)
    show_machine(console, report["machine"])


def _plain(value: Any) -> Any:
    """The same with None for NaN: values that the system does not report."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value
