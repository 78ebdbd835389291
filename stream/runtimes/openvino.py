"""OpenVINO, on a CPU."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import openvino
from openvino.passes import MakeStateful, Manager

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.export.exported import KEY, Exported
from actionstream.runtimes.plans import Plan, num_cores_here, plans_for
from actionstream.runtimes.pool import PoolRuntime, Run
from actionstream.runtimes.runtime import StateArrays

METADATA = ["framework", KEY]
"""The place of an ONNX file's metadata in an OpenVINO model."""
_HINTS = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoRuntime(PoolRuntime):
    """Runs an exported file, .onnx or .xml.

    A run of one stream keeps the state in a request of OpenVINO that belongs to the slot, in the blocked layout of the
    convolutions: then the shift costs nothing. To pass states in and out converts their layouts, a fifth of a step of
    MobileNetV2. Runs of several streams have to do that, and get the states from the pool.

    precision  "float32", or "bfloat16" for the layers that are not quantised; ValueError where the processor lacks it
    """

    software = "openvino"

    def __init__(
        self, path: Path, *, num_threads: int | None = None, precision: Literal["float32", "bfloat16"] = "float32"
    ):
        if path.suffix == ".xml" and path.read_bytes()[:5] != b"<?xml":  # for other files OpenVINO logs many errors
            raise ActionstreamError(f"{path} cannot be read by OpenVINO: it does not begin with <?xml")
        core = _core()
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

        def compile_(model: Any) -> dict[int, Any]:
            """By threads; all at once, because it takes seconds, for which no stream should wait."""
            return {
                threads: core.compile_model(
                    model,
                    "CPU",
                    {
                        "INFERENCE_NUM_THREADS": num_cores,
                        "NUM_STREAMS": num_cores // threads,
                        "INFERENCE_PRECISION_HINT": _HINTS[precision],  # some machines would take bfloat16 unasked
                    },
                )
                for threads in {plan.threads for plan in plans(1)}
            }

        self._several = compile_(model)
        try:
            self._single = compile_(_with_state_inside(model, exported))
        except RuntimeError:  # it cannot compile some int8 models with their state inside
            if exported.precision == "float32":
                raise
            self._single = {}
        self._requests: dict[tuple[int, int], Any] = {}
        """For one stream, by threads and slot."""
        self._inside: dict[int, Any] = {}
        """By slot, the request that has its state; the other states are in the pool."""

    def _open_lane(self, plan: Plan, number: int) -> Run:
        request = self._several[plan.threads].create_infer_request()

        def run(pixels: np.ndarray, slots: np.ndarray) -> np.ndarray:
            if len(slots) == 1 and self._single:
                return self._run_one(plan.threads, pixels, int(slots[0]))
            return self._run_several(request, pixels, slots)

        return run

    def _run_one(self, threads: int, pixels: np.ndarray, slot: int) -> np.ndarray:
        key = threads, slot
        if key not in self._requests:
            self._requests[key] = self._single[threads].create_infer_request()
        request = self._requests[key]
        if self._inside.get(slot) is not request:
            self._take_out(slot)
            for leaf, state in zip(self._pool, self._states(request), strict=True):
                state.state = openvino.Tensor(leaf[slot : slot + 1])
            self._inside[slot] = request
        return request.infer([np.ascontiguousarray(pixels)], share_inputs=True, share_outputs=True)[0]

    def _run_several(self, request: Any, pixels: np.ndarray, slots: np.ndarray) -> np.ndarray:
        for slot in slots.tolist():
            self._take_out(slot)
        inputs = [np.ascontiguousarray(pixels), *(leaf[slots] for leaf in self._pool)]
        scores, *new_state = request.infer(inputs, share_inputs=True, share_outputs=True).values()
        for leaf, values in zip(self._pool, new_state, strict=True):
            leaf[slots] = values
        return scores

    def reset(self, slot: int) -> None:
        self._inside.pop(slot, None)
        super().reset(slot)

    def read(self, slot: int) -> StateArrays:
        self._take_out(slot)
        return super().read(slot)

    def write(self, slot: int, state: StateArrays) -> None:
        self._inside.pop(slot, None)
        super().write(slot, state)

    def _take_out(self, slot: int) -> None:
        """Copy a state that is in a request into the pool, and use it from there."""
        request = self._inside.pop(slot, None)
        if request is not None:
            for leaf, state in zip(self._pool, self._states(request), strict=True):
                leaf[slot] = state.state.data[0]

    def _states(self, request: Any) -> list[Any]:
        """The states in a request, in the order of the pool."""
        by_name = {state.name: state for state in request.query_state()}
        return [by_name[f"{name}new_{name}"] for name in self._exported.state_names]


def _with_state_inside(model: Any, exported: Exported) -> Any:
    """A copy of a model for one stream, whose requests keep the state from one run to the next."""
    single = model.clone()
    single.reshape({port.any_name: openvino.PartialShape([1, *port.partial_shape[1:]]) for port in single.inputs})
    manager = Manager()
    manager.register_pass(MakeStateful({name: f"new_{name}" for name in exported.state_names}))
    manager.run_passes(single)
    return single


@cache
def _core() -> Any:
    """One for the process, never closed: each has put a stack for signals in the place of the last one's, and where
    several are closed in the order of their opening, the next signal finds one that is gone, and the process dies.
    """
    return openvino.Core()
