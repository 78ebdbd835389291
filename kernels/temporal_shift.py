"""The temporal shift (TSM, Lin et al., ICCV 2019, arXiv:1811.08383, sections 3 and 4).

Letters: B streams, T snippets, C channels, F = C // n_div channels that move, H x W pixels.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from kernels.leaf import Leaf, Slots

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
               streams start. Only for direction "uni" with zero padding: nothing else is causal.
    direction  "uni": channels [0:F] come from the snippet before.
               "bi": channels [0:F] come from the snippet after, [F:2F] from the one before.
    padding    what comes in at the ends of a clip: "zero", or "circulant" (the other end).

    Returns the shifted x, in the memory format of x, and the new leaf: the first F channels of the last
    snippet of each stream, cut loose from x; None where nothing streams. x is left as it is.
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
    if direction == "bi" or padding == "circulant":
        if leaf is not None:
            raise ValueError(f'a "{direction}" shift with {padding} padding needs whole clips and takes no state')
        return _shift_clip(x, num_snippets, fold, direction, padding), None

    num_streams = rows // num_snippets
    before = leaf.read() if isinstance(leaf, Slots) else leaf
    if before is None:
        before = x.new_zeros(num_streams, fold, height, width)
    if before.shape != (num_streams, fold, height, width):
        raise ValueError(
            f"the state of this layer is {tuple(before.shape)}, but {num_streams} streams of "
            f"{channels} x {height} x {width} need {(num_streams, fold, height, width)}"
        )
    if num_snippets == 1:
        moved = before
    else:
        kept = x[:, :fold].unflatten(0, (num_streams, num_snippets))
        moved = torch.cat([before.unsqueeze(1), kept[:, :-1]], dim=1).flatten(0, 1)
    shifted = _join([moved, x[:, fold:]], x)
    last = x[num_snippets - 1 :: num_snippets, :fold].clone(memory_format=torch.preserve_format)
    if isinstance(leaf, Slots):
        leaf.write(last)
        return shifted, leaf
    return shifted, last


def num_moved(channels: int, n_div: int, direction: Direction) -> int:
    """F, the number of channels that come from one neighbour."""
    fold = channels // n_div if n_div > 0 else -1
    if fold < 0 or fold * (2 if direction == "bi" else 1) > channels:
        raise ValueError(f'n_div is {n_div}; a "{direction}" shift takes {2 if direction == "bi" else 1} or more')
    return fold


def _shift_clip(x: Tensor, num_snippets: int, fold: int, direction: Direction, padding: Padding) -> Tensor:
    clips = x.unflatten(0, (-1, num_snippets))
    if direction == "bi":
        parts = [
            _neighbour(clips[:, :, :fold], +1, padding),
            _neighbour(clips[:, :, fold : 2 * fold], -1, padding),
        ]
    else:
        parts = [_neighbour(clips[:, :, :fold], -1, padding)]
    return _join([*(part.flatten(0, 1) for part in parts), x[:, fold * len(parts) :]], x)


def _neighbour(clips: Tensor, step: int, padding: Padding) -> Tensor:
    """(B, T, ...) with each snippet replaced by the one `step` later (+1) or earlier (-1)."""
    if padding == "circulant":
        return clips.roll(-step, dims=1)
    end = torch.zeros_like(clips[:, :1])
    return torch.cat([clips[:, 1:], end] if step > 0 else [end, clips[:, :-1]], dim=1)


def _join(parts: list[Tensor], x: Tensor) -> Tensor:
    """The parts side by side along the channels, in the memory format of x."""
    channels_last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    # torch.cat follows its parts; the second conversion is for a part of one channel, which has no format
    joined = torch.cat([part.contiguous(memory_format=memory_format) for part in parts[:-1]] + parts[-1:], dim=1)
    return joined.contiguous(memory_format=memory_format)
