"""The temporal shift as custom torch operators, so that torch.compile and autocast work without graph breaks.

On CUDA they call the CuPy kernel; on a CPU, or without CuPy, the torch form.
"""

from __future__ import annotations

import torch
from torch import Tensor

from actionstream.kernels import cuda, temporal_shift_torch


@torch.library.custom_op("actionstream::shift_clip", mutates_args=())
def shift_clip(x: Tensor, num_snippets: int, first: int, second: int, step: int, circulant: bool) -> Tensor:
    """`temporal_shift_torch.shift_clip`."""
    return temporal_shift_torch.shift_clip(x, num_snippets, first, second, step, circulant)


@torch.library.custom_op("actionstream::shift_chunk", mutates_args=())
def shift_chunk(
    x: Tensor, leaf: Tensor | None, num_snippets: int, fold: int, reverse: bool = False
) -> tuple[Tensor, Tensor]:
    """`temporal_shift_torch.shift_chunk`."""
    return temporal_shift_torch.shift_chunk(x, leaf, num_snippets, fold, reverse)


@torch.library.custom_op("actionstream::shift_slots", mutates_args=["pool"])
def shift_slots(x: Tensor, pool: Tensor, index: Tensor, num_snippets: int, fold: int) -> Tensor:
    """`temporal_shift_torch.shift_slots`. It changes the pool in place, so it has no gradient."""
    return temporal_shift_torch.shift_slots(x, pool, index, num_snippets, fold)


@shift_clip.register_kernel("cuda")
def _(x: Tensor, num_snippets: int, first: int, second: int, step: int, circulant: bool) -> Tensor:
    form = cuda if cuda.can_move(x) else temporal_shift_torch
    return form.shift_clip(x, num_snippets, first, second, step, circulant)


@shift_chunk.register_kernel("cuda")
def _(x: Tensor, leaf: Tensor | None, num_snippets: int, fold: int, reverse: bool = False) -> tuple[Tensor, Tensor]:
    form = cuda if cuda.can_move(x) else temporal_shift_torch
    return form.shift_chunk(x, leaf, num_snippets, fold, reverse)


@shift_slots.register_kernel("cuda")
def _(x: Tensor, pool: Tensor, index: Tensor, num_snippets: int, fold: int) -> Tensor:
    form = cuda if cuda.can_move(x) else temporal_shift_torch
    return form.shift_slots(x, pool, index, num_snippets, fold)


@shift_clip.register_fake
def _(x: Tensor, num_snippets: int, first: int, second: int, step: int, circulant: bool) -> Tensor:
    return _like(x)


@shift_chunk.register_fake
def _(x: Tensor, leaf: Tensor | None, num_snippets: int, fold: int, reverse: bool = False) -> tuple[Tensor, Tensor]:
    shape = (x.shape[0] // num_snippets, fold, *x.shape[2:])
    return _like(x), x.new_empty(shape).contiguous(memory_format=temporal_shift_torch.memory_format(x))


@shift_slots.register_fake
def _(x: Tensor, pool: Tensor, index: Tensor, num_snippets: int, fold: int) -> Tensor:
    return _like(x)


def _like(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=temporal_shift_torch.memory_format(x))


def _keep_clip(ctx, inputs, output) -> None:
    _, ctx.num_snippets, ctx.first, ctx.second, ctx.step, ctx.circulant = inputs


def _clip_gradient(ctx, gradient: Tensor):
    """The gradient moves by the opposite shift."""
    back = shift_clip(gradient, ctx.num_snippets, ctx.first, ctx.second, -ctx.step, ctx.circulant)
    return back, None, None, None, None, None


def _keep_chunk(ctx, inputs, output) -> None:
    _, leaf, ctx.num_snippets, ctx.fold, ctx.reverse = inputs
    ctx.has_leaf = leaf is not None


def _chunk_gradient(ctx, gradient: Tensor, leaf_gradient: Tensor):
    """The same shift with time reversed: it takes the new leaf's gradient and returns the old leaf's gradient."""
    back, first = shift_chunk(gradient, leaf_gradient, ctx.num_snippets, ctx.fold, not ctx.reverse)
    return back, first if ctx.has_leaf else None, None, None, None


shift_clip.register_autograd(_clip_gradient, setup_context=_keep_clip)
shift_chunk.register_autograd(_chunk_gradient, setup_context=_keep_chunk)
