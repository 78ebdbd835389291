"""Timeception (Hussein et al., CVPR 2019, arXiv:1812.01289): temporal convolutions over minutes of video.

Their input is the features of a backbone, `trunk`.

Letters: B videos, S segments of a video, C channels, T steps of time, G groups of channels.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool3d, pad

from actionstream.models.catalogue import create
from actionstream.models.clip_network import ClipNetwork
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.network import Network

Scales = Literal["kernels", "dilations", "fixed"]
SCALES: dict[str, tuple[tuple[int, int], ...]] = {
    "kernels": ((3, 1), (5, 1), (7, 1)),
    "dilations": ((3, 1), (3, 2), (3, 3)),
    "fixed": ((3, 1), (3, 1), (3, 1)),
}
"""Size and dilation of the three temporal convolutions of a layer (section 3.3; "fixed" is the baseline of 4.2)."""
GROUPS = 8


class Branch(nn.Module):
    """A grouped 1 x 1 x 1 convolution that reduces the channels, then a temporal layer."""

    def __init__(self, in_channels: int, channels: int, over_time: nn.Module):
        super().__init__()
        self.reduce = nn.Conv3d(in_channels, channels, 1, groups=GROUPS)
        self.over_time = over_time
        self.norm = nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.over_time(self.reduce(x)))


class TemporalConv(nn.Conv3d):
    """A depthwise convolution over time, computed by conv2d, which trains tens of times faster on a CPU."""

    def __init__(self, channels: int, size: int, dilation: int):
        super().__init__(channels, channels, (size, 1, 1), dilation=(dilation, 1, 1), groups=channels)
        self.around = size // 2 * dilation

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(3)
        along = conv2d(rows, self.weight[..., 0], self.bias, 1, (self.around, 0), self.dilation[:2], self.groups)
        return along.unflatten(3, x.shape[3:])


class MaxOfTwo(nn.Module):
    """The maximum of each time step and the one before it; the first step is repeated."""

    def forward(self, x: Tensor) -> Tensor:
        return max_pool3d(pad(x, (0, 0, 0, 0, 1, 0), mode="replicate"), (2, 1, 1), 1)


class Layer(nn.Module):
    """A Timeception layer (figure 4): five branches in each group, a channel shuffle, and a max-pool over time by 2.

    (B, C, T, H, W) to (B, 1.25 C, T / 2, H, W)
    """

    def __init__(self, in_channels: int, scales: Scales):
        super().__init__()
        channels = GROUPS * int(1.25 * in_channels / (5 * GROUPS))
        over_time: list[nn.Module] = [nn.Identity()]
        over_time += [TemporalConv(channels, size, dilation) for size, dilation in SCALES[scales]]
        over_time.append(MaxOfTwo())
        self.branches = nn.ModuleList(Branch(in_channels, channels, each) for each in over_time)
        self.out_channels = 5 * channels

    def forward(self, x: Tensor) -> Tensor:
        groups = [branch(x).unflatten(1, (GROUPS, -1)) for branch in self.branches]
        together = torch.relu(torch.cat(groups, dim=2))
        return max_pool3d(together.transpose(1, 2).flatten(1, 2), (2, 1, 1))


class Timeception(ClipNetwork):
    """Timeception on the features of a backbone, for videos of many consecutive segments of `segment` frames.

    trunk       the backbone, a name that `create` takes: "i3d" sees segments of 8 frames, "tsn_resnet152" single
                frames, "resnet3d_101" segments of 8; None: the clips are stored feature maps of `in_channels` channels
    segment     frames of a segment
    num_layers  2, 3 or 4 in the paper; the number of segments is at least 2 ** num_layers
    scales      of the temporal convolutions: three sizes, three dilations, or one size (the baseline)

    The paper takes 128, 64 or 32 segments of 8 frames, or 32, 64 or 128 single frames, evenly spaced in the video, and
    the 157 classes of Charades, which is multi-label. With 0 classes there is no head, and the output is feature maps
    (B, D, T', h, w).
    """

    def __init__(
        self,
        *,
        trunk: str | None = "i3d",
        segment: int = 8,
        num_layers: int = 4,
        scales: Scales = "kernels",
        num_classes: int = 157,
        in_channels: int = 3,
        dropout: float = 0.5,
        **trunk_arguments: Any,
    ):
        super().__init__(num_classes=num_classes, in_channels=in_channels)
        if scales not in SCALES or num_layers < 1:
            raise ActionstreamError(f"{num_layers} layers of {scales!r}: at least one, of {', '.join(SCALES)}")
        self.features: nn.Module = nn.Identity()
        size = in_channels
        if trunk is not None:
            self.features, size = _without_head(trunk, in_channels=in_channels, **trunk_arguments)
        self.segment: int = segment
        layers: list[Layer] = []
        for _ in range(num_layers):
            layers.append(Layer(size, scales))
            size = layers[-1].out_channels
        self.layers = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(size, num_classes) if num_classes else None

    def trunk(self, clip: Tensor) -> Tensor:  # type: ignore[override]
        return self._over_time(self.first_part(clip))

    def head(self, features: Tensor) -> Tensor:
        if self.fc is None:
            return features
        return self.fc(self.dropout(features.amax(dim=(-3, -2, -1))))

    def first_part(self, frames: Tensor) -> Tensor:
        """Frames (B, S * segment, C, H, W) to a feature map of each segment (B, S, D, h, w)."""
        if frames.shape[1] % self.segment:
            raise ActionstreamError(f"{frames.shape[1]} frames cannot be cut into segments of {self.segment}")
        segments = frames.unflatten(1, (-1, self.segment)).flatten(0, 1)
        maps = segment_maps(self.features, segments) if isinstance(self.features, Network) else segments.mean(dim=1)
        return maps.unflatten(0, (len(frames), -1))

    def second_part(self, features: Tensor) -> Tensor:
        return self.head(self._over_time(features))

    def _over_time(self, maps: Tensor) -> Tensor:
        if maps.shape[1] < 2 ** len(self.layers):
            raise ActionstreamError(
                f"{len(self.layers)} layers of Timeception halve the time as often: they need "
                f"{2 ** len(self.layers)} segments, not {maps.shape[1]}"
            )
        return self.layers(maps.transpose(1, 2))


def segment_maps(network: Network, segments: Tensor) -> Tensor:
    """Segments of frames (N, S, C, H, W) to their feature maps (N, D, h, w), averaged over time."""
    if isinstance(network, ClipNetwork):
        return network.trunk(segments).mean(dim=2)
    return network.trunk(segments)[0].mean(dim=1)


def _without_head(name: str, **arguments: Any) -> tuple[Network, int]:
    """A network of the catalogue without its last layer, and its number of features."""
    network = create(name, num_classes=1, **arguments)
    head = next((name for name in ("fc", "logits") if isinstance(getattr(network, name, None), nn.Linear)), None)
    if head is None:
        raise ActionstreamError(
            f"Timeception stands on a network with one linear layer as its head, which {name} is not"
        )
    size: int = getattr(network, head).in_features
    setattr(network, head, nn.Identity())  # the head is not used; no parameters of it are trained
    return network, size
