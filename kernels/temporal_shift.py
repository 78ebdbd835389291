"""The temporal shift (TSM, Lin et al., ICCV 2019, arXiv:1811.08383, sections 3 and 4).

Letters: B streams, T snippets, C channels, F = C // n_div channels that move, H x W pixels.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from actionstream.kernels import operators, temporal_shift_torch
from actionstream.kernels.leaf import Leaf, Slots

Direction = Literal["uni", "bi"]
Padding = Literal["zero", "circulant"]


def temporal_shift(
    x: Tensor,
    leaf: Leaf | None = None,
    *,
    num_snippets: int,
    n_div: int = 8,
    direction: Direction = "uni",
    padding: Padding = "zero",
) -> tuple[Tensor, Leaf | None]:
    """Move the first channels of each snippet to its neighbour in time.

    x          (B * T, C, H, W), the snippets of a stream next to each other
    leaf       what the last call of the same streams returned (B, F, H, W), or Slots; None where the
               streams start. Only for direction "uni" with zero padding, the one causal shift.
    direction  "uni": channels [0:F] come from the snippet before.
               "bi": channels [0:F] come from the snippet after, [F:2F] from the one before.
    padding    what fills the ends of a clip: "zero", or "circulant" (the snippets at the other end).

    Returns the shifted x, in the memory format of x, and the new leaf: the first F channels of the last
    snippet of each stream, as a copy; None for a shift without state. x is not changed.
    Raises ValueError for sizes that do not fit.
    """
    if x.dim() != 4:
        raise ValueError(f"temporal_shift takes x as (B * T, C, H, W), not {tuple(x.shape)}")
    if direction not in ("uni", "bi") or padding not in ("zero", "circulant"):
        raise ValueError(f'no {direction!r} shift with {padding!r} padding; there are "uni", "bi", "zero", "circulant"')
    rows, channels, height, width = x.shape
    if num_snippets < 1 or rows % num_snippets:
        raise ValueError(f"{rows} rows of x cannot be cut into streams of {num_snippets} snippets")
    fold = num_moved(channels, n_div, direction)
    form: Any = temporal_shift_torch if _in_torch(x) else operators
    if direction == "bi" or padding == "circulant":
        if leaf is not None:
            raise ValueError(f'a "{direction}" shift with {padding} padding needs whole clips and takes no state')
        second, step = (2 * fold, 1) if direction == "bi" else (fold, -1)
        return form.shift_clip(x, num_snippets, fold, second, step, padding == "circulant"), None

    num_streams = rows // num_snippets
    _check_leaf(leaf, x, (num_streams, fold, height, width))
    if isinstance(leaf, Slots):
        return form.shift_slots(x, leaf.pool, leaf.index, num_snippets, fold), leaf
    return form.shift_chunk(x, None if leaf is None else leaf.to(x.dtype), num_snippets, fold)


def _in_torch(x: Tensor) -> bool:
    """Whether to use plain torch: on a CPU, where an operator gains nothing, and during export."""
    return not x.is_cuda or torch.compiler.is_exporting()


def _check_leaf(leaf: Leaf | None, x: Tensor, shape: tuple[int, ...]) -> None:
    if leaf is None:
        return
    if isinstance(leaf, Slots):
        tensor, given = leaf.pool, (len(leaf.index), *leaf.pool.shape[1:])
        if tensor.dtype != x.dtype:
            raise ValueError(f"the pool holds {tensor.dtype} and x is {x.dtype}; make it with the type of the network")
        if any(size > 1 and stride == 0 for size, stride in zip(tensor.shape, tensor.stride(), strict=True)):
            raise ValueError("the rows of the pool overlap (it was expanded); make each with memory of its own")
        if leaf.index.dtype != torch.int64:
            raise ValueError(f"the rows of a pool are int64, not {leaf.index.dtype}")
    else:
        tensor, given = leaf, tuple(leaf.shape)
    if given != shape:
        raise ValueError(
            f"the state of this layer is {given}, but {shape[0]} streams of {x.shape[1]} x {x.shape[2]} x "
            f"{x.shape[3]} need {shape}"
        )
    if tensor.device != x.device:
        raise ValueError(f"the state is on {tensor.device} and x on {x.device}; move one to the other")


def num_moved(channels: int, n_div: int, direction: Direction) -> int:
    """F, the number of channels that come from one neighbour."""
    fold = channels // n_div if n_div > 0 else -1
    if fold < 0 or fold * (2 if direction == "bi" else 1) > channels:
        raise ValueError(f'n_div is {n_div}; a "{direction}" shift takes {2 if direction == "bi" else 1} or more')
    return fold
