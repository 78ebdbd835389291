"""A runtime that is replaced by a faster one, which is made in the background."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict
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

    make   makes the file for `open_`; called in a thread, PATIENCE_SECONDS after the first step
    open_  opens the better runtime; called after `make`, in the same thread

    If one of them fails, `now` stays, with a RuntimeWarning.
    """

    def __init__(self, now: Runtime, make: Callable[[], None], open_: Callable[[], Runtime]):
        self.card = now.card
        self.chunk = now.chunk
        self._now = now
        self._slots: dict[int, int] = {}  # from slots of this runtime to slots of `_now`
        self._make = make
        self._open = open_
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
        elif self._maker.ident is None and monotonic() - self._began > PATIENCE_SECONDS:
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

    def _prepare(self) -> None:
        try:
            self._make()
            self._better = self._open()
        except Exception as error:  # noqa: BLE001  labels go on; a fault is told as one
            warnings.warn(f"there will be no faster runtime: {in_a_line(error)}", RuntimeWarning, stacklevel=2)


def export_apart(model: Located, loading: dict[str, Any]) -> None:
    """Export a model in a process of its own with low priority; ValueError when that fails."""
    arguments = json.dumps([asdict(model), loading], default=os.fspath)
    command = [sys.executable, "-m", "actionstream.models.export.cache", arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ActionstreamError(f"{model} could not be exported: {(done.stderr.strip() or '?').splitlines()[-1]}")
