"""Leaves of a streaming state: what one layer remembers of each stream."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Slots:
    """Rows of a preallocated pool; the operator reads them and then overwrites them in place.

    pool   (num_slots, ...), one row for each stream that fits
    index  (B,) int64 on the pool's device, the row of each stream of the batch; -1 marks a padding row of the
           batch, which is neither read nor written (it starts from an empty leaf and its result is dropped)

    A row may occur only once in a batch; `of_pools` checks this before data goes to a GPU.
    """

    pool: Tensor
    index: Tensor

    @classmethod
    def of_pools(cls, pools: Iterable[Tensor], rows: Sequence[int] | np.ndarray) -> tuple[Slots, ...]:
        """The leaves of a batch in the pools of all layers; ValueError for a row that is missing or occurs twice."""
        pools = tuple(pools)
        index = check_rows(rows, len(pools[0]) if pools else None)
        on_device = torch.from_numpy(index).to(pools[0].device, non_blocking=True) if pools else torch.empty(0)
        return tuple(cls(pool, on_device) for pool in pools)


def check_rows(rows: Sequence[int] | np.ndarray, num_slots: int | None) -> np.ndarray:
    """The rows as int64 (B,); ValueError unless each is -1 or a row of the pool, and no row occurs twice."""
    index = np.ascontiguousarray(rows, np.int64)
    used = index[index >= 0]
    if index.ndim != 1 or (index < -1).any() or (num_slots is not None and (used >= num_slots).any()):
        raise ValueError(f"slots {index.tolist()} are not all rows of a pool of {num_slots}, or -1 for padding")
    if len(np.unique(used)) < len(used):
        raise ValueError(f"slots {index.tolist()} have one twice; a stream can be in a batch once")
    return index


def read(leaf: Leaf) -> Tensor:
    """The values of a leaf (B, ...); for Slots a copy, with zeros where the row is -1."""
    if not isinstance(leaf, Slots):
        return leaf
    rows = leaf.pool[leaf.index.clamp(min=0)]
    unused = (leaf.index < 0).view(-1, *(1 for _ in rows.shape[1:]))
    return rows.masked_fill(unused, 0)


def replace(leaf: Leaf | None, values: Tensor) -> Leaf:
    """The leaf after a step: `values` (B, ...) itself, or Slots, into which it is written except for rows -1.

    No shape depends on values, so that a CUDA graph can capture it: a padding row writes once more what the first row
    of a stream writes; where there is none, what is there.
    """
    if not isinstance(leaf, Slots):
        return values
    used = leaf.index >= 0
    first = used.int().argmax(dim=0, keepdim=True)
    place = torch.where(used, torch.arange(len(used), device=used.device), first)
    target = leaf.index[place].clamp(min=0)
    written = torch.where(used.any(), values[place].to(leaf.pool.dtype), leaf.pool[target])
    leaf.pool.index_copy_(0, target, written)
    return leaf


Leaf = torch.Tensor | Slots
"""A tensor (B, ...), replaced by a new one at each call, or Slots, updated in place. An empty leaf is all zeros."""
