"""OpenVINO, on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import openvino

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.export.exported import KEY, Exported
from actionstream.runtimes.plans import Plan, num_cores_here, plans_for
from actionstream.runtimes.pool import PoolRuntime, Run

METADATA = ["framework", KEY]
"""The place of an ONNX file's metadata in an OpenVINO model."""
_HINTS = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoRuntime(PoolRuntime):
    """Runs an exported file, .onnx or .xml.

    precision  "float32", or "bfloat16" for the layers that are not quantised; ValueError where the processor lacks it
    """

    software = "openvino"

    def __init__(
        self, path: Path, *, num_threads: int | None = None, precision: Literal["float32", "bfloat16"] = "float32"
    ):
        if path.suffix == ".xml" and path.read_bytes()[:5] != b"<?xml":  # for other files OpenVINO logs many errors
            raise ActionstreamError(f"{path} cannot be read by OpenVINO: it does not begin with <?xml")
        core = openvino.Core()
        if precision == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise ActionstreamError("this processor has no bfloat16; take --precision float32 or int8")
        try:
            model = core.read_model(path)
        except RuntimeError as error:  # the only one that OpenVINO raises
            raise ActionstreamError(f"{path} cannot be read by OpenVINO: {error}") from error
        if not model.has_rt_info(METADATA):
            raise ActionstreamError(f"{path} was not written by actionstream; make one with `actionstream export`")
        exported = Exported.from_json(model.get_rt_info(METADATA).astype(str), path)
        num_cores = num_threads or num_cores_here()
        plans = plans_for(num_cores)
        super().__init__(exported, plans)
        if precision == "bfloat16":
            self.precision = precision
        self._compiled = {}
        """By threads; all at once, because it takes seconds, for which no stream should wait."""
        for threads in {plan.threads for plan in plans(1)}:
            settings = {
                "INFERENCE_NUM_THREADS": num_cores,
                "NUM_STREAMS": num_cores // threads,
                "INFERENCE_PRECISION_HINT": _HINTS[precision],  # some machines would take bfloat16 unasked
            }
            self._compiled[threads] = core.compile_model(model, "CPU", settings)

    def _open_lane(self, plan: Plan, number: int) -> Run:
        request, pool, all_rows = self._compiled[plan.threads].create_infer_request(), self._pool, self._rows

        def run(pixels: np.ndarray, slots: np.ndarray) -> np.ndarray:
            rows = all_rows[slots]
            inputs = [np.ascontiguousarray(pixels), *(leaf[rows] for leaf in pool)]
            scores, *new_state = request.infer(inputs, share_inputs=True, share_outputs=True).values()
            for leaf, values in zip(pool, new_state, strict=True):
                leaf[rows] = values
            return scores

        return run
