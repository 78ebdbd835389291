"""I3D (Carreira and Zisserman, CVPR 2017, arXiv:1705.07750): Inception inflated to 3D.

The bottom-heavy and top-heavy forms are those of arXiv:1712.04851, section 4.1.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from actionstream.models.clip_network import ClipNetwork
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.over_time import Chain, OverTime, VolumeCarry

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


# kernel and stride of the pools: POOLS as in the paper, LATE_POOLS as in IBM's action-recognition-pytorch
POOLS = {
    "pool1": ((1, 3, 3), (1, 2, 2)),
    "pool2": ((1, 3, 3), (1, 2, 2)),
    "pool4": ((3, 3, 3), (2, 2, 2)),
    "pool5": ((2, 2, 2), (2, 2, 2)),
}
LATE_POOLS = {
    "pool1": ((1, 3, 3), (1, 2, 2)),
    "pool2": ((3, 3, 3), (2, 2, 2)),
    "pool4": ((3, 3, 3), (2, 2, 2)),
    "pool5": ((3, 3, 3), (2, 2, 2)),
}


def pad(x: Tensor, carry: VolumeCarry, kernel: tuple[int, ...], stride: tuple[int, ...], centred: bool) -> Tensor:
    """Zero-pad a volume, for an output of ceil(size / stride); over time with what came before, frame by frame.

    With `centred` both sides get the same padding. Else the padding is TensorFlow's SAME: as little as possible, and
    an odd zero goes to the end.
    """
    pads: list[int] = []
    for size, each, step in reversed(list(zip(x.shape[-3:], kernel, stride, strict=True))):
        total = max((-(-size // step) - 1) * step + each - size, 0)
        pads += [each // 2, each // 2] if centred else [total // 2, total - total // 2]
    if carry.mode != "clip":
        pads[-2:] = 0, 0
        before = kernel[0] // 2 if centred else max(kernel[0] - stride[0], 0) // 2  # where strides divide the length
        x = carry.windows(x, size=kernel[0], stride=stride[0], padding=before)
    return functional.pad(x, pads) if any(pads) else x


class Convolution(OverTime):
    """A convolution with batch norm and ReLU; with `flat`, over space only."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: int,
        flat: bool,
        stride: tuple[int, int, int] = (1, 1, 1),
        centred: bool = False,
    ):
        super().__init__()
        kernel = (1 if flat else size, size, size)
        self.conv = nn.Conv3d(in_channels, out_channels, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(out_channels, eps=1e-3)
        self.centred = centred

    def forward(self, x: Tensor, carry: VolumeCarry) -> Tensor:
        return torch.relu(self.bn(self.conv(pad(x, carry, self.conv.kernel_size, self.conv.stride, self.centred))))


class Pool(OverTime):
    """A max-pool whose input is never negative (after a ReLU), so that zero padding does not change the maximum."""

    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int], centred: bool = False):
        super().__init__()
        self.kernel, self.stride, self.centred = kernel, stride, centred

    def forward(self, x: Tensor, carry: VolumeCarry) -> Tensor:
        return functional.max_pool3d(pad(x, carry, self.kernel, self.stride, self.centred), self.kernel, self.stride)


class Inception(OverTime):
    def __init__(self, in_channels: int, channels: tuple[int, int, int, int, int, int], flat: bool):
        super().__init__()
        one, reduce_1, three_1, reduce_2, three_2, pooled = channels
        self.branch0 = Convolution(in_channels, one, 1, flat)
        self.branch1 = Chain(Convolution(in_channels, reduce_1, 1, flat), Convolution(reduce_1, three_1, 3, flat))
        self.branch2 = Chain(Convolution(in_channels, reduce_2, 1, flat), Convolution(reduce_2, three_2, 3, flat))
        self.branch3 = Chain(Pool((3, 3, 3), (1, 1, 1)), Convolution(in_channels, pooled, 1, flat))
        self.out_channels = one + three_1 + three_2 + pooled

    def forward(self, x: Tensor, carry: VolumeCarry) -> Tensor:
        return torch.cat(carry.meet(x, self.branch0, self.branch1, self.branch2, self.branch3), dim=1)


class I3D(ClipNetwork):
    """Inception with convolutions over space and time, padded as TensorFlow's SAME.

    in_channels  3 for RGB, 2 for flow
    heavy        where convolutions go over time: "all", everywhere; "bottom", only before `border`; "top", only from
                 `border` on
    border       one of PLACES
    late         as in IBM's action-recognition-pytorch: the last three pools halve the time, instead of the first
                 convolution and the last two pools; and all padding is centred
    """

    def __init__(
        self,
        *,
        num_classes: int = 400,
        in_channels: int = 3,
        heavy: Heavy = "all",
        border: str = "4b",
        late: bool = False,
        dropout: float = 0.5,
    ):
        super().__init__(num_classes=num_classes, in_channels=in_channels)
        if heavy not in ("all", "bottom", "top") or border not in PLACES:
            raise ActionstreamError(
                f"{heavy!r} heavy from {border!r} on: it is all, bottom or top, and one of {PLACES}"
            )

        self.late = late

        def flat(place: str) -> bool:
            above = PLACES.index(place) >= PLACES.index(border)
            return heavy != "all" and above == (heavy == "bottom")

        def pool(name: str) -> Pool:
            return Pool(*(LATE_POOLS if late else POOLS)[name], late)

        self.features = Chain()
        stem_stride = (1 if late else 2, 2, 2)
        self.features.add_module("1a", Convolution(in_channels, 64, 7, flat("1a"), stem_stride, late))
        self.features.add_module("pool1", pool("pool1"))
        self.features.add_module("2b", Convolution(64, 64, 1, flat("2b")))
        self.features.add_module("2c", Convolution(64, 192, 3, flat("2c")))
        self.features.add_module("pool2", pool("pool2"))
        size = 192
        for place, channels in BLOCKS.items():
            if place in ("4b", "5b"):
                name = f"pool{place[0]}"
                self.features.add_module(name, pool(name))
            block = Inception(size, channels, flat(place))
            self.features.add_module(place, block)
            size = block.out_channels
        self.dropout = nn.Dropout(dropout)
        self.logits = nn.Linear(size, num_classes)

    def volume(self, x: Tensor, carry: VolumeCarry) -> Tensor:
        return self.features(x, carry)

    def head(self, features: Tensor) -> Tensor:
        if not self.late:
            features = average(features)
        return self.logits(self.dropout(features.mean(dim=(-3, -2, -1))))


def average(features: Tensor) -> Tensor:
    """Average pooling over 2 x 7 x 7 with stride 1; in longer clips the inner time steps count twice in the mean."""
    time, height, width = features.shape[-3:]
    return functional.avg_pool3d(features, (min(2, time), min(7, height), min(7, width)), stride=1)
