"""The time from the start of a command to its first output, in a fresh process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from time import perf_counter
from typing import Any

from actionstream.benchmarks.alternation import Done, Quartiles, alternate, nobody
from actionstream.choices import RuntimeName
from actionstream.models.common.errors import ActionstreamError

HELP_SECONDS, LABEL_SECONDS = 0.5, 4.0
"""The targets."""


def measure_start(model: str, *, runtime: RuntimeName, rounds: int, done: Done = nobody) -> list[dict[str, Any]]:
    """Start fresh processes in turn: empty Python, the help text, and `watch` until its first label."""
    chosen = ["--model", model, "--runtime", runtime]
    watch = ["-m", "actionstream", "watch", "sample", "--json", *chosen, "--max-frames", "1"]
    commands: dict[str, tuple[list[str], Callable[[str], bool], float | None]] = {
        "python alone": (["-c", "print()"], lambda line: True, None),
        "actionstream --help": (["-m", "actionstream", "--help"], lambda line: True, HELP_SECONDS),
        "actionstream watch, to the first label": (watch, _has_labels, LABEL_SECONDS),
    }
    sides = {name: partial(_until, command, wanted) for name, (command, wanted, _) in commands.items()}
    seconds = alternate(sides, rounds=rounds, done=done)
    return [
        {"what": name, "seconds": asdict(Quartiles.of(seconds[name])), "target_seconds": target}
        for name, (_, _, target) in commands.items()
    ]


def _has_labels(line: str) -> bool:
    return "labels" in json.loads(line)


def _until(command: Sequence[str], wanted: Callable[[str], bool]) -> float:
    """Seconds until a Python program prints the first line that `wanted` accepts."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    began = perf_counter()
    with subprocess.Popen(
        [sys.executable, "-P", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if wanted(line):
                seconds = perf_counter() - began
                process.stdout.read()
                return seconds
        why = process.stderr.read().strip().splitlines() or ["it says nothing"]
    raise ActionstreamError(f"{' '.join(command)}: {why[-1]}")
