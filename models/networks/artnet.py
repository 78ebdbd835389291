"""ARTNet (Wang et al., CVPR 2018, arXiv:1711.09125): appearance and relation, learned side by side."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from actionstream.models.network import ClipNetwork
from actionstream.models.networks.bottleneck3d import initialise


class Smart(nn.Module):
    """A SMART block (section 3.2): an appearance branch and a relation branch, concatenated and reduced.

    Appearance is a convolution over space. Relation is a convolution over space and time, squared, and averaged over
    pairs of channels.
    """

    def __init__(self, in_channels: int, out_channels: int, size: int, stride: tuple[int, int, int], bias: bool):
        super().__init__()
        around = size // 2
        self.appearance = nn.Sequential(
            nn.Conv3d(in_channels, out_channels, (1, size, size), stride, (0, around, around), bias=bias),
            nn.BatchNorm3d(out_channels),
        )
        self.relation = nn.Sequential(
            nn.Conv3d(in_channels, out_channels, (3, size, size), stride, (1, around, around), bias=bias),
            nn.BatchNorm3d(out_channels),
        )
        self.relation_norm = nn.BatchNorm3d(out_channels // 2)
        self.reduce = nn.Conv3d(out_channels + out_channels // 2, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        related = self.relation(x).square().unflatten(1, (-1, 2)).mean(dim=2)
        both = torch.cat([self.appearance(x), self.relation_norm(related)], dim=1)
        return self.reduce(torch.relu(both))


class Block(nn.Module):
    """A pre-activation residual block: batch norm and ReLU come before each convolution.

    smart  whether the second convolution is a SMART block
    bias   whether the convolutions have a bias; in the released network, from the second stage on
    """

    def __init__(self, in_channels: int, channels: int, *, smart: bool, bias: bool):
        super().__init__()
        stride = 1 if in_channels == channels else 2
        self.norm = nn.BatchNorm3d(in_channels)
        self.conv1 = nn.Conv3d(in_channels, channels, 3, stride, 1, bias=bias)
        self.bn1 = nn.BatchNorm3d(channels)
        self.conv2: nn.Module = (
            Smart(channels, channels, 3, (1, 1, 1), bias)
            if smart
            else nn.Conv3d(channels, channels, 3, 1, 1, bias=bias)
        )
        self.downsample = nn.Conv3d(in_channels, channels, 3, stride, 1, bias=bias) if stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        active = torch.relu(self.norm(x))
        shortcut = x if self.downsample is None else self.downsample(active)
        return self.conv2(torch.relu(self.bn1(self.conv1(active)))) + shortcut


class ARTNet(ClipNetwork):
    """ARTNet-ResNet18 (d), for 16 frames of 112 x 112 pixels.

    SMART blocks are its first convolution, and the second convolution of each block of the first three stages.
    """

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(self, *, num_classes: int = 400, in_channels: int = 3, dropout: float = 0.2):
        super().__init__(num_classes=num_classes, in_channels=in_channels)
        self.stem = Smart(in_channels, 64, 7, (2, 2, 2), bias=False)
        size = 64
        for stage in range(4):
            channels = 64 * 2**stage
            kind = {"smart": stage < 3, "bias": stage > 0}
            blocks = (Block(size, channels, **kind), Block(channels, channels, **kind))
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
            size = channels
        self.norm = nn.BatchNorm3d(size)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(size, num_classes)
        initialise(self)

    def trunk(self, clip: Tensor) -> Tensor:  # type: ignore[override]
        x = self.layer2(self.layer1(self.stem(clip.transpose(1, 2))))
        return torch.relu(self.norm(self.layer4(self.layer3(x))))

    def head(self, features: Tensor) -> Tensor:
        return self.fc(self.dropout(features.mean(dim=(-3, -2, -1))))
