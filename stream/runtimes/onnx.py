"""ONNX Runtime, on a CPU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.export.exported import KEY, Exported
from actionstream.runtimes.pool import PoolRuntime, num_threads_here


@dataclass
class _BoundArrays:
    """Arrays for one batch size; ONNX Runtime reads and writes them in place."""

    pixels: np.ndarray
    state: list[np.ndarray]
    new_state: list[np.ndarray]
    scores: np.ndarray
    binding: Any


class OnnxRuntime(PoolRuntime):
    """Runs an exported .onnx file.

    A slot has two rows of the pool: a step of one stream reads one row and writes the other, without a copy.
    """

    rows_per_slot = 2

    def __init__(self, path: Path, *, num_threads: int | None = None):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads or num_threads_here()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # threads spin within a step, so that it is a third shorter; between steps they sleep
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self._session = open_session(path, options)
        super().__init__(read_exported(path, self._session))
        self._bound: dict[int, _BoundArrays] = {}  # by batch size
        self._single: dict[int, _BoundArrays] = {}  # for one stream, by the row that is read

    def _run(self, pixels: np.ndarray, slots: np.ndarray) -> np.ndarray:
        return self._run_one(pixels, int(slots[0])) if len(slots) == 1 else self._run_several(pixels, slots)

    def _run_one(self, pixels: np.ndarray, slot: int) -> np.ndarray:
        row = int(self._rows[slot])
        if row not in self._single:
            state, new_state = ([leaf[at : at + 1] for leaf in self._pool] for at in (row, row ^ 1))
            self._single[row] = self._bind(state, new_state, 1)
        arrays = self._single[row]
        arrays.pixels[:] = pixels
        self._session.run_with_iobinding(arrays.binding)
        self._rows[slot] = row ^ 1
        return arrays.scores

    def _run_several(self, pixels: np.ndarray, slots: np.ndarray) -> np.ndarray:
        size = len(slots)
        if size not in self._bound:
            state, new_state = ([np.empty((size, *leaf.shape[1:]), np.float32) for leaf in self._pool] for _ in "12")
            self._bound[size] = self._bind(state, new_state, size)
        arrays, rows = self._bound[size], self._rows[slots]
        arrays.pixels[:] = pixels
        for leaf, values in zip(self._pool, arrays.state, strict=True):
            np.take(leaf, rows, axis=0, out=values)
        self._session.run_with_iobinding(arrays.binding)
        for leaf, values in zip(self._pool, arrays.new_state, strict=True):
            leaf[rows] = values
        return arrays.scores

    def _grow(self) -> None:
        super()._grow()
        self._single.clear()  # they are bound to the old pool

    def _bind(self, state: list[np.ndarray], new_state: list[np.ndarray], size: int) -> _BoundArrays:
        wanted = self.card.preprocessing
        pixels = np.zeros((size, 1, wanted.height, wanted.width, wanted.channels), np.uint8)
        scores = np.zeros((size, 1, len(self.card.labels)), np.float32)
        binding = self._session.io_binding()
        names = self._exported.state_names
        for name, array in zip([self._exported.takes, *names], [pixels, *state], strict=True):
            binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
        for name, array in zip(["scores", *(f"new_{name}" for name in names)], [scores, *new_state], strict=True):
            binding.bind_ortvalue_output(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
        return _BoundArrays(pixels, state, new_state, scores, binding)


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
