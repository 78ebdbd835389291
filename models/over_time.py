"""Layers over time of clip networks, which run on whole clips or frame by frame with the same weights.

A convolution over time needs its last inputs and no more, so that a network of them can run frame by frame: each layer
keeps those inputs as its leaf of the state, and computes one output from one new input. There are two exact ways, which
differ in what is added up where branches meet:

    causal   the newest of each branch: the convolutions are padded before the clip only, and a score depends on the
             frames up to its own. This is another function than that of whole clips, with the same weights: train it.
    delayed  what belongs to the same time in each branch: faster branches wait for slower ones. Far from the ends of a
             clip this gives what the network computes of whole clips, some frames later.

Letters: B streams, C channels, T snippets, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool1d, conv2d, conv3d, max_pool3d, pad

from actionstream.kernels import read, replace, temporal_context
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.network import Carry, State

Mode = Literal["clip", "causal", "delayed"]
Branch = Callable[[Tensor, "VolumeCarry"], Tensor]


class VolumeCarry(Carry):
    """Goes through the layers of a clip network beside x: how they run, and their leaves where they run frame by frame.

    mode        "clip", where layers are padded at both ends of a clip; "causal" or "delayed"
    num_frames  of the clips that the network is made for, at the rate of x; means over a clip are over so many
    fading      whether means forget slowly, in place of after `num_frames`
    lag         snippets that x is behind the input, at the rate of x; 0 unless delayed
    """

    def __init__(self, mode: Mode = "clip", state: State | None = None, *, num_frames: int = 0, fading: bool = False):
        super().__init__(0, state)
        self.mode: Mode = mode
        self.num_frames = num_frames
        self.fading = fading
        self.lag = 0

    def windows(self, x: Tensor, *, size: int, stride: int = 1, padding: int = 0) -> Tensor:
        """Put before x what a layer over `size` snippets needs, so that without padding it gives T / stride outputs.

        They are those of the layer with this padding in a clip, as early as their last input is there.
        """
        if self.mode == "clip":
            return x
        late = max(0, -((padding + stride - size - self.lag) // stride))  # rounded up
        num_outputs = x.shape[2] // stride
        x = self._with_past(x, late * stride + padding - self.lag)[:, :, : (num_outputs - 1) * stride + size]
        self.num_frames = max(1, self.num_frames // stride)
        if self.mode == "delayed":
            self.lag = late
        return x

    def meet(self, x: Tensor, *branches: Branch) -> list[Tensor]:
        """The outputs of the branches that read x, for the same time."""
        begin = self.lag, self.num_frames
        found = []
        for branch in branches:
            self.lag, self.num_frames = begin
            found.append((branch(x, self), self.lag))
        return self.align(*found)

    def align(self, *found: tuple[Tensor, int]) -> list[Tensor]:
        """Volumes and their lags to volumes with the largest lag, which is that of what follows."""
        self.lag = max(lag for _, lag in found)
        return [x if lag == self.lag else self._with_past(x, self.lag - lag)[:, :, : x.shape[2]] for x, lag in found]

    def clip_mean(self, x: Tensor, what: str) -> Tensor:
        """The mean of x (B, C, T, h, w) over space, and over the clip or the last `num_frames`: (B, C, 1 or T, 1, 1).

        Where fewer frames have come than a clip has, the mean is over those.
        """
        if self.mode == "clip":
            return x.mean(dim=(-3, -2, -1), keepdim=True)
        if self.mode == "delayed":
            self.need_clip(what)
        return self.running_mean(x.mean(dim=(-2, -1), keepdim=True))

    def running_mean(self, x: Tensor) -> Tensor:
        """The mean of x (B, C, T, 1, 1) at each snippet and those before it, `num_frames` or as many as have come.

        Where it is fading, it is over all that have come: the weight of a snippet is 1 - 1 / `num_frames` of that of
        the next one.
        """
        counted = pad(x, (0, 0, 0, 0, 0, 0, 0, 1), value=1.0)
        if self.fading:
            means = self._faded(counted)
        else:
            counted = self._with_past(counted, self.num_frames - 1)
            means = avg_pool1d(counted.flatten(2), self.num_frames, 1)[..., None, None]
        return means[:, :-1] / means[:, -1:]

    def _faded(self, x: Tensor) -> Tensor:
        """The sum of x (B, C, T, 1, 1) and what came before it, with the weights of a fading mean, at each snippet."""
        leaf, sums = self.take(), []
        total = torch.zeros_like(x[:, :, :1]) if leaf is None else read(leaf).to(x.dtype)
        for snippet in x.unbind(2):
            total = (1 - 1 / self.num_frames) * total + snippet.unsqueeze(2)
            sums.append(total)
        self.put(replace(leaf, total))
        return torch.cat(sums, dim=2)

    def need_clip(self, what: str) -> None:
        """Raise ActionstreamError unless the network runs on whole clips."""
        if self.mode != "clip":
            raise ActionstreamError(f"{what} of whole clips; run this network in a window")

    def _with_past(self, x: Tensor, size: int) -> Tensor:
        """x with the last `size` snippets before it; a negative size takes as many snippets away."""
        if size <= 0:
            return x[:, :, -size:]
        x, leaf = temporal_context(x, self.take(), size=size)
        self.put(leaf)
        return x


class OverTime(nn.Module):
    """A layer, or several, that takes the carry beside x."""


class Conv3d(nn.Conv3d, OverTime):
    """A convolution over space and time."""

    def forward(self, x: Tensor, carry: VolumeCarry) -> Tensor:  # type: ignore[override]
        if carry.mode == "clip":
            return super().forward(x)
        size, *_ = self.kernel_size
        stride, *strides = self.stride
        padding, *paddings = cast(tuple[int, int, int], self.padding)
        x = carry.windows(x, size=size, stride=stride, padding=padding)
        if x.shape[2] > size:
            return conv3d(x, self.weight, self.bias, self.stride, (0, *paddings), 1, self.groups)
        # one output: snippets side by side in the channels make it a convolution over space, which is faster
        weight = self.weight.flatten(1, 2)
        return conv2d(x.flatten(1, 2), weight, self.bias, strides, paddings, 1, self.groups).unsqueeze(2)


class MaxPool3d(nn.MaxPool3d, OverTime):
    """A max-pool of what is never negative: then zeros before the start of a stream do not change the maximum."""

    def forward(self, x: Tensor, carry: VolumeCarry) -> Tensor:  # type: ignore[override]
        if carry.mode == "clip":
            return super().forward(x)
        sizes, strides, paddings = (
            (each,) * 3 if isinstance(each, int) else each for each in (self.kernel_size, self.stride, self.padding)
        )
        x = carry.windows(x, size=sizes[0], stride=strides[0], padding=paddings[0])
        return max_pool3d(x, sizes, strides, (0, *paddings[1:]))


class Chain(nn.Sequential, OverTime):
    """Layers one after the other; those over time get the carry."""

    def forward(self, x: Tensor, carry: VolumeCarry) -> Tensor:  # type: ignore[override]
        for layer in self:
            x = layer(x, carry) if isinstance(layer, OverTime) else layer(x)
        return x


def unchanged(x: Tensor, carry: VolumeCarry) -> Tensor:
    """The branch that a shortcut without a convolution is."""
    return x


def residual(x: Tensor, carry: VolumeCarry, branch: Branch, shortcut: Branch | None) -> Tensor:
    """The sum of a branch and a shortcut."""
    return torch.add(*carry.meet(x, branch, unchanged if shortcut is None else shortcut))
