"""I3D (Carreira and Zisserman, CVPR 2017, arXiv:1705.07750): Inception inflated.

Its mixed forms are those of arXiv:1712.04851, section 4.1.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.network import ClipNetwork

BLOCKS = {  # channels: 1 x 1; reduction and 3 x 3; reduction and 3 x 3; after the pool
    "3b": (64, 96, 128, 16, 32, 32),
    "3c": (128, 128, 192, 32, 96, 64),
    "4b": (192, 96, 208, 16, 48, 64),
    "4c": (160, 112, 224, 24, 64, 64),
    "4d": (128, 128, 256, 24, 64, 64),
    "4e": (112, 144, 288, 32, 64, 64),
    "4f": (256, 160, 320, 32, 128, 128),
    "5b": (256, 160, 320, 32, 128, 128),
    "5c": (384, 192, 384, 48, 128, 128),
}
PLACES = ("1a", "2b", "2c", *BLOCKS)

Heavy = Literal["all", "bottom", "top"]


def pad_same(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """Zeros for TensorFlow's SAME padding: ceil(size / stride) out, the odd one behind."""
    pads: list[int] = []
    for size, each, step in reversed(list(zip(x.shape[-3:], kernel, stride, strict=True))):
        total = max((-(-size // step) - 1) * step + each - size, 0)
        pads += [total // 2, total - total // 2]
    return functional.pad(x, pads) if any(pads) else x


class Convolution(nn.Module):
    """A convolution with batch norm and ReLU; over space only where `flat`."""

    def __init__(self, in_channels: int, out_channels: int, size: int, stride: int, flat: bool):
        super().__init__()
        kernel = (1 if flat else size, size, size)
        self.conv = nn.Conv3d(in_channels, out_channels, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(out_channels, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.bn(self.conv(pad_same(x, self.conv.kernel_size, self.conv.stride))))


class Pool(nn.Module):
    """A max-pool of what is never negative, so that zeros are as good as nothing."""

    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int]):
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        return functional.max_pool3d(pad_same(x, self.kernel, self.stride), self.kernel, self.stride)


class Inception(nn.Module):
    def __init__(self, in_channels: int, channels: tuple[int, int, int, int, int, int], flat: bool):
        super().__init__()
        one, reduce_1, three_1, reduce_2, three_2, pooled = channels
        self.branch0 = Convolution(in_channels, one, 1, 1, flat)
        self.branch1 = nn.Sequential(
            Convolution(in_channels, reduce_1, 1, 1, flat), Convolution(reduce_1, three_1, 3, 1, flat)
        )
        self.branch2 = nn.Sequential(
            Convolution(in_channels, reduce_2, 1, 1, flat), Convolution(reduce_2, three_2, 3, 1, flat)
        )
        self.branch3 = nn.Sequential(Pool((3, 3, 3), (1, 1, 1)), Convolution(in_channels, pooled, 1, 1, flat))
        self.out_channels = one + three_1 + three_2 + pooled

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch0(x), self.branch1(x), self.branch2(x), self.branch3(x)], dim=1)


class I3D(ClipNetwork):
    """Inception with convolutions over space and time, padded as TensorFlow's SAME.

    in_channels  3 for RGB, 2 for flow
    heavy        "all": over time everywhere; "bottom": below `border` only; "top": from `border` on only
    border       one of PLACES
    """

    def __init__(
        self,
        *,
        num_classes: int = 400,
        in_channels: int = 3,
        heavy: Heavy = "all",
        border: str = "4b",
        dropout: float = 0.5,
    ):
        super().__init__(num_classes=num_classes, in_channels=in_channels)
        if heavy not in ("all", "bottom", "top") or border not in PLACES:
            raise ValueError(f"{heavy!r} heavy from {border!r} on: it is all, bottom or top, and one of {PLACES}")

        def flat(place: str) -> bool:
            above = PLACES.index(place) >= PLACES.index(border)
            return heavy != "all" and above == (heavy == "bottom")

        self.features = nn.Sequential()
        self.features.add_module("1a", Convolution(in_channels, 64, 7, 2, flat("1a")))
        self.features.add_module("pool1", Pool((1, 3, 3), (1, 2, 2)))
        self.features.add_module("2b", Convolution(64, 64, 1, 1, flat("2b")))
        self.features.add_module("2c", Convolution(64, 192, 3, 1, flat("2c")))
        self.features.add_module("pool2", Pool((1, 3, 3), (1, 2, 2)))
        size = 192
        for place, channels in BLOCKS.items():
            if place == "4b":
                self.features.add_module("pool4", Pool((3, 3, 3), (2, 2, 2)))
            elif place == "5b":
                self.features.add_module("pool5", Pool((2, 2, 2), (2, 2, 2)))
            block = Inception(size, channels, flat(place))
            self.features.add_module(place, block)
            size = block.out_channels
        self.dropout = nn.Dropout(dropout)
        self.logits = nn.Linear(size, num_classes)

    def trunk(self, clip: Tensor) -> Tensor:  # type: ignore[override]
        return self.features(clip.transpose(1, 2))

    def head(self, features: Tensor) -> Tensor:
        time, height, width = features.shape[-3:]
        pooled = functional.avg_pool3d(features, (min(2, time), min(7, height), min(7, width)), stride=1)
        return self.logits(self.dropout(pooled.mean(dim=(-3, -2, -1))))
