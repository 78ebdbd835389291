"""OpenVINO, on a CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.export.exported import KEY, Exported
from actionstream.runtimes.pool import PoolRuntime, num_threads_here

METADATA = ["framework", KEY]
"""The place of an ONNX file's metadata in an OpenVINO model."""


class OpenVinoRuntime(PoolRuntime):
    """Runs an exported file, .onnx or .xml."""

    def __init__(self, path: Path, *, num_threads: int | None = None):
        if path.suffix == ".xml" and path.read_bytes()[:5] != b"<?xml":  # for other files OpenVINO logs many errors
            raise ActionstreamError(f"{path} cannot be read by OpenVINO: it does not begin with <?xml")
        core = openvino.Core()
        try:
            model = core.read_model(path)
        except RuntimeError as error:  # the only one that OpenVINO raises
            raise ActionstreamError(f"{path} cannot be read by OpenVINO: {error}") from error
        if not model.has_rt_info(METADATA):
            raise ActionstreamError(f"{path} was not written by actionstream; make one with `actionstream export`")
        super().__init__(Exported.from_json(model.get_rt_info(METADATA).astype(str), path))
        settings = {
            "INFERENCE_NUM_THREADS": num_threads or num_threads_here(),
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",  # for layers that are not quantised; some machines would take bfloat16
        }
        self._request = core.compile_model(model, "CPU", settings).create_infer_request()

    def _run(self, pixels: np.ndarray, slots: np.ndarray) -> np.ndarray:
        inputs = [np.ascontiguousarray(pixels), *(leaf[self._rows[slots]] for leaf in self._pool)]
        scores, *new_state = self._request.infer(inputs, share_inputs=True, share_outputs=True).values()
        for leaf, rows in zip(self._pool, new_state, strict=True):
            leaf[self._rows[slots]] = rows
        return scores
