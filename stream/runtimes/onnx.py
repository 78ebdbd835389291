"""ONNX Runtime, on a CPU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from models.exported import KEY, Exported
from stream.runtimes.pool import PoolRuntime, num_threads_here


@dataclass
class _Lane:
    """Arrays for one batch size, which ONNX Runtime reads and writes where they are."""

    pixels: np.ndarray
    state: list[np.ndarray]
    new_state: list[np.ndarray]
    scores: np.ndarray
    binding: Any


class OnnxRuntime(PoolRuntime):
    """Runs an exported .onnx file."""

    def __init__(self, path: Path, *, num_threads: int | None = None):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads or num_threads_here()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # within a step threads wait for each other busily, which makes it a third shorter; between steps they sleep
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self._session = open_session(path, options)
        super().__init__(read_exported(path, self._session))
        self._lanes: dict[int, _Lane] = {}

    def _run(self, pixels: np.ndarray, slots: np.ndarray) -> np.ndarray:
        lane = self._lane(len(pixels))
        lane.pixels[:] = pixels
        for leaf, rows in zip(self._pool, lane.state, strict=True):
            np.take(leaf, slots, axis=0, out=rows)
        self._session.run_with_iobinding(lane.binding)
        for leaf, rows in zip(self._pool, lane.new_state, strict=True):
            leaf[slots] = rows
        return lane.scores

    def _lane(self, size: int) -> _Lane:
        if size not in self._lanes:
            self._lanes[size] = self._make_lane(size)
        return self._lanes[size]

    def _make_lane(self, size: int) -> _Lane:
        wanted = self.card.preprocessing
        pixels = np.zeros((size, 1, wanted.height, wanted.width, wanted.channels), np.uint8)
        state = [np.zeros((size, *leaf.shape[1:]), np.float32) for leaf in self._pool]
        new_state = [np.zeros_like(rows) for rows in state]
        scores = np.zeros((size, 1, len(self.card.labels)), np.float32)
        binding = self._session.io_binding()
        names = self._exported.state_names
        for name, array in zip([self._exported.takes, *names], [pixels, *state], strict=True):
            binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
        for name, array in zip(["scores", *(f"new_{name}" for name in names)], [scores, *new_state], strict=True):
            binding.bind_ortvalue_output(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
        return _Lane(pixels, state, new_state, scores, binding)


def open_session(path: Path, options: Any = None) -> Any:
    """A session of a file; ValueError when it is not an ONNX file."""
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of the extension, which has a class of its own for each
        raise ValueError(f"{path} cannot be read as an ONNX file: {error}") from error


def read_exported(path: Path, session: Any) -> Exported:
    """What an exported file says of itself; ValueError when it is another's."""
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    if text is None:
        raise ValueError(f"{path} is an ONNX file, but none of actionstream: make it with `actionstream export`")
    return Exported.from_json(text)
