"""S3D and S3D-G (Xie et al., ECCV 2018, arXiv:1712.04851): Inception with convolutions over space and then over time.

The parameter names are torchvision's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from actionstream.models.clip_network import ClipNetwork
from actionstream.models.networks.i3d import BLOCKS, average
from actionstream.models.over_time import Chain, Conv3d, MaxPool3d, OverTime, VolumeCarry


class Gate(OverTime):
    """Feature gating (section 4.3): a weight for each channel, computed from the means of all channels."""

    def __init__(self, channels: int):
        super().__init__()
        self.linear = nn.Linear(channels, channels)

    def forward(self, x: Tensor, carry: VolumeCarry) -> Tensor:
        means = carry.clip_mean(x, "its gates need the means").movedim(1, -1)
        return x * torch.sigmoid(self.linear(means)).movedim(-1, 1)


def _convolution(in_channels: int, out_channels: int, kernel, stride=1, padding=0, bias=False) -> Chain:
    return Chain(
        Conv3d(in_channels, out_channels, kernel, stride, padding, bias=bias),
        nn.BatchNorm3d(out_channels, eps=1e-3, momentum=1e-3),
        nn.ReLU(),
    )


def _separable(
    in_channels: int, out_channels: int, size: int = 3, stride: int = 1, *, gated: bool, bias: bool
) -> Chain:
    """A convolution over space, then one over time; `bias` is for the latter."""
    around = size // 2
    return Chain(
        _convolution(in_channels, out_channels, (1, size, size), (1, stride, stride), (0, around, around)),
        _convolution(out_channels, out_channels, (size, 1, 1), (stride, 1, 1), (around, 0, 0), bias),
        *([Gate(out_channels)] if gated else []),
    )


class Inception(OverTime):
    def __init__(self, in_channels: int, channels: tuple[int, int, int, int, int, int], gated: bool, bias: bool):
        super().__init__()
        one, reduce_1, three_1, reduce_2, three_2, pooled = channels
        kind = {"gated": gated, "bias": bias}
        self.branch0 = _convolution(in_channels, one, 1)
        self.branch1 = Chain(_convolution(in_channels, reduce_1, 1), _separable(reduce_1, three_1, **kind))
        self.branch2 = Chain(_convolution(in_channels, reduce_2, 1), _separable(reduce_2, three_2, **kind))
        self.branch3 = Chain(MaxPool3d(3, 1, 1), _convolution(in_channels, pooled, 1))
        self.out_channels = one + three_1 + three_2 + pooled

    def forward(self, x: Tensor, carry: VolumeCarry) -> Tensor:
        return torch.cat(carry.meet(x, self.branch0, self.branch1, self.branch2, self.branch3), dim=1)


class S3D(ClipNetwork):
    """Takes clips of 16 frames or more, of 224 x 224 pixels in the paper.

    gated  S3D-G: with feature gating
    late   as in IBM's action-recognition-pytorch: the last three pools halve the time, instead of the first convolution
           and the last two pools; the first convolution is a full 3D one; and convolutions over time have a bias
    """

    def __init__(
        self,
        *,
        num_classes: int = 400,
        in_channels: int = 3,
        gated: bool = False,
        late: bool = False,
        dropout: float = 0.2,
    ):
        super().__init__(num_classes=num_classes, in_channels=in_channels)
        self.late = late
        layers: list[nn.Module] = [
            _convolution(in_channels, 64, (3, 7, 7), (1, 2, 2), (1, 3, 3))
            if late
            else _separable(in_channels, 64, 7, 2, gated=gated, bias=False),
            MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            _convolution(64, 64, 1),
            _separable(64, 192, gated=gated, bias=late),
            MaxPool3d(3, 2, 1) if late else MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        ]
        size = 192
        for name, channels in BLOCKS.items():
            if name == "4b":
                layers.append(MaxPool3d(3, 2, 1))
            elif name == "5b":
                layers.append(MaxPool3d(2, 2))
            block = Inception(size, channels, gated, bias=late)
            layers.append(block)
            size = block.out_channels
        self.features = Chain(*layers)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Conv3d(size, num_classes, 1))

    def volume(self, x: Tensor, carry: VolumeCarry) -> Tensor:
        return self.features(x, carry)

    def head(self, features: Tensor) -> Tensor:
        if not self.late:
            features = average(features)
        return self.classifier(features).mean(dim=(-3, -2, -1))
