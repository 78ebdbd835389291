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

from actionstream.choices import RuntimeName
from actionstream.models.common.errors import ActionstreamError, is_out_of_memory
from actionstream.models.common.extras import extras_named, needs
from actionstream.models.export.cache import find_export, make_export
from actionstream.models.locate import CHECKPOINTS, Located, Model, locate
from actionstream.models.weights.loading import load
from actionstream.runtimes.runtime import Runtime

EXPORTED: dict[str, tuple[RuntimeName, ...]] = {
    ".onnx": ("onnx", "openvino"),
    ".xml": ("openvino",),
    ".pt2": ("torch",),
}
"""The runtimes for an exported file, by its suffix; "auto" takes the first that is installed."""
PACKAGES: dict[RuntimeName, str] = {"onnx": "onnxruntime", "openvino": "openvino", "torch": "torch"}


def open_runtime(
    model: Model,
    *,
    runtime: RuntimeName = "auto",
    device: str = "auto",
    num_threads: int | None = None,
    export_meanwhile: bool = False,
    weights: str | os.PathLike[str] | None = None,
    **loading: Any,
) -> Runtime:
    """Open the runtime of a model.

    model             a model for models.load, with its other arguments in `weights` and `loading`; or an exported file
    runtime           "torch": plain torch, the reference; "compile": torch.compile; "graphs": CUDA graphs; "onnx" and
                      "openvino": ONNX Runtime and OpenVINO, which export the model first unless that is done; "auto":
                      the fastest one available, "graphs" on CUDA, and on a CPU "onnx" if the model has been exported
    device            "auto" (CUDA, Apple's MPS, else the CPU), "cpu", "cuda" or "mps"
    num_threads       threads of a step on a CPU; default: a few
    export_meanwhile  where "auto" finds no export: make one in the background, and change to it when it is ready

    Each runtime except the reference is compared with the reference on a few pictures. ValueError for a runtime that
    is not available or gives other scores; "auto" then takes the next one, with a RuntimeWarning.
    """
    if runtime not in get_args(RuntimeName):
        raise ActionstreamError(f"no runtime {runtime!r}; there are {', '.join(get_args(RuntimeName))}")
    if num_threads is not None and num_threads < 1:
        raise ActionstreamError(f"{num_threads} threads; 1 or more")
    found = locate(model, weights=weights)
    if found.kind == "exported":
        if loading:
            raise ActionstreamError(f"{found} is exported, and has labels and weights of its own")
        return open_exported(found.file("exported"), runtime, device=device, num_threads=num_threads)
    found.file(*CHECKPOINTS, "published", "network", "exported")
    if runtime == "auto":
        return open_fastest(found, device=device, num_threads=num_threads, export_meanwhile=export_meanwhile, **loading)
    return open_named(found, runtime, device=device, num_threads=num_threads, **loading)


def open_exported(path: Path, runtime: RuntimeName, *, device: str, num_threads: int | None) -> Runtime:
    """The runtime of an exported file, checked with the scores in it."""
    possible = EXPORTED[path.suffix]
    if runtime == "auto":
        runtime = next((name for name in possible if find_spec(PACKAGES[name])), possible[0])
    if runtime not in possible:
        raise ActionstreamError(f"{path} is exported; it runs with {' or '.join(possible)}, not with {runtime}")
    if device not in ("auto", "cpu"):
        raise ActionstreamError(
            f"{path} is exported, and runs on the CPU; on {device} run the checkpoint that it was made of"
        )
    with extras_named():
        opened = _READERS[runtime](path, num_threads)
    try:
        opened.check()
    except RuntimeError as error:  # of the check: other scores, or an error of the library that runs the file
        raise ActionstreamError(f"{path} gives other scores here than where it was exported: {error}") from error
    return opened


def open_named(
    model: Located, runtime: RuntimeName, *, device: str, num_threads: int | None, **loading: Any
) -> Runtime:
    """The runtime of a name; each one except the reference is checked."""
    if runtime in ("onnx", "openvino"):
        if runtime == "openvino":
            needs("openvino")  # before minutes of exporting
        return open_exported(make_export(model, **loading), runtime, device=device, num_threads=num_threads)
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
    if has_onnx and find_export(model, **loading) is not None:
        return _first(open_, ["onnx", "torch"])
    runtime = open_("torch")
    if export_meanwhile and has_onnx and runtime.card.num_frames == 1:  # it streams by itself
        from actionstream.runtimes.meanwhile import Meanwhile, export_apart

        return Meanwhile(runtime, lambda: export_apart(model, loading), lambda: open_("onnx"))
    return runtime


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


def _read_onnx(path: Path, num_threads: int | None) -> Any:
    from actionstream.runtimes.onnx import OnnxRuntime

    return OnnxRuntime(path, num_threads=num_threads)


def _read_openvino(path: Path, num_threads: int | None) -> Any:
    from actionstream.runtimes.openvino import OpenVinoRuntime

    return OpenVinoRuntime(path, num_threads=num_threads)


def _read_torch(path: Path, num_threads: int | None) -> Any:
    import torch

    from actionstream.runtimes.functional import FunctionalRuntime

    if num_threads is not None:
        torch.set_num_threads(num_threads)
    return FunctionalRuntime.from_file(path)


_READERS: dict[RuntimeName, Callable[[Path, int | None], Any]] = {
    "onnx": _read_onnx,
    "openvino": _read_openvino,
    "torch": _read_torch,
}
