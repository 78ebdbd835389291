"""Leaves of a streaming state: what one layer remembers of each stream."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Slots:
    """Rows of a preallocated pool, read and then overwritten in place by the operator that gets them.

    pool   (num_slots, ...), one row for each stream there is room for
    index  (B,) int64, the row of each stream of the batch; -1 marks a padding row of the batch, which
           is neither read nor written (it starts from an empty leaf and its result is dropped)

    A row may stand in a batch once. The runtime that owns the pool sees to that, on the host.
    """

    pool: Tensor
    index: Tensor

    def read(self) -> Tensor:
        """The rows of the batch, (B, ...); zeros where the index is -1."""
        rows = self.pool.index_select(0, self.index.clamp(min=0))
        padding = self.index < 0
        if padding.any():
            rows[padding] = 0
        return rows

    def write(self, rows: Tensor) -> None:
        """Store (B, ...) rows; those with index -1 are dropped."""
        padding = self.index < 0
        if padding.any():
            self.pool.index_copy_(0, self.index[~padding], rows[~padding])
        else:
            self.pool.index_copy_(0, self.index, rows)


Leaf = torch.Tensor | Slots
"""A tensor (B, ...), replaced by a new one at each call, or Slots, updated in place. Zeros are empty."""
