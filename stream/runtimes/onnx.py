"""ONNX Runtime, on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.export.exported import KEY, Exported
from actionstream.runtimes.plans import Plan, num_cores_here, plans_for
from actionstream.runtimes.pool import PoolRuntime, Run


class OnnxRuntime(PoolRuntime):
    """Runs an exported .onnx file.

    A slot has two rows of the pool: a run of one stream reads one row and writes the other, without a copy.
    """

    software = "onnx"
    rows_per_slot = 2

    def __init__(self, path: Path, *, num_threads: int | None = None):
        self._path = path
        plans = plans_for(num_threads or num_cores_here())
        threads = plans(1)[0].threads
        self._sessions = {(threads, 0): _session(path, threads)}
        super().__init__(read_exported(path, self._sessions[threads, 0]), plans)

    def _open_lane(self, plan: Plan, number: int) -> Run:
        key = plan.threads, 0 if plan.threads == 1 else number
        if key not in self._sessions:
            self._sessions[key] = _session(self._path, plan.threads)
        return _Lane(self._sessions[key], self._exported, self._pool, self._rows)


class _Lane:
    """Runs of one lane; ONNX Runtime reads and writes the arrays in place."""

    def __init__(self, session: Any, exported: Exported, pool: list[np.ndarray], rows: np.ndarray):
        self._session = session
        self._exported = exported
        self._pool = pool
        self._rows = rows
        self._make_room(1)

    def __call__(self, pixels: np.ndarray, slots: np.ndarray) -> np.ndarray:
        size = len(slots)
        if size > len(self._pixels):
            self._make_room(size)
        self._pixels[:size] = pixels
        if size == 1:
            self._run_one(int(slots[0]))
        else:
            self._run_several(slots)
        return self._scores[:size]

    def _run_one(self, slot: int) -> None:
        row = int(self._rows[slot])
        if row not in self._single:
            state, new_state = ([leaf[at : at + 1] for leaf in self._pool] for at in (row, row ^ 1))
            self._single[row] = self._bind(1, state, new_state)
        self._session.run_with_iobinding(self._single[row])
        self._rows[slot] = row ^ 1

    def _run_several(self, slots: np.ndarray) -> None:
        size = len(slots)
        if size not in self._several:
            state, new_state = ([values[:size] for values in each] for each in (self._state, self._new_state))
            self._several[size] = self._bind(size, state, new_state)
        rows = self._rows[slots]
        for leaf, values in zip(self._pool, self._state, strict=True):
            np.take(leaf, rows, axis=0, out=values[:size])
        self._session.run_with_iobinding(self._several[size])
        for leaf, values in zip(self._pool, self._new_state, strict=True):
            leaf[rows] = values[:size]

    def _make_room(self, size: int) -> None:
        """Allocate arrays for runs of up to `size` streams."""
        wanted = self._exported.card.preprocessing
        self._pixels = np.zeros((size, 1, wanted.height, wanted.width, wanted.channels), np.uint8)
        self._scores = np.zeros((size, 1, len(self._exported.card.labels)), np.float32)
        self._state, self._new_state = (
            [np.zeros((size, *shape), np.float32) for shape in self._exported.state] for _ in range(2)
        )
        self._single: dict[int, Any] = {}
        """The bindings for one stream, by the row that is read."""
        self._several: dict[int, Any] = {}
        """The bindings for several streams, by their number."""

    def _bind(self, size: int, state: list[np.ndarray], new_state: list[np.ndarray]) -> Any:
        binding = self._session.io_binding()
        names = self._exported.state_names
        inputs = {self._exported.takes: self._pixels[:size], **dict(zip(names, state, strict=True))}
        outputs = {"scores": self._scores[:size]} | {
            f"new_{name}": array for name, array in zip(names, new_state, strict=True)
        }
        for name, array in inputs.items():
            binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
        for name, array in outputs.items():
            binding.bind_ortvalue_output(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
        return binding


def _session(path: Path, num_threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # threads spin within a step, so that it is a third shorter; between steps they sleep
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return open_session(path, options)


def open_session(path: Path, options: Any = None) -> Any:
    """A session of a file; ValueError when it is not an ONNX file."""
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the extension has many error classes
        raise ActionstreamError(f"{path} cannot be read as an ONNX file: {error}") from error


def read_exported(path: Path, session: Any) -> Exported:
    """The metadata of an exported file; ValueError when another program made the file."""
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    if text is None:
        raise ActionstreamError(f"{path} was not written by actionstream; make one with `actionstream export`")
    return Exported.from_json(text, path)
