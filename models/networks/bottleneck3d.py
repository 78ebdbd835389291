"""3D ResNets of bottleneck blocks, the base of several networks.

The parameter names are those of torchvision's 2D ResNets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from actionstream.models.clip_network import ClipNetwork
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.networks.non_local import NonLocal
from actionstream.models.networks.resnet import STAGES
from actionstream.models.over_time import Chain, Conv3d, MaxPool3d, OverTime, VolumeCarry, residual

Stride = tuple[int, int, int]
Middle = Callable[[int, Stride], OverTime]
"""Makes the second convolution of a block from its number of channels and its stride."""


def middle_3x3(time: int = 1) -> Middle:
    """A convolution over `time` frames and 3 x 3 pixels."""

    def make(channels: int, stride: Stride) -> OverTime:
        return Conv3d(channels, channels, (time, 3, 3), stride, (time // 2, 1, 1), bias=False)

    return make


class Bottleneck3D(OverTime):
    """A 3D bottleneck block; `first` is the temporal kernel size of its first convolution (first x 1 x 1)."""

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        stride: Stride = (1, 1, 1),
        first: int = 1,
        middle: Middle,
        normalise: Callable[[int], nn.Module] = nn.BatchNorm3d,
    ):
        super().__init__()
        out_channels = channels * self.expansion
        self.conv1 = Conv3d(in_channels, channels, (first, 1, 1), 1, (first // 2, 0, 0), bias=False)
        self.bn1 = normalise(channels)
        self.conv2 = middle(channels, stride)
        self.bn2 = normalise(channels)
        self.conv3 = Conv3d(channels, out_channels, 1, bias=False)
        self.bn3 = normalise(out_channels)
        self.downsample: Chain | None = None
        if stride != (1, 1, 1) or in_channels != out_channels:
            self.downsample = Chain(Conv3d(in_channels, out_channels, 1, stride, bias=False), normalise(out_channels))
        self.non_local: NonLocal | None = None

    def branch(self, x: Tensor, carry: VolumeCarry) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(x, carry)))
        x = torch.relu(self.bn2(self.conv2(x, carry)))
        return self.bn3(self.conv3(x, carry))

    def forward(self, x: Tensor, carry: VolumeCarry) -> Tensor:
        x = torch.relu(residual(x, carry, self.branch, self.downsample))
        if self.non_local is None:
            return x
        carry.need_clip("non-local blocks compare all frames")
        return self.non_local(x)


def make_stage(
    in_channels: int,
    channels: int,
    num_blocks: int,
    *,
    stride: Stride,
    first: Sequence[int] = (1,),
    block: Callable[..., Bottleneck3D] = Bottleneck3D,
    **arguments,
) -> Chain:
    """A sequence of blocks; the first block has the stride, and the sizes in `first` repeat over the blocks."""
    blocks = []
    for index in range(num_blocks):
        make = partial(block, stride=stride if index == 0 else (1, 1, 1), first=first[index % len(first)], **arguments)
        blocks.append(make(in_channels if index == 0 else channels * Bottleneck3D.expansion, channels))
    return Chain(*blocks)


class BottleneckNetwork(ClipNetwork):
    """A stem, four stages of bottlenecks, the mean, a linear layer.

    stem     temporal kernel size and temporal stride of the first convolution
    pool     temporal kernel size and temporal stride of the max-pool after it
    blocks   the block class of each stage
    first    for each stage the temporal kernel sizes of the blocks' first convolutions, repeated over the blocks
    middle   makes the second convolution of a block
    strides  temporal strides of the stages
    """

    layer1: Chain
    layer2: Chain
    layer3: Chain
    layer4: Chain

    def __init__(
        self,
        depth: int,
        *,
        num_classes: int,
        in_channels: int,
        dropout: float,
        stem: tuple[int, int] = (1, 1),
        pool: tuple[int, int] = (1, 1),
        blocks: Sequence[Callable[..., Bottleneck3D]] = (Bottleneck3D,) * 4,
        first: Sequence[Sequence[int]] = ((1,),) * 4,
        middle: Middle,
        strides: Sequence[int] = (1, 1, 1, 1),
        normalise: Callable[[int], nn.Module] = nn.BatchNorm3d,
    ):
        super().__init__(num_classes=num_classes, in_channels=in_channels)
        check_depth(depth)
        self.conv1 = Conv3d(in_channels, 64, (stem[0], 7, 7), (stem[1], 2, 2), (stem[0] // 2, 3, 3), bias=False)
        self.bn1 = normalise(64)
        self.maxpool = MaxPool3d((pool[0], 3, 3), (pool[1], 2, 2), (pool[0] // 2, 1, 1))
        size = 64
        for stage, num_blocks in enumerate(STAGES[depth]):
            channels, step = 64 * 2**stage, 2 if stage > 0 else 1
            made = make_stage(
                size,
                channels,
                num_blocks,
                stride=(strides[stage], step, step),
                block=blocks[stage],
                first=first[stage],
                middle=middle,
                normalise=normalise,
            )
            self.add_module(f"layer{stage + 1}", made)
            size = channels * Bottleneck3D.expansion
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(size, num_classes)
        initialise(self)

    def volume(self, x: Tensor, carry: VolumeCarry) -> Tensor:
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x, carry))), carry)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x, carry)
        return x

    def head(self, features: Tensor) -> Tensor:
        return self.fc(self.dropout(features.mean(dim=(-3, -2, -1))))


def check_depth(depth: int) -> None:
    if depth not in (50, 101, 152):
        raise ActionstreamError(f"depth is {depth}; a ResNet of bottlenecks has 50, 101 or 152")


def initialise(network: nn.Module) -> None:
    """He initialisation of all convolutions."""
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
