"""Leaves of a streaming state: what one layer remembers of each stream."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Slots:
    """Rows of a preallocated pool, read and then overwritten in place by the operator that gets them.

    pool   (num_slots, ...), one row for each stream there is room for
    index  (B,) int64 on the pool's device, the row of each stream of the batch; -1 marks a padding row of the
           batch, which is neither read nor written (it starts from an empty leaf and its result is dropped)

    A row may stand in a batch once; `of_pools` makes sure of that before anything reaches a GPU.
    """

    pool: Tensor
    index: Tensor

    @classmethod
    def of_pools(cls, pools: Iterable[Tensor], rows: Sequence[int] | np.ndarray) -> tuple[Slots, ...]:
        """The leaves of a batch in the pools of all layers; ValueError for rows that are not there or there twice."""
        pools = tuple(pools)
        index = check_rows(rows, len(pools[0]) if pools else None)
        on_device = torch.from_numpy(index).to(pools[0].device, non_blocking=True) if pools else torch.empty(0)
        return tuple(cls(pool, on_device) for pool in pools)


def check_rows(rows: Sequence[int] | np.ndarray, num_slots: int | None) -> np.ndarray:
    """The rows as int64 (B,); ValueError unless each is -1 or a row of the pool, and none stands there twice."""
    index = np.ascontiguousarray(rows, np.int64)
    used = index[index >= 0]
    if index.ndim != 1 or (index < -1).any() or (num_slots is not None and (used >= num_slots).any()):
        raise ValueError(f"slots {index.tolist()} are not all rows of a pool of {num_slots}, or -1 for padding")
    if len(np.unique(used)) < len(used):
        raise ValueError(f"slots {index.tolist()} have one twice; a stream can be in a batch once")
    return index


def read(leaf: Leaf) -> Tensor:
    """What a leaf holds, (B, ...): a copy where it is Slots, with zeros where the row is -1."""
    if not isinstance(leaf, Slots):
        return leaf
    rows = leaf.pool[leaf.index.clamp(min=0)]
    unused = (leaf.index < 0).view(-1, *(1 for _ in rows.shape[1:]))
    return rows.masked_fill(unused, 0)


def replace(leaf: Leaf | None, values: Tensor) -> Leaf:
    """The leaf after a step, with values (B, ...): these, or the Slots they were written to, but for rows -1."""
    if not isinstance(leaf, Slots):
        return values
    used = leaf.index >= 0
    leaf.pool[leaf.index[used]] = values[used]
    return leaf


Leaf = torch.Tensor | Slots
"""A tensor (B, ...), replaced by a new one at each call, or Slots, updated in place. Zeros are empty."""
