"""Opens exported files: with the runtime that was measured as the fastest, or with a named one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from actionstream.choices import PrecisionName, RuntimeName
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.extras import extras_named
from actionstream.runtimes.choice import Candidate, Measured, candidates, fastest, remember, remembered
from actionstream.runtimes.measuring import BATCHES, Done, measure
from actionstream.runtimes.pool import PoolRuntime
from actionstream.runtimes.runtime import Runtime

EXPORTED: dict[str, tuple[RuntimeName, ...]] = {
    ".onnx": ("onnx", "openvino"),
    ".xml": ("openvino",),
    ".pt2": ("torch",),
}
"""The runtimes for an exported file, by its suffix; "auto" takes the first that is installed."""
PACKAGES: dict[RuntimeName, str] = {"onnx": "onnxruntime", "openvino": "openvino", "torch": "torch"}


def open_exported(
    path: Path, runtime: RuntimeName, *, device: str, num_threads: int | None, precision: PrecisionName = "float32"
) -> Runtime:
    """The runtime of an exported file, checked with the scores in it."""
    possible = EXPORTED[path.suffix]
    if runtime not in ("auto", *possible):
        raise ActionstreamError(f"{path} is exported; it runs with {' or '.join(possible)}, not with {runtime}")
    if device not in ("auto", "cpu"):
        raise ActionstreamError(
            f"{path} is exported, and runs on the CPU; on {device} run the checkpoint that it was made of"
        )
    if path.suffix != ".onnx" and precision != "float32":
        raise ActionstreamError(f"{path} has a precision of its own; {precision} is for .onnx files")
    if runtime == "auto":
        chosen = _chosen(path, precision, num_threads) if path.suffix == ".onnx" else None
        if chosen is not None:
            return open_candidate(path, chosen, num_threads)
        runtime = next((name for name in possible if find_spec(PACKAGES[name])), possible[0])
    elif precision == "auto":
        raise ActionstreamError(f"the precision auto chooses a runtime, too; leave out {runtime}, or name a precision")
    if precision == "bfloat16" and runtime != "openvino":
        raise ActionstreamError(f"{runtime} has no bfloat16 on a CPU; take openvino")
    return _open_checked(path, runtime, precision, num_threads)


def _chosen(path: Path, precision: PrecisionName, num_threads: int | None) -> Candidate | None:
    """The fastest candidate for a file; of other precisions than float32 it is measured where it is not known."""
    chosen = remembered(path, precision, num_threads=num_threads)
    if chosen is None and precision != "float32":
        rows = choose(path, precision, num_threads=num_threads)
        chosen = fastest(rows, precision)
        if chosen is None:
            reasons = "; ".join(f"{row.candidate}: {row.refused}" for row in rows if row.refused)
            raise ActionstreamError(f"nothing here runs {path} in {precision} ({reasons or 'install openvino'})")
    return chosen


def choose(
    path: Path,
    precision: PrecisionName,
    *,
    num_threads: int | None,
    batches: Sequence[int] = BATCHES,
    done: Done = lambda _: None,
) -> list[Measured]:
    """Measure the candidates for an exported .onnx file, and keep the figures for the next opening."""

    def open_(candidate: Candidate) -> PoolRuntime:
        opened = open_candidate(path, candidate, num_threads)
        if opened.precision != candidate.precision:
            raise ActionstreamError(f"{path} is in {opened.precision} already; run it without a precision")
        return opened

    rows = measure(open_, candidates(precision), batches=batches, done=done)
    remember(path, precision, rows, num_threads=num_threads)
    return rows


def open_candidate(path: Path, candidate: Candidate, num_threads: int | None) -> PoolRuntime:
    """The runtime of a candidate, checked with the scores in the file."""
    return _open_checked(path, candidate.runtime, candidate.precision, num_threads)


def _open_checked(path: Path, runtime: RuntimeName, precision: str, num_threads: int | None) -> PoolRuntime:
    with extras_named():
        file = path
        if precision == "int8":
            from actionstream.runtimes.quantised import make_int8

            file = make_int8(path)
        opened = _READERS[runtime](file, num_threads, precision)
    try:
        opened.check()
    except RuntimeError as error:  # of the check: other scores, or an error of the library that runs the file
        raise ActionstreamError(f"{path} gives other scores here than where it was exported: {error}") from error
    return opened


def _read_onnx(path: Path, num_threads: int | None, precision: str) -> Any:
    from actionstream.runtimes.onnx import OnnxRuntime

    return OnnxRuntime(path, num_threads=num_threads)


def _read_openvino(path: Path, num_threads: int | None, precision: str) -> Any:
    from actionstream.runtimes.openvino import OpenVinoRuntime

    return OpenVinoRuntime(
        path, num_threads=num_threads, precision="bfloat16" if precision == "bfloat16" else "float32"
    )


def _read_torch(path: Path, num_threads: int | None, precision: str) -> Any:
    import torch

    from actionstream.runtimes.functional import FunctionalRuntime

    if num_threads is not None:
        torch.set_num_threads(num_threads)
    return FunctionalRuntime.from_file(path)


_READERS: dict[RuntimeName, Callable[[Path, int | None, str], Any]] = {
    "onnx": _read_onnx,
    "openvino": _read_openvino,
    "torch": _read_torch,
}
