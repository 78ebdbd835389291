"""MobileNetV2 (Sandler et al., CVPR 2018, arXiv:1801.04381), plain or with temporal layers.

They are temporal shifts (TSM, arXiv:1811.08383) or temporal aggregation (TAM, arXiv:1912.00869). The names of its
parameters are torchvision's.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from actionstream.models.common.choices import Shift
from actionstream.models.network import Carry, Network, ShiftPadding, State, TemporalShift
from actionstream.models.networks.tam import Temporal, TemporalAggregation, check_temporal, make_temporal

Stage = tuple[int, int, int, int, int]
"""Expand ratio, channels, number of blocks, stride of the first, and side of the depthwise kernels."""


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding: ceil(size / stride) out, the odd pixel at the bottom and right."""

    def forward(self, x: Tensor) -> Tensor:
        pads = []
        for axis in (-1, -2):
            size, kernel, stride = x.shape[axis], self.kernel_size[axis], self.stride[axis]
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(functional.pad(x, pads))


def _conv_bn(in_channels: int, out_channels: int, kernel: int, stride: int, groups: int, same: bool) -> nn.Sequential:
    if same and stride > 1:
        conv: nn.Conv2d = SameConv2d(in_channels, out_channels, kernel, stride, groups=groups, bias=False)
    else:
        conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU6())


class InvertedResidual(nn.Module):
    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        expand: int,
        kernel: int,
        same: bool,
        temporal: TemporalShift | TemporalAggregation | None,
    ):
        super().__init__()
        hidden = in_channels * expand
        self.temporal = temporal
        self.residual = stride == 1 and in_channels == channels
        layers: list[nn.Module] = [] if expand == 1 else [_conv_bn(in_channels, hidden, 1, 1, 1, same)]
        self.conv = nn.Sequential(
            *layers,
            _conv_bn(hidden, hidden, kernel, stride, hidden, same),
            nn.Conv2d(hidden, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor, carry: Carry) -> Tensor:
        shortcut = x
        if self.temporal is not None:
            x = self.temporal(x, carry)
        x = self.conv(x)
        return x + shortcut if self.residual else x


class MobileNetV2(Network):
    """MobileNetV2 with a temporal layer at the start of every inverted residual that expands and has a shortcut.

    temporal     where `shift` is "uni" or "bi": "shift", or the learned "aggregation", which ends with no ReLU here, as
                 the bottlenecks that it reads have none
    width        multiplies the channels, which stay multiples of 8
    same         TensorFlow's SAME padding in the strided convolutions, for weights that were trained with it
    first_shift  index in `features` of the first block that may have one; the layers before it see single frames
    """

    stages: ClassVar[tuple[Stage, ...]] = (  # table 2 of the paper
        (1, 16, 1, 1, 3),
        (6, 24, 2, 2, 3),
        (6, 32, 3, 2, 3),
        (6, 64, 4, 2, 3),
        (6, 96, 3, 1, 3),
        (6, 160, 3, 2, 3),
        (6, 320, 1, 1, 3),
    )
    norm_eps: ClassVar[float] = 1e-5

    def __init__(
        self,
        *,
        num_classes: int = 400,
        in_channels: int = 3,
        width: float = 1.0,
        same: bool = False,
        shift: Shift = "none",
        n_div: int = 8,
        shift_padding: ShiftPadding = "zero",
        temporal: Temporal = "shift",
        first_shift: int = 0,
        dropout: float = 0.0,
    ):
        super().__init__(
            num_classes=num_classes, in_channels=in_channels, shift=shift, n_div=n_div, shift_padding=shift_padding
        )
        check_temporal(temporal)
        size = _round_channels(32 * width)
        blocks: list[nn.Module] = [_conv_bn(in_channels, size, 3, 2, 1, same)]
        ends: list[int] = []
        for expand, channels, num_blocks, first_stride, kernel in self.stages:
            channels = _round_channels(channels * width)
            for index in range(num_blocks):
                stride = first_stride if index == 0 else 1
                shifts = expand > 1 and stride == 1 and size == channels and len(blocks) >= first_shift
                placed = make_temporal(self, temporal, size, relu=False) if shifts else None
                blocks.append(InvertedResidual(size, channels, stride, expand, kernel, same, placed))
                size = channels
            ends.append(len(blocks) - 1)
        last = _round_channels(1280 * max(1.0, width))
        blocks.append(_conv_bn(size, last, 1, 1, 1, same))
        self.features = nn.Sequential(*blocks)
        self._ends = (*ends, len(blocks) - 1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(last, num_classes))

        for module in self.modules():
            if isinstance(module, nn.Conv2d) and (
                module.groups == 1 or module.kernel_size != (1, 1)
            ):  # not aggregation
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.BatchNorm2d):
                module.eps = self.norm_eps

    def maps(self, frames: Tensor, state: State | None = None) -> tuple[list[Tensor], State]:
        carry = Carry(frames.shape[1], state)
        x, maps = frames.flatten(0, 1), []
        for index, block in enumerate(self.features):
            x = block(x, carry) if isinstance(block, InvertedResidual) else block(x)
            if index in self._ends:
                maps.append(x.unflatten(0, frames.shape[:2]))
        return maps, carry.state()

    def head(self, features: Tensor) -> Tensor:
        return self.classifier(features.mean(dim=(-2, -1)))


def _round_channels(channels: float) -> int:
    """The nearest multiple of 8, at least 8 and never more than 10 % below."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
