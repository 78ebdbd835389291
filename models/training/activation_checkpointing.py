"""Activation checkpointing (Chen et al., arXiv:1604.06174): blocks keep only their input, and are computed twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from actionstream.kernels import Leaf
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.network import Carry


@contextmanager
def recomputed(network: nn.Module) -> Iterator[None]:
    """Calls in here keep only the inputs of blocks; the backward pass computes the rest again.

    Raises ValueError for a network without blocks.
    """
    parts = list(blocks(network))
    if not parts:
        raise ActionstreamError(f"{type(network).__name__} has no blocks to compute twice; leave recompute out")
    for block in parts:
        block.forward = partial(_call, block, block.forward)  # only in here: a copy of the network must not have it
    try:
        yield
    finally:
        for block in parts:
            del block.forward


def blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The outermost members of sequences that have submodules themselves: residual and Inception blocks."""
    for child in module.children():
        if isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict) and any(child.children()):
            yield child
        else:
            yield from blocks(child)


class _Replay(Carry):
    """The carry of a block that is computed twice: the second pass takes the same leaves, and puts none."""

    def __init__(self, carry: Carry):
        super().__init__(carry.num_snippets, None)
        self._carry: Carry | None = carry
        self._taken: list[Leaf | None] = []

    def take(self) -> Leaf | None:
        if self._carry is None:
            return self._taken.pop(0)
        self._taken.append(self._carry.take())
        return self._taken[-1]

    def put(self, leaf: Leaf | None) -> None:
        if self._carry is not None:
            self._carry.put(leaf)

    def end(self) -> None:
        """End the first pass, and drop the carry: it refers back to this object, and neither would ever be freed."""
        self._carry = None


def _call(block: nn.Module, forward: Callable[..., Tensor], x: Tensor, *rest: Any) -> Tensor:
    rest = tuple(_Replay(each) if isinstance(each, Carry) else each for each in rest)
    contexts = nullcontext(), _statistics_kept(block)
    x = checkpoint(forward, x, *rest, use_reentrant=False, context_fn=lambda: contexts)
    for each in rest:
        if isinstance(each, _Replay):
            each.end()
    return x


@contextmanager
def _statistics_kept(block: nn.Module) -> Iterator[None]:
    """Batch norms keep their statistics in here: the first pass has updated them."""
    norms = [module for module in block.modules() if isinstance(module, _BatchNorm)]
    kept = [dict(norm.named_buffers()) for norm in norms]
    try:
        for norm, buffers in zip(norms, kept, strict=True):
            for name, buffer in buffers.items():
                setattr(norm, name, buffer.clone())
        yield
    finally:
        for norm, buffers in zip(norms, kept, strict=True):
            for name, buffer in buffers.items():
                setattr(norm, name, buffer)
