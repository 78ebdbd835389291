"""The temporal shift in plain torch: the reference, the form that runs on a CPU, and the form that is exported.

Letters: B streams, T snippets, C channels, F channels that move, H x W pixels; x is (B * T, C, H, W).
"""

from __future__ import annotations

import torch
from torch import Tensor


def memory_format(x: Tensor) -> torch.memory_format:
    """The memory format of x and of the result: channels_last only where x is not contiguous as well."""
    channels_last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return torch.channels_last if channels_last else torch.contiguous_format


def shift_clip(x: Tensor, num_snippets: int, first: int, second: int, step: int, circulant: bool) -> Tensor:
    """Channels [0:first] of snippet t come from snippet t + step (step is 1 or -1), [first:second] from t - step.

    Beyond the ends of a clip are zeros, or with `circulant` the snippets at the other end.
    """
    clips = x.unflatten(0, (-1, num_snippets))
    parts = [
        _neighbour(clips[:, :, begin:end], towards, circulant)
        for begin, end, towards in [(0, first, step), (first, second, -step)]
        if begin < end
    ]
    return _join([*(part.flatten(0, 1) for part in parts), x[:, second:]], x)


def shift_chunk(
    x: Tensor, leaf: Tensor | None, num_snippets: int, fold: int, reverse: bool = False
) -> tuple[Tensor, Tensor]:
    """Channels [0:fold] come from the previous snippet; for the first snippet, from the leaf (B, F, H, W) or zeros.

    Returns the shifted x and the new leaf, a copy. With `reverse` time runs backwards.
    """
    if num_snippets == 1:  # live; keeps views out of the exported graph
        last = x[:, :fold]
        moved = torch.zeros_like(last) if leaf is None else leaf
    else:
        streams = x.unflatten(0, (-1, num_snippets))
        last = streams[:, 0 if reverse else -1, :fold]
        start = (torch.zeros_like(last) if leaf is None else leaf).unsqueeze(1)
        inside = streams[:, 1:, :fold] if reverse else streams[:, :-1, :fold]
        moved = torch.cat([inside, start] if reverse else [start, inside], dim=1).flatten(0, 1)
    return _join([moved, x[:, fold:]], x), last.clone(memory_format=memory_format(x))


def shift_slots(x: Tensor, pool: Tensor, index: Tensor, num_snippets: int, fold: int) -> Tensor:
    """`shift_chunk` with leaves that are rows of a pool, overwritten in place; -1 is neither read nor written."""
    shifted = x.clone(memory_format=memory_format(x))
    before, after = (tensor.unflatten(0, (-1, num_snippets)) for tensor in (x, shifted))
    if num_snippets > 1:
        after[:, 1:, :fold] = before[:, :-1, :fold]
    # one copy per row is several times faster than a gather and a scatter of a few rows
    for stream, row in enumerate(index.tolist()):
        if row < 0:
            after[stream, 0, :fold] = 0
        else:
            after[stream, 0, :fold] = pool[row]
            pool[row] = before[stream, -1, :fold]
    return shifted


def _neighbour(clips: Tensor, step: int, circulant: bool) -> Tensor:
    """(B, T, ...) with each snippet replaced by the one `step` later."""
    if circulant:
        return clips.roll(-step, dims=1)
    end = torch.zeros_like(clips[:, :1])
    return torch.cat([clips[:, 1:], end] if step > 0 else [end, clips[:, :-1]], dim=1)


def _join(parts: list[Tensor], x: Tensor) -> Tensor:
    """The parts side by side along the channels, in the memory format of x."""
    form = memory_format(x)
    # torch.cat takes the format of its parts; a part of one channel has no clear format, hence the last conversion
    joined = torch.cat([part.contiguous(memory_format=form) for part in parts[:-1]] + parts[-1:], dim=1)
    return joined.contiguous(memory_format=form)
