"""A runtime that is replaced by a faster one, which is made in the background."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any

import numpy as np

from actionstream.models.common.errors import ActionstreamError, in_a_line
from actionstream.models.locate import Located
from actionstream.runtimes.runtime import Runtime, StateArrays

PATIENCE_SECONDS = 10.0
"""Time of labelling before the export starts: it does not pay for shorter runs."""


class Meanwhile:
    """Runs `now`, and changes to the better runtime at the first step after that is ready; the states are copied.

    make   makes what `open_` needs; called in a thread, PATIENCE_SECONDS after the first step, with the numbers
           of streams of the steps until then, the most frequent first
    open_  opens the better runtime; called after `make`, in the same thread. None where there is no better one

    If one of them fails, `now` stays, with a RuntimeWarning.
    """

    def __init__(self, now: Runtime, make: Callable[[list[int]], None], open_: Callable[[], Runtime | None]):
        self.card = now.card
        self.software, self.precision = now.software, now.precision
        self.chunk = now.chunk
        self._now = now
        self._slots: dict[int, int] = {}  # from slots of this runtime to slots of `_now`
        self._make = make
        self._open = open_
        self._batches: Counter[int] = Counter()
        self._began: float | None = None
        self._maker = Thread(target=self._prepare, daemon=True)
        self._better: Runtime | None = None

    def allocate(self) -> int:
        slot = next(number for number in range(len(self._slots) + 1) if number not in self._slots)
        self._slots[slot] = self._now.allocate()
        return slot

    def free(self, slot: int) -> None:
        self._now.free(self._slots.pop(slot))

    def step(self, snippets: np.ndarray, slots: np.ndarray) -> np.ndarray:
        if self._began is None:
            self._began = monotonic()
        if self._maker.ident is None:
            self._batches[len(slots)] += 1
            if self._batches.total() > 1 and monotonic() - self._began > PATIENCE_SECONDS:
                self._maker.start()
        if self._better is not None:
            self._change(self._better)
        return self._now.step(snippets, np.array([self._slots[slot] for slot in slots.tolist()]))

    def reset(self, slot: int) -> None:
        self._now.reset(self._slots[slot])

    def read(self, slot: int) -> StateArrays:
        return self._now.read(self._slots[slot])

    def write(self, slot: int, state: StateArrays) -> None:
        self._now.write(self._slots[slot], state)

    def _change(self, better: Runtime) -> None:
        for slot, old in self._slots.items():
            self._slots[slot] = better.allocate()
            better.write(self._slots[slot], self._now.read(old))
        self._now, self._better = better, None
        self.software, self.precision = better.software, better.precision

    def _prepare(self) -> None:
        try:
            self._make([size for size, _ in self._batches.most_common()])
            self._better = self._open()
        except Exception as error:  # noqa: BLE001  labels go on; a fault is told as one
            warnings.warn(f"there will be no faster runtime: {in_a_line(error)}", RuntimeWarning, stacklevel=2)


def export_apart(model: Located, loading: dict[str, Any]) -> None:
    """Export a model in a process of its own with low priority; ValueError when that fails."""
    _run_apart("actionstream.models.export.cache", [asdict(model), loading], f"{model} could not be exported")


def choose_apart(path: Path, batches: Sequence[int], num_threads: int | None) -> None:
    """Measure the runtimes of an exported file in a process of its own with low priority; ValueError when that fails.

    batches  the numbers of streams of steps, the most frequent first
    """
    _run_apart(
        "actionstream.runtimes.choosing",
        [path, list(batches), num_threads],
        f"the runtimes of {path} could not be measured",
    )


def _run_apart(module: str, arguments: list[Any], failure: str) -> None:
    command = [sys.executable, "-m", module, json.dumps(arguments, default=os.fspath)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ActionstreamError(f"{failure}: {(done.stderr.strip() or '?').splitlines()[-1]}")
