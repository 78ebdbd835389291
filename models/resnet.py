"""ResNet (He et al., CVPR 2016, arXiv:1512.03385), plain or with temporal shifts (TSM, arXiv:1811.08383).

The names of its parameters are torchvision's. The stride of a bottleneck is in its 3x3 convolution.
"""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor, nn

from models.network import Carry, Network, Shift, ShiftPadding, State, TemporalShift

STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int, shift: TemporalShift | None):
        super().__init__()
        self.shift = shift
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _downsample(in_channels, channels, stride)

    def forward(self, x: Tensor, carry: Carry) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        if self.shift is not None:
            x = self.shift(x, carry)
        x = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(x)) + shortcut)


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int, shift: TemporalShift | None):
        super().__init__()
        out_channels = channels * self.expansion
        self.shift = shift
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = _downsample(in_channels, out_channels, stride)

    def forward(self, x: Tensor, carry: Carry) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        if self.shift is not None:
            x = self.shift(x, carry)
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        return torch.relu(self.bn3(self.conv3(x)) + shortcut)


def _downsample(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))


class ResNet(Network):
    """ResNet-18 to 152 with a shift before the first convolution of every block.

    In the official placement a network whose third stage has 23 blocks or more (101, 152) shifts in every
    second block. `width` scales the channels of all stages (1 is the paper's).
    """

    def __init__(
        self,
        depth: int = 50,
        *,
        num_classes: int = 400,
        in_channels: int = 3,
        width: float = 1.0,
        shift: Shift = "none",
        n_div: int = 8,
        shift_padding: ShiftPadding = "zero",
        dropout: float = 0.0,
    ):
        super().__init__(
            num_classes=num_classes, in_channels=in_channels, shift=shift, n_div=n_div, shift_padding=shift_padding
        )
        if depth not in STAGES:
            raise ValueError(f"depth is {depth}; a ResNet here has one of {', '.join(map(str, STAGES))}")
        block = BasicBlock if depth < 50 else Bottleneck
        every = 2 if STAGES[depth][2] >= 23 else 1
        channels = [round(64 * width) * 2**stage for stage in range(4)]

        self.conv1 = nn.Conv2d(in_channels, channels[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels[0])
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        size = channels[0]
        for stage, num_blocks in enumerate(STAGES[depth]):
            blocks = []
            for index in range(num_blocks):
                stride = 2 if stage > 0 and index == 0 else 1
                placed = self._make_shift() if index % every == 0 else None
                blocks.append(block(size, channels[stage], stride, placed))
                size = channels[stage] * block.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(size, num_classes)

        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def trunk(self, frames: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        carry = Carry(frames.shape[1], state)
        x = self.maxpool(torch.relu(self.bn1(self.conv1(frames.flatten(0, 1)))))
        for block in chain(*(self.get_submodule(f"layer{stage}").children() for stage in (1, 2, 3, 4))):
            x = block(x, carry)
        return x.unflatten(0, frames.shape[:2]), carry.state()

    def head(self, features: Tensor) -> Tensor:
        return self.fc(self.dropout(features.mean(dim=(-2, -1))))
