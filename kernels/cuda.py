"""Launches the CuPy kernels of temporal_shift.cu on torch's current stream."""

from __future__ import annotations

import math
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from actionstream.kernels.temporal_shift_torch import memory_format

SOURCE = Path(__file__).with_name("temporal_shift.cu")
THREADS = 256  # in a block
ELEMENT_BYTES = (2, 4, 8)
MANY = 2**31 - 1024  # tensors of this many elements or more need 64-bit indices
COMPILER_OPTIONS = ("-std=c++17",)


def can_move(x: Tensor) -> bool:
    """Whether the kernel supports x: CuPy builds it for that GPU, and the element size is in ELEMENT_BYTES."""
    return x.element_size() in ELEMENT_BYTES and has_cupy() and _builds(x.device.index)


def shift_clip(x: Tensor, num_snippets: int, first: int, second: int, step: int, circulant: bool) -> Tensor:
    """`temporal_shift_torch.shift_clip`, in one launch."""
    x, out = _dense(x)
    outer, inner, pixels = _runs(x)
    lanes = _lanes(inner, x, out)
    _launch(
        _name("clip", x, lanes, x.numel()),
        x.numel() // lanes,
        [x, out],
        [x.shape[0] // num_snippets, num_snippets, outer, inner, first * pixels, second * pixels],
        [step, int(circulant)],
    )
    return out


def shift_chunk(
    x: Tensor, leaf: Tensor | None, num_snippets: int, fold: int, reverse: bool = False
) -> tuple[Tensor, Tensor]:
    """`temporal_shift_torch.shift_chunk`, in one launch."""
    x, out = _dense(x)
    shape = (x.shape[0] // num_snippets, fold, *x.shape[2:])
    after = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=memory_format(x))
    before = None if leaf is None else leaf.to(x.dtype).contiguous(memory_format=memory_format(x))
    _chunk(x, out, before, after, None, num_snippets, fold, reverse)
    return out, after


def shift_slots(x: Tensor, pool: Tensor, index: Tensor, num_snippets: int, fold: int) -> Tensor:
    """`temporal_shift_torch.shift_slots`, in one launch without a gather or a scatter."""
    x, out = _dense(x)
    if not pool.is_contiguous(memory_format=memory_format(x)):
        raise ValueError(
            f"the pool has strides {pool.stride()}, but x is {memory_format(x)}: "
            "make the pool with the memory format of the network"
        )
    _chunk(x, out, pool, pool, index, num_snippets, fold, reverse=False)
    return out


def _chunk(
    x: Tensor,
    out: Tensor,
    before: Tensor | None,
    after: Tensor,
    index: Tensor | None,
    num_snippets: int,
    fold: int,
    reverse: bool,
) -> None:
    outer, inner, pixels = _runs(x)
    lanes = _lanes(inner, x, out)
    leaves = [leaf for leaf in (before, after) if leaf is not None]
    whole = lanes > 1 and _lanes(fold * pixels, *leaves, element_bytes=x.element_size()) == lanes
    _launch(
        _name("chunk", x, lanes, max(x.numel(), after.numel())),
        x.numel() // num_snippets // lanes,
        [x, out, before, after, index],
        [x.shape[0] // num_snippets, num_snippets, outer, inner, fold * pixels],
        [int(reverse), int(whole)],
    )


def _dense(x: Tensor) -> tuple[Tensor, Tensor]:
    """x, contiguous in its memory format, and an empty tensor like it."""
    x = x.contiguous(memory_format=memory_format(x))
    return x, torch.empty_like(x, memory_format=memory_format(x))


def _runs(x: Tensor) -> tuple[int, int, int]:
    """Runs in a row, elements in a run, and elements of one channel in a run; see the head of the .cu file."""
    _, channels, height, width = x.shape
    if memory_format(x) is torch.channels_last:
        return height * width, channels, 1
    return 1, channels * height * width, height * width


def _lanes(run: int, *tensors: Tensor, element_bytes: int = 0) -> int:
    """Elements that a thread moves at once: 16 bytes if all runs are aligned to 16 bytes, else one element."""
    lanes = 16 // (element_bytes or tensors[0].element_size())
    return 1 if run % lanes or any(tensor.data_ptr() % 16 for tensor in tensors) else lanes


def _name(kernel: str, x: Tensor, lanes: int, most: int) -> str:
    return f"{kernel}_{x.element_size()}_{lanes}_{32 if most < MANY else 64}"


def _launch(name: str, num_threads: int, tensors: list[Tensor | None], sizes: list[int], flags: list[int]) -> None:
    """Launch a kernel on the current stream of the first tensor's device; its name gives the type of `sizes`."""
    if num_threads == 0:
        return
    import cupy

    device = tensors[0].device if tensors[0] is not None else None
    stream = torch.cuda.current_stream(device)
    size: Any = np.int32 if name.endswith("_32") else np.int64
    arguments = [np.uint64(0 if tensor is None else tensor.data_ptr()) for tensor in tensors]
    arguments += [size(value) for value in sizes] + [np.int32(flag) for flag in flags]
    with cupy.cuda.Device(stream.device.index), cupy.cuda.ExternalStream(stream.cuda_stream, stream.device.index):
        _kernel(name, stream.device.index)((math.ceil(num_threads / THREADS),), (THREADS,), tuple(arguments))


@cache
def _kernel(name: str, device: int) -> Any:
    return _module(device).get_function(name)


@cache
def _builds(device: int) -> bool:
    """Whether CuPy can compile for a device; warns once if it cannot."""
    try:
        _kernel("clip_4_1_32", device)
    except Exception as error:  # noqa: BLE001  CuPy and NVRTC raise many types
        _say_slower(
            f"CuPy cannot build the temporal shift for this GPU ({' '.join(str(error).split())[:300]})",
            f"install the CuPy that fits CUDA {torch.version.cuda}, such as cupy-cuda13x",
        )
        return False
    return True


@cache
def _module(device: int) -> Any:
    """The compiled module; CuPy keeps it in its disk cache."""
    import cupy

    return cupy.RawModule(code=SOURCE.read_text(), options=COMPILER_OPTIONS)


@cache
def has_cupy() -> bool:
    """Whether CuPy can be imported; warns once if it cannot."""
    try:
        import cupy  # noqa: F401
    except ImportError as error:
        _say_slower(f"CuPy cannot be imported ({error})", "install it with: pip install 'actionstream[cuda]'")
        return False
    return True


def _say_slower(why: str, remedy: str) -> None:
    warnings.warn(
        f"{why}, so the temporal shift runs in plain torch, which is slower; {remedy}", RuntimeWarning, stacklevel=3
    )
