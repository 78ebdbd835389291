"""OpenVINO, on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.export.exported import KEY, Exported
from actionstream.runtimes.plans import Plan, num_cores_here, plans_for
from actionstream.runtimes.pool import PoolRuntime, Run

METADATA = ["framework", KEY]
"""The place of an ONNX file's metadata in an OpenVINO model."""


class OpenVinoRuntime(PoolRuntime):
    """Runs an exported file, .onnx or .xml."""

    def __init__(self, path: Path, *, num_threads: int | None = None):
        if path.suffix == ".xml" and path.read_bytes()[:5] != b"<?xml":  # for other files OpenVINO logs many errors
            raise ActionstreamError(f"{path} cannot be read by OpenVINO: it does not begin with <?xml")
        self._core = openvino.Core()
        try:
            self._model = self._core.read_model(path)
        except RuntimeError as error:  # the only one that OpenVINO raises
            raise ActionstreamError(f"{path} cannot be read by OpenVINO: {error}") from error
        if not self._model.has_rt_info(METADATA):
            raise ActionstreamError(f"{path} was not written by actionstream; make one with `actionstream export`")
        exported = Exported.from_json(self._model.get_rt_info(METADATA).astype(str), path)
        super().__init__(exported, plans_for(num_threads or num_cores_here()))
        self._compiled: dict[tuple[int, int], Any] = {}  # by threads and lanes

    def _open_lane(self, plan: Plan, number: int) -> Run:
        key = plan.threads, plan.lanes
        if key not in self._compiled:
            settings = {
                "INFERENCE_NUM_THREADS": plan.threads * plan.lanes,
                "NUM_STREAMS": plan.lanes,
                "INFERENCE_PRECISION_HINT": "f32",  # of layers that are not quantised; some machines take bfloat16
            }
            self._compiled[key] = self._core.compile_model(self._model, "CPU", settings)
        request, pool, all_rows = self._compiled[key].create_infer_request(), self._pool, self._rows

        def run(pixels: np.ndarray, slots: np.ndarray) -> np.ndarray:
            rows = all_rows[slots]
            inputs = [np.ascontiguousarray(pixels), *(leaf[rows] for leaf in pool)]
            scores, *new_state = request.infer(inputs, share_inputs=True, share_outputs=True).values()
            for leaf, values in zip(pool, new_state, strict=True):
                leaf[rows] = values
            return scores

        return run
