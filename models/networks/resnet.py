"""ResNet (He et al., CVPR 2016, arXiv:1512.03385), plain (TSN) or with temporal layers.

A temporal layer is a temporal shift (TSM, arXiv:1811.08383), temporal aggregation (TAM, arXiv:1912.00869), a non-local
block (arXiv:1711.07971) or pooling over time. The parameter names are torchvision's. The stride of a bottleneck is in
its 3x3 convolution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import dropwhile, takewhile
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool3d

from actionstream.models.common.choices import Shift
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.network import Carry, Network, ShiftPadding, State, TemporalShift
from actionstream.models.networks.non_local import Affinity, NonLocal
from actionstream.models.networks.tam import Temporal, TemporalAggregation, check_temporal, make_temporal

STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
NON_LOCAL_BLOCKS = {2: (0, 2), 3: (0, 2, 4)}
"""The blocks that a non-local block follows, by stage (arXiv:1711.07971, section 4.1: five blocks)."""

Place = Literal["blockres", "block"]
Layer = Callable[[Tensor, Carry], Tensor]


class Block(nn.Module):
    """A residual block with an optional temporal layer before its convolutions.

    place  input of the shortcut: "blockres", x; "block", the output of the temporal layer (arXiv:1811.08383, figure 4)
    """

    expansion: int

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        self.out_channels = out_channels
        self.temporal: TemporalShift | TemporalAggregation | None = None
        self.place: Place = "blockres"
        self.non_local: NonLocal | None = None
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def residual(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor, carry: Carry) -> Tensor:
        mixed = x if self.temporal is None else self.temporal(x, carry)
        shortcut = mixed if self.place == "block" else x
        if self.downsample is not None:
            shortcut = self.downsample(shortcut)
        x = torch.relu(self.residual(mixed) + shortcut)
        return x if self.non_local is None else _over_volumes(self.non_local, x, carry)


class BasicBlock(Block):
    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int):
        super().__init__(in_channels, channels, stride)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def residual(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(x))


class Bottleneck(Block):
    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int):
        super().__init__(in_channels, channels * self.expansion, stride)
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, self.out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(self.out_channels)

    def residual(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        return self.bn3(self.conv3(x))


class ResNet(Network):
    """ResNet-18 to 152, with an optional temporal layer at the start of every block.

    width          multiplies the channels of all stages (1 is the paper's)
    temporal       the temporal layer where `shift` is "uni" or "bi": "shift", or the learned "aggregation"
    shift_place    see Block. With "blockres", a network with 23 or more blocks in its third stage (101, 152) shifts in
                   every second block, as the TSM authors' network does.
    non_local      the affinity of non-local blocks, after blocks 0 and 2 of layer2 and 0, 2 and 4 of layer3
    pooled_stages  a max-pool halves the time before these stages: (2,) in TSM, (2, 3, 4) in IBM's TAM

    Non-local blocks and pooled stages need the future: with them the network takes whole clips.
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
        shift_place: Place = "blockres",
        temporal: Temporal = "shift",
        non_local: Affinity | None = None,
        pooled_stages: Iterable[int] = (),
        dropout: float = 0.0,
    ):
        super().__init__(
            num_classes=num_classes, in_channels=in_channels, shift=shift, n_div=n_div, shift_padding=shift_padding
        )
        if depth not in STAGES:
            raise ActionstreamError(f"depth is {depth}; a ResNet here has one of {', '.join(map(str, STAGES))}")
        if shift_place not in ("blockres", "block"):
            raise ActionstreamError(f'shift_place is {shift_place!r}; it is "blockres" or "block"')
        check_temporal(temporal)
        self.pooled_stages = frozenset(pooled_stages)
        if not self.pooled_stages <= {2, 3, 4}:
            raise ActionstreamError(f"time can be pooled before stages 2, 3 and 4, not {sorted(self.pooled_stages)}")
        self.streams = self.streams and non_local is None and not self.pooled_stages

        block = BasicBlock if depth < 50 else Bottleneck
        halved = STAGES[depth][2] >= 23 and shift_place == "blockres" and temporal == "shift"
        channels = [round(64 * width) * 2**stage for stage in range(4)]
        self.conv1 = nn.Conv2d(in_channels, channels[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels[0])
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        size = channels[0]
        for stage, num_blocks in enumerate(STAGES[depth], start=1):
            blocks: list[Block] = []
            for index in range(num_blocks):
                new = block(size, channels[stage - 1], 2 if stage > 1 and index == 0 else 1)
                new.place = shift_place
                if not (halved and index % 2):
                    new.temporal = make_temporal(self, temporal, size, relu=True)
                if non_local is not None and index in NON_LOCAL_BLOCKS.get(stage, ()):
                    new.non_local = NonLocal(new.out_channels, non_local)
                blocks.append(new)
                size = new.out_channels
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(size, num_classes)
        self.segment = None if self.streams else 1

        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.groups == 1:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def maps(self, frames: Tensor, state: State | None = None) -> tuple[list[Tensor], State]:
        carry = Carry(frames.shape[1], state)
        x, maps = self._stem(frames), []
        for stage in (1, 2, 3, 4):
            for layer in self._layers(stage):
                x = layer(x, carry)
            maps.append(x.unflatten(0, (-1, carry.num_snippets)))
        return maps, carry.state()

    def head(self, features: Tensor) -> Tensor:
        return self.fc(self.dropout(features.mean(dim=(-2, -1))))

    def first_part(self, frames: Tensor) -> Tensor:
        """Frames (B, T, C, H, W) to the input of the first block with a temporal layer (B, T, c, h, w)."""
        x, alone = self._stem(frames), Carry(frames.shape[1], None)
        for layer in takewhile(_is_alone, self._all_layers()):
            x = layer(x, alone)
        return x.unflatten(0, frames.shape[:2])

    def second_part(self, features: Tensor) -> Tensor:
        x, carry = features.flatten(0, 1), Carry(features.shape[1], None)
        for layer in dropwhile(_is_alone, self._all_layers()):
            x = layer(x, carry)
        return self.head(x.unflatten(0, (-1, carry.num_snippets))).mean(dim=1)

    def _stem(self, frames: Tensor) -> Tensor:
        return self.maxpool(torch.relu(self.bn1(self.conv1(frames.flatten(0, 1)))))

    def _all_layers(self) -> Iterator[Layer]:
        for stage in (1, 2, 3, 4):
            yield from self._layers(stage)

    def _layers(self, stage: int) -> Iterator[Layer]:
        if stage in self.pooled_stages:
            yield _halve_time
        yield from self.get_submodule(f"layer{stage}").children()


def _is_alone(layer: Layer) -> bool:
    """Whether a layer reads each frame on its own."""
    return isinstance(layer, Block) and layer.temporal is None and layer.non_local is None


def _halve_time(x: Tensor, carry: Carry) -> Tensor:
    x = _over_volumes(lambda volume: max_pool3d(volume, (3, 1, 1), (2, 1, 1), (1, 0, 0)), x, carry)
    carry.num_snippets = -(-carry.num_snippets // 2)
    return x


def _over_volumes(function: Callable[[Tensor], Tensor], x: Tensor, carry: Carry) -> Tensor:
    """Apply a function of volumes (B, C, T, H, W) to snippets (B * T, C, H, W)."""
    volume = function(x.unflatten(0, (-1, carry.num_snippets)).transpose(1, 2))
    return volume.transpose(1, 2).flatten(0, 1)
