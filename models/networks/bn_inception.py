"""BN-Inception (Ioffe and Szegedy, ICML 2015, arXiv:1502.03167), the network of TSN (arXiv:1608.00859).

Plain, or with a temporal shift (arXiv:1811.08383) at the start of every block but the first.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from actionstream.models.common.choices import Shift
from actionstream.models.network import Carry, Network, ShiftPadding, State

# channels of the branches: 1 x 1; reduction and 3 x 3; reduction and two 3 x 3; 1 x 1 after the pool; then the pool.
# A block without a 1 x 1 branch halves the resolution, and has no convolution after its pool.
BLOCKS: dict[str, tuple[int, int, int, int, int, int, type[nn.Module]]] = {
    "3a": (64, 64, 64, 64, 96, 32, nn.AvgPool2d),
    "3b": (64, 64, 96, 64, 96, 64, nn.AvgPool2d),
    "3c": (0, 128, 160, 64, 96, 0, nn.MaxPool2d),
    "4a": (224, 64, 96, 96, 128, 128, nn.AvgPool2d),
    "4b": (192, 96, 128, 96, 128, 128, nn.AvgPool2d),
    "4c": (160, 128, 160, 128, 160, 128, nn.AvgPool2d),
    "4d": (96, 128, 192, 160, 192, 128, nn.AvgPool2d),
    "4e": (0, 128, 192, 192, 256, 0, nn.MaxPool2d),
    "5a": (352, 192, 320, 160, 224, 128, nn.AvgPool2d),
    "5b": (352, 192, 320, 192, 224, 128, nn.MaxPool2d),
}


def _convolution(in_channels: int, out_channels: int, size: int = 1, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, size, stride, size // 2), nn.BatchNorm2d(out_channels), nn.ReLU()
    )


class Inception(nn.Module):
    def __init__(self, in_channels: int, block: str):
        super().__init__()
        one, reduce_1, three, reduce_2, twice, after, pool = BLOCKS[block]
        stride = 1 if one else 2
        branches: dict[str, nn.Module] = {"one": _convolution(in_channels, one)} if one else {}
        branches["three"] = nn.Sequential(_convolution(in_channels, reduce_1), _convolution(reduce_1, three, 3, stride))
        branches["twice"] = nn.Sequential(
            _convolution(in_channels, reduce_2), _convolution(reduce_2, twice, 3), _convolution(twice, twice, 3, stride)
        )
        pooling = pool(3, stride, 1 if one else 0, ceil_mode=True)
        branches["pooled"] = nn.Sequential(pooling, _convolution(in_channels, after)) if after else pooling
        self.branches = nn.ModuleDict(branches)
        self.out_channels = one + three + twice + (after or in_channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches.values()], dim=1)


class BNInception(Network):
    """BN-Inception. Its published weights expect BGR pictures; see Preprocessing."""

    def __init__(
        self,
        *,
        num_classes: int = 400,
        in_channels: int = 3,
        shift: Shift = "none",
        n_div: int = 8,
        shift_padding: ShiftPadding = "zero",
        dropout: float = 0.0,
    ):
        super().__init__(
            num_classes=num_classes, in_channels=in_channels, shift=shift, n_div=n_div, shift_padding=shift_padding
        )
        self.stem = nn.Sequential(_convolution(in_channels, 64, 7, 2), nn.MaxPool2d(3, 2, ceil_mode=True))
        second = nn.Sequential(_convolution(64, 64), _convolution(64, 192, 3), nn.MaxPool2d(3, 2, ceil_mode=True))
        size = 192
        blocks: dict[str, nn.Module] = {"2": second}
        for name in BLOCKS:
            block = Inception(size, name)
            blocks[name] = block
            size = block.out_channels
        self.blocks = nn.ModuleDict(blocks)
        self.shifts = nn.ModuleList(filter(None, (self.make_shift() for _ in blocks)))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(size, num_classes)
        self.segment = None if self.streams else 1
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def maps(self, frames: Tensor, state: State | None = None) -> tuple[list[Tensor], State]:
        features, state = self._over_time(self.first_part(frames), state)
        return [features], state

    def head(self, features: Tensor) -> Tensor:
        return self.fc(self.dropout(features.mean(dim=(-2, -1))))

    def first_part(self, frames: Tensor) -> Tensor:
        return self.stem(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])

    def second_part(self, features: Tensor) -> Tensor:
        return self.head(self._over_time(features, None)[0]).mean(dim=1)

    def _over_time(self, features: Tensor, state: State | None) -> tuple[Tensor, State]:
        carry = Carry(features.shape[1], state)
        x = features.flatten(0, 1)
        for index, block in enumerate(self.blocks.values()):
            if self.shifts:
                x = self.shifts[index](x, carry)
            x = block(x)
        return x.unflatten(0, features.shape[:2]), carry.state()
