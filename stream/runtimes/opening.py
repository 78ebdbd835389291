"""Opens the runtime of a model: the named one, or the fastest that is available."""

from __future__ import annotations

import ctypes
import os
import sys
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

from actionstream.choices import PrecisionName, RuntimeName
from actionstream.models.common.errors import ActionstreamError, is_out_of_memory
from actionstream.models.common.extras import extras_named, needs
from actionstream.models.export.cache import find_export, make_export
from actionstream.models.locate import CHECKPOINTS, Located, Model, locate
from actionstream.models.weights.loading import load
from actionstream.runtimes.choice import BASIS, candidates, remembered
from actionstream.runtimes.exported_file import open_candidate, open_exported
from actionstream.runtimes.runtime import Runtime


def open_runtime(
    model: Model,
    *,
    runtime: RuntimeName = "auto",
    precision: PrecisionName = "float32",
    device: str = "auto",
    num_threads: int | None = None,
    export_meanwhile: bool = False,
    weights: str | os.PathLike[str] | None = None,
    say: Callable[[str], None] = lambda _: None,
    **loading: Any,
) -> Runtime:
    """Open the runtime of a model.

    model             a model for models.load, with its other arguments in `weights` and `loading`; or an exported file
    runtime           "torch": plain torch, the reference; "compile": torch.compile; "graphs": CUDA graphs; "onnx" and
                      "openvino": ONNX Runtime and OpenVINO, which export the model first unless that is done; "auto":
                      the fastest one available, "graphs" on CUDA, and on a CPU, if the model has been exported, the one
                      that was measured as the fastest on this machine, else "onnx"
    precision         of "onnx", "openvino" and "auto" on a CPU: "float32"; "bfloat16", where OpenVINO and the processor
                      have it; "int8", calibrated on the sample of the package; "auto": the fastest of all. Other
                      precisions than float32 export and measure the model first, unless that is done
    device            "auto" (CUDA, Apple's MPS, else the CPU), "cpu", "cuda" or "mps"
    num_threads       most threads of a step on a CPU; default: as many as there are cores
    export_meanwhile  where "auto" finds no export, or nothing is measured: export and measure in the background, and
                      change to the fastest runtime when it is ready
    say               is told the runtime and the precision where `precision` is not float32

    Each runtime except the reference is compared with the reference on a few pictures. ValueError for a runtime that
    is not available or gives other scores; "auto" then takes the next one, with a RuntimeWarning.
    """
    for name, names, what in ((runtime, RuntimeName, "runtime"), (precision, PrecisionName, "precision")):
        if name not in get_args(names):
            raise ActionstreamError(f"no {what} {name!r}; there are {', '.join(get_args(names))}")
    if num_threads is not None and num_threads < 1:
        raise ActionstreamError(f"{num_threads} threads; 1 or more")
    if precision != "float32" and (runtime not in ("auto", "onnx", "openvino") or device not in ("auto", "cpu")):
        raise ActionstreamError(
            f"the precision {precision} is for auto, onnx and openvino on the CPU, not for {runtime} on {device}"
        )
    found = locate(model, weights=weights)
    if found.kind == "exported":
        if loading:
            raise ActionstreamError(
                f"{found} is exported, and keeps its labels, weights and streaming; leave {' and '.join(loading)} out"
            )
        path = found.file("exported")
        opened = open_exported(path, runtime, device=device, num_threads=num_threads, precision=precision)
        if export_meanwhile and runtime == "auto" and precision == "float32":
            opened = _measured_meanwhile(opened, path, num_threads)
    else:
        found.file(*CHECKPOINTS, "published", "network", "exported")
        if runtime == "auto" and precision == "float32":
            return open_fastest(
                found, device=device, num_threads=num_threads, export_meanwhile=export_meanwhile, **loading
            )
        opened = open_named(found, runtime, device=device, num_threads=num_threads, precision=precision, **loading)
    if precision != "float32":
        say(f"{found} runs with {opened.software} in {opened.precision}")
    return opened


