"""What a layer over time has seen last: the state of temporal convolutions and poolings.

Letters: B streams, C channels, T snippets, P past snippets, H x W pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from actionstream.kernels.leaf import Leaf, read, replace


def temporal_context(x: Tensor, leaf: Leaf | None = None, *, size: int) -> tuple[Tensor, Leaf]:
    """Put the last `size` snippets that a layer has seen before those that come.

    x     (B, C, T, H, W)
    leaf  what the last call of the same streams returned (B, C, size, H, W), or Slots; None where the streams start,
          which means zeros, as the padding of a convolution
    size  P, 1 or more: the size of a convolution over time less its stride

    Returns (B, C, P + T, H, W) and the new leaf, a copy: the last P snippets. x is not changed.
    Raises ValueError for sizes that do not fit.
    """
    if x.dim() != 5 or size < 1:
        raise ValueError(f"temporal_context takes x as (B, C, T, H, W) and a size of 1 or more, not {x.shape}, {size}")
    shape = (x.shape[0], x.shape[1], size, *x.shape[3:])
    past = x.new_zeros(shape) if leaf is None else read(leaf).to(x.dtype)
    if past.shape != shape:
        raise ValueError(f"the state of this layer is {tuple(past.shape)}, but {x.shape[0]} streams need {shape}")
    both = torch.cat([past, x], dim=2)
    return both, replace(leaf, both[:, :, -size:].clone())
