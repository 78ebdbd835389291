"""SmallBigNet (Li et al., CVPR 2020, arXiv:2006.14582): each convolution reads its input and a max-pool of it.

small = BN(conv(x)), big = BN0(conv(maxpool(x))) with the same conv, and the output is small + big.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool3d

from actionstream.models.networks.bottleneck3d import Bottleneck3D, BottleneckNetwork, middle_3x3
from actionstream.models.over_time import VolumeCarry


class SmallBig(Bottleneck3D):
    """A bottleneck with a small and a big view in each convolution; the last big view spans the whole clip."""

    def __init__(self, in_channels: int, channels: int, **arguments):
        super().__init__(in_channels, channels, **arguments)
        self.big1 = nn.BatchNorm3d(channels)
        self.big2 = nn.BatchNorm3d(channels)
        self.big3 = nn.BatchNorm3d(channels * self.expansion)
        for norm in (self.big1, self.big2, self.big3):
            nn.init.zeros_(norm.weight)  # the block starts as a plain bottleneck

    def branch(self, x: Tensor, carry: VolumeCarry) -> Tensor:
        carry.need_clip("the last big view spans all frames")
        x = torch.relu(self.bn1(self.conv1(x, carry)) + self.big1(self.conv1(max_pool3d(x, 3, 1, 1), carry)))
        x = torch.relu(self.bn2(self.conv2(x, carry)) + self.big2(self.conv2(max_pool3d(x, 3, 1, 1), carry)))
        everything = max_pool3d(x, (x.shape[2], 3, 3), 1, (0, 1, 1))
        return self.bn3(self.conv3(x, carry)) + self.big3(self.conv3(everything, carry))


class SmallBigNet(BottleneckNetwork):
    """SmallBigNet-R50 or R101: convolutions over space only, and SmallBig blocks in all stages but the first."""

    def __init__(self, depth: int = 50, *, num_classes: int = 400, in_channels: int = 3, dropout: float = 0.5):
        super().__init__(
            depth,
            num_classes=num_classes,
            in_channels=in_channels,
            dropout=dropout,
            blocks=(Bottleneck3D, SmallBig, SmallBig, SmallBig),
            middle=middle_3x3(),
        )