def open_named(
    model: Located,
    runtime: RuntimeName,
    *,
    device: str,
    num_threads: int | None,
    precision: PrecisionName = "float32",
    **loading: Any,
) -> Runtime:
    """The runtime of a name; each one except the reference is checked. "auto" is the fastest for an exported file."""
    if runtime in ("auto", "onnx", "openvino"):
        if runtime == "openvino" or precision == "bfloat16":
            needs("openvino")  # before minutes of exporting
        path = make_export(model, **loading)
        return open_exported(path, runtime, device=device, num_threads=num_threads, precision=precision)
    with extras_named(instead=f"export {model} where torch is, and run the file"):
        from actionstream.runtimes.eager import TorchRuntime, choose_device

    where = choose_device(device).type
    wanted = {"graphs": "cuda", "compile": "cpu"}.get(runtime, where)
    if where != wanted:
        raise ActionstreamError(f"the runtime {runtime} is for {wanted}, and this is {where}")
    if num_threads is not None:
        import torch

        torch.set_num_threads(num_threads)
    network, card = load(model, **loading)
    if runtime == "torch":
        return TorchRuntime(network, card, device=device)
    if not network.streams:
        raise ActionstreamError(f"{model} needs whole clips; live it runs in a window, with the runtime torch")
    try:
        if runtime == "graphs":
            from actionstream.runtimes.graphs import GraphRuntime

            return GraphRuntime.open(network, card, device=device)
        from actionstream.runtimes.functional import FunctionalRuntime

        compiled = FunctionalRuntime.compile(network, card)
        compiled.check()
        return compiled
    except RuntimeError as error:  # torch, Triton and CUDA raise it for what a machine lacks; its check does, too
        raise ActionstreamError(f"the runtime {runtime} cannot be used here: {error}") from error


def open_fastest(
    model: Located, *, device: str, num_threads: int | None, export_meanwhile: bool, **loading: Any
) -> Runtime:
    """The fastest runtime that is available, for "auto"."""

    def open_(name: RuntimeName) -> Runtime:
        return open_named(model, name, device=device, num_threads=num_threads, **loading)

    has_onnx = find_spec("onnxruntime") is not None
    if device not in ("auto", "cpu") or (device == "auto" and _may_have_accelerator()):
        if find_spec("torch") is None:
            return open_("torch")  # raises an error that names torch
        from actionstream.kernels.cuda import has_cupy
        from actionstream.runtimes.eager import choose_device

        where = choose_device(device).type
        if where == "cuda" and has_cupy():
            return _first(open_, ["graphs", "torch"])
        if where != "cpu":
            return open_("torch")
    path = find_export(model, **loading) if has_onnx else None
    if path is not None:
        runtime = _first(open_, ["auto", "onnx", "torch"])
        return _measured_meanwhile(runtime, path, num_threads) if export_meanwhile else runtime
    runtime = open_("torch")
    if export_meanwhile and has_onnx and runtime.card.num_frames == 1:  # it streams by itself
        from actionstream.runtimes.meanwhile import Meanwhile, choose_apart, export_apart

        def make(batches: list[int]) -> None:
            export_apart(model, loading)
            exported = find_export(model, **loading)
            if exported is not None and _is_choice(exported, num_threads):
                choose_apart(exported, batches, num_threads)

        return Meanwhile(runtime, make, lambda: _first(open_, ["auto", "onnx"]))
    return runtime


def _measured_meanwhile(runtime: Runtime, path: Path, num_threads: int | None) -> Runtime:
    """The runtime of an exported file, which changes to the fastest one when that is known."""
    if runtime.software != BASIS.runtime or runtime.precision != "float32" or not _is_choice(path, num_threads):
        return runtime
    from actionstream.runtimes.meanwhile import Meanwhile, choose_apart

    def open_() -> Runtime | None:
        chosen = remembered(path, "float32", num_threads=num_threads)
        return None if chosen in (None, BASIS) else open_candidate(path, chosen, num_threads)

    return Meanwhile(runtime, lambda batches: choose_apart(path, batches, num_threads), open_)


def _is_choice(path: Path, num_threads: int | None) -> bool:
    """Whether there is something to measure that is not known."""
    several = path.suffix == ".onnx" and len(candidates("float32")) > 1
    return several and remembered(path, "float32", num_threads=num_threads) is None


def _first(open_: Callable[[RuntimeName], Runtime], names: list[RuntimeName]) -> Runtime:
    """The first runtime that opens."""
    for name in names[:-1]:
        try:
            return open_(name)
        except ActionstreamError as error:
            if is_out_of_memory(error):
                raise
            warnings.warn(f"{error}; labels come from another, slower runtime", RuntimeWarning, stacklevel=4)
    return open_(names[-1])


def _may_have_accelerator() -> bool:
    """Whether a CUDA or MPS device is possible; a quick check before the import of torch, which takes seconds."""
    if find_spec("torch") is None:
        return False
    if sys.platform == "darwin":
        return True
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
