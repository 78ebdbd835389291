"""ResNet-18 and 34 for clips, with convolutions over space, time or both (Tran et al., CVPR 2018, arXiv:1711.11248).

R3D, MCx, rMCx, f-R2D, R2D and R(2+1)D differ in the kind of convolution in each of five groups: the stem and four
stages. The parameter names are torchvision's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from actionstream.models.clip_network import ClipNetwork
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.over_time import Chain, Conv3d, OverTime, VolumeCarry, residual

Kind = Literal["3d", "2d", "2+1d"]
STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


def middle_channels(in_channels: int, out_channels: int, size: int = 3) -> int:
    """Channels between the two convolutions of R(2+1)D, for as many parameters as one 3D convolution has.

    floor(t d^2 N_in N_out / (d^2 N_in + t N_out)) with t = d = size (section 3.5).
    """
    return size**3 * in_channels * out_channels // (size**2 * in_channels + size * out_channels)


@dataclass(frozen=True)
class Style:
    """What all convolutions of a network have in common; see ResNet3D."""

    same_middle: bool
    doubled: bool
    normalise: Callable[[int], nn.Module]

    def convolution(
        self, kind: Kind, in_channels: int, out_channels: int, stride: int, middle: int, size: int = 3
    ) -> OverTime:
        """A convolution of size x size x size, or the layers that replace it."""
        steps = (1, stride, stride)
        over_space = partial(
            Conv3d, kernel_size=(1, size, size), stride=steps, padding=(0, size // 2, size // 2), bias=False
        )
        layers: list[nn.Module]
        if kind == "3d":
            layers = [Conv3d(in_channels, out_channels, size, stride, size // 2, bias=False)]
        elif kind == "2d":
            layers = [over_space(in_channels, out_channels)]
        else:
            over_time = Conv3d(middle, out_channels, (size, 1, 1), (stride, 1, 1), (size // 2, 0, 0), bias=False)
            layers = [over_space(in_channels, middle), self.normalise(middle), nn.ReLU(), over_time]
        if self.doubled:
            layers += [self.normalise(out_channels), nn.ReLU()]
        return Chain(*layers) if len(layers) > 1 else layers[0]  # type: ignore[return-value]  # a Conv3d


class BasicBlock(OverTime):
    def __init__(self, kind: Kind, in_channels: int, channels: int, stride: int, style: Style):
        super().__init__()
        first = middle_channels(in_channels, channels)
        second = first if style.same_middle else middle_channels(channels, channels)
        self.conv1 = Chain(
            style.convolution(kind, in_channels, channels, stride, first), style.normalise(channels), nn.ReLU()
        )
        self.conv2 = Chain(style.convolution(kind, channels, channels, 1, second), style.normalise(channels))
        self.downsample: Chain | None = None
        if stride != 1 or in_channels != channels:
            if style.doubled:
                middle = middle_channels(in_channels, channels, size=1)
                one: nn.Module = style.convolution(kind, in_channels, channels, stride, middle, size=1)
            else:
                one = Conv3d(in_channels, channels, 1, (1, stride, stride) if kind == "2d" else stride, bias=False)
            self.downsample = Chain(one, style.normalise(channels))

    def branch(self, x: Tensor, carry: VolumeCarry) -> Tensor:
        return self.conv2(self.conv1(x, carry), carry)

    def forward(self, x: Tensor, carry: VolumeCarry) -> Tensor:
        return torch.relu(residual(x, carry, self.branch, self.downsample))


def _stem(kind: Kind, in_channels: int, normalise: Callable[[int], nn.Module]) -> Chain:
    if kind == "2+1d":
        return Chain(
            Conv3d(in_channels, 45, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False),
            normalise(45),
            nn.ReLU(),
            Conv3d(45, 64, (3, 1, 1), 1, (1, 0, 0), bias=False),
            normalise(64),
            nn.ReLU(),
        )
    time = 3 if kind == "3d" else 1
    return Chain(
        Conv3d(in_channels, 64, (time, 7, 7), (1, 2, 2), (time // 2, 3, 3), bias=False), normalise(64), nn.ReLU()
    )


class ResNet3D(ClipNetwork):
    """A ResNet of basic blocks for clips.

    kinds        of the convolutions in the stem and the four stages: over space and time ("3d"), over space ("2d"), or
                 over space and then time ("2+1d"). Groups of kind "2d" leave the length of a clip as it is.
    same_middle  as in torchvision's R(2+1)D: both convolutions of a block have the middle channels of the first
    doubled      as in pytorch-video-recognition: every convolution has an extra batch norm and ReLU before those of its
                 block, and the convolution of a shortcut is built in the same way
    stacked      R2D: the channels of this many frames are stacked in one picture; None keeps the time dimension
    norm_eps     epsilon of the batch norms
    """

    def __init__(
        self,
        depth: int = 18,
        *,
        kinds: tuple[Kind, Kind, Kind, Kind, Kind] = ("3d", "3d", "3d", "3d", "3d"),
        num_classes: int = 400,
        in_channels: int = 3,
        same_middle: bool = False,
        doubled: bool = False,
        stacked: int | None = None,
        norm_eps: float = 1e-5,
        dropout: float = 0.0,
    ):
        super().__init__(num_classes=num_classes, in_channels=in_channels)
        if depth not in STAGES:
            raise ActionstreamError(f"depth is {depth}; a ResNet for clips has one of {', '.join(map(str, STAGES))}")
        if len(kinds) != 5 or not set(kinds) <= set(get_args(Kind)):
            raise ActionstreamError(f"kinds are {kinds}; there are five, each one of {', '.join(get_args(Kind))}")
        style = Style(same_middle, doubled, partial(nn.BatchNorm3d, eps=norm_eps))
        self.stacked = stacked
        self.stem = _stem(kinds[0], in_channels * (stacked or 1), style.normalise)
        size = 64
        for stage, (kind, num_blocks) in enumerate(zip(kinds[1:], STAGES[depth], strict=True)):
            channels = 64 * 2**stage
            blocks = []
            for index in range(num_blocks):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(BasicBlock(kind, size, channels, stride, style))
                size = channels
            self.add_module(f"layer{stage + 1}", Chain(*blocks))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(size, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def volume(self, x: Tensor, carry: VolumeCarry) -> Tensor:
        if self.stacked is not None:
            carry.need_clip("the first convolution reads the frames")
            if x.shape[2] != self.stacked:
                raise ActionstreamError(f"this network takes clips of {self.stacked} frames, not {x.shape[2]}")
            x = x.transpose(1, 2).flatten(1, 2).unsqueeze(2)
        x = self.stem(x, carry)
        for stage in (1, 2, 3, 4):
            x = self.get_submodule(f"layer{stage}")(x, carry)
        return x

    def head(self, features: Tensor) -> Tensor:
        return self.fc(self.dropout(features.mean(dim=(-3, -2, -1))))
