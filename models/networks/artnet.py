"""ARTNet (Wang et al., CVPR 2018, arXiv:1711.09125): appearance and relation, learned side by side."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from actionstream.models.clip_network import ClipNetwork
from actionstream.models.networks.bottleneck3d import initialise
from actionstream.models.over_time import Branch, Chain, Conv3d, OverTime, VolumeCarry


class Smart(OverTime):
    """A SMART block (section 3.2): an appearance branch and a relation branch, concatenated and reduced.

    Appearance is a convolution over space. Relation is a convolution over space and time, squared, and averaged over
    pairs of channels.
    """

    def __init__(self, in_channels: int, out_channels: int, size: int, stride: tuple[int, int, int], bias: bool):
        super().__init__()
        around = size // 2
        self.appearance = Chain(
            Conv3d(in_channels, out_channels, (1, size, size), stride, (0, around, around), bias=bias),
            nn.BatchNorm3d(out_channels),
        )
        self.relation = Chain(
            Conv3d(in_channels, out_channels, (3, size, size), stride, (1, around, around), bias=bias),
            nn.BatchNorm3d(out_channels),
        )
        self.relation_norm = nn.BatchNorm3d(out_channels // 2)
        self.reduce = Conv3d(out_channels + out_channels // 2, out_channels, 1, bias=bias)

    def forward(self, x: Tensor, carry: VolumeCarry) -> Tensor:
        both = torch.cat(carry.meet(x, self.appearance, self._related), dim=1)
        return self.reduce(torch.relu(both), carry)

    def _related(self, x: Tensor, carry: VolumeCarry) -> Tensor:
        return self.relation_norm(self.relation(x, carry).square().unflatten(1, (-1, 2)).mean(dim=2))


class Block(OverTime):
    """A pre-activation residual block: batch norm and ReLU come before each convolution.

    smart  whether the second convolution is a SMART block
    bias   whether the convolutions have a bias; in the released network, from the second stage on
    """

    def __init__(self, in_channels: int, channels: int, *, smart: bool, bias: bool):
        super().__init__()
        stride = 1 if in_channels == channels else 2
        self.norm = nn.BatchNorm3d(in_channels)
        self.conv1 = Conv3d(in_channels, channels, 3, stride, 1, bias=bias)
        self.bn1 = nn.BatchNorm3d(channels)
        self.conv2: OverTime = (
            Smart(channels, channels, 3, (1, 1, 1), bias) if smart else Conv3d(channels, channels, 3, 1, 1, bias=bias)
        )
        self.downsample = Conv3d(in_channels, channels, 3, stride, 1, bias=bias) if stride > 1 else None

    def forward(self, x: Tensor, carry: VolumeCarry) -> Tensor:
        active = torch.relu(self.norm(x))
        shortcut: Branch = (lambda *_: x) if self.downsample is None else self.downsample
        return torch.add(*carry.meet(active, self._branch, shortcut))

    def _branch(self, active: Tensor, carry: VolumeCarry) -> Tensor:
        return self.conv2(torch.relu(self.bn1(self.conv1(active, carry))), carry)


class ARTNet(ClipNetwork):
    """ARTNet-ResNet18 (d), for 16 frames of 112 x 112 pixels.

    SMART blocks are its first convolution, and the second convolution of each block of the first three stages.
    """

    layer1: Chain
    layer2: Chain
    layer3: Chain
    layer4: Chain

    def __init__(self, *, num_classes: int = 400, in_channels: int = 3, dropout: float = 0.2):
        super().__init__(num_classes=num_classes, in_channels=in_channels)
        self.stem = Smart(in_channels, 64, 7, (2, 2, 2), bias=False)
        size = 64
        for stage in range(4):
            channels = 64 * 2**stage
            kind = {"smart": stage < 3, "bias": stage > 0}
            blocks = (Block(size, channels, **kind), Block(channels, channels, **kind))
            self.add_module(f"layer{stage + 1}", Chain(*blocks))
            size = channels
        self.norm = nn.BatchNorm3d(size)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(size, num_classes)
        initialise(self)

    def volume(self, x: Tensor, carry: VolumeCarry) -> Tensor:
        for part in (self.stem, self.layer1, self.layer2, self.layer3, self.layer4):
            x = part(x, carry)
        return torch.relu(self.norm(x))

    def head(self, features: Tensor) -> Tensor:
        return self.fc(self.dropout(features.mean(dim=(-3, -2, -1))))
