"""SlowFast (Feichtenhofer et al., ICCV 2019, arXiv:1812.03982).

The slow pathway reads few frames; the fast pathway reads all frames and has few channels.

Letters: A is the frame rate of the fast pathway over that of the slow one, C the channels of the slow pathway.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from actionstream.models.clip_network import ClipNetwork
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.networks.bottleneck3d import Bottleneck3D, check_depth, initialise, make_stage, middle_3x3
from actionstream.models.networks.resnet import STAGES
from actionstream.models.over_time import Chain, Conv3d, MaxPool3d, VolumeCarry

Kind = Literal["time-to-channel", "time-strided-sample", "time-strided-conv"]
Fusion = Literal["concat", "sum"]
SlowFrames = Literal["strided", "linspace"]


class Lateral(nn.Module):
    """A lateral connection from the fast to the slow pathway (section 3.3): reduces the frame rate by A, then fuses.

    kind     "time-to-channel" puts A frames side by side in the channels, "time-strided-sample" takes every A-th frame,
             "time-strided-conv" is a convolution over `size` frames with stride A and twice the channels
    fusion   "concat", or "sum": slow + weight * project(fast), where the weight is learned, and `project` is a
             1 x 1 x 1 convolution to the channels of the slow pathway
    norm     batch norm and ReLU after the convolution of "time-strided-conv"; MMAction2 has none
    """

    def __init__(
        self, channels: int, slow_channels: int, alpha: int, kind: Kind, size: int, fusion: Fusion, norm: bool
    ):
        super().__init__()
        self.alpha, self.kind = alpha, kind
        out_channels = {"time-to-channel": alpha, "time-strided-sample": 1, "time-strided-conv": 2}[kind] * channels
        if kind == "time-strided-conv":
            self.conv = Conv3d(channels, out_channels, (size, 1, 1), (alpha, 1, 1), (size // 2, 0, 0), bias=False)
            self.after = nn.Sequential(nn.BatchNorm3d(out_channels), nn.ReLU()) if norm else nn.Identity()
        self.project: nn.Module | None = None
        if fusion == "sum":
            self.project = nn.Conv3d(out_channels, slow_channels, 1, bias=False)
            self.weight = nn.Parameter(torch.ones(()))
        self.slow_channels = slow_channels + (out_channels if fusion == "concat" else 0)

    def move(self, fast: Tensor, carry: VolumeCarry) -> Tensor:
        """Features of the fast pathway at the frame rate of the slow one."""
        if self.kind == "time-strided-conv":
            return self.after(self.conv(fast, carry))
        if self.kind == "time-strided-sample":
            return carry.windows(fast, size=1, stride=self.alpha)[:, :, :: self.alpha]
        fast = carry.windows(fast, size=self.alpha, stride=self.alpha)
        return fast.unflatten(2, (-1, self.alpha)).transpose(2, 3).flatten(1, 2)

    def fuse(self, slow: Tensor, moved: Tensor) -> Tensor:
        if self.project is None:
            return torch.cat([slow, moved], dim=1)
        return slow + self.weight * self.project(moved)


class Pathway(nn.Module):
    """A ResNet of bottlenecks; lateral features may be fused in after its stem and after its first three stages.

    in_channels  of the input
    channels     of the stem
    joined       input channels of each stage, after the fusion
    first        for each stage the temporal kernel size of the blocks' first convolutions
    """

    def __init__(
        self,
        depth: int,
        in_channels: int,
        channels: int,
        *,
        stem: int,
        first: tuple[int, int, int, int],
        joined: tuple[int, int, int, int],
    ):
        super().__init__()
        self.stem = Chain(
            Conv3d(in_channels, channels, (stem, 7, 7), (1, 2, 2), (stem // 2, 3, 3), bias=False),
            nn.BatchNorm3d(channels),
            nn.ReLU(),
            MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        )
        for stage, num_blocks in enumerate(STAGES[depth]):
            step = 2 if stage > 0 else 1
            blocks = make_stage(
                joined[stage],
                channels * 2**stage,
                num_blocks,
                stride=(1, step, step),
                first=(first[stage],),
                middle=middle_3x3(),
            )
            self.add_module(f"layer{stage + 1}", blocks)

    def parts(self) -> list[Any]:
        return [self.stem, *(self.get_submodule(f"layer{stage}") for stage in (1, 2, 3, 4))]


class SlowFast(ClipNetwork):
    """SlowFast-R50 or R101.

    alpha        A: the fast pathway sees all frames, the slow one every A-th
    beta_inv     the slow pathway has this many times the channels of the fast one
    lateral      the kind of the lateral connections; `fusion` and `lateral_norm` are those of Lateral, too
    lateral_size temporal kernel size of "time-strided-conv"
    slow_frames  "strided": frames 0, A, 2A ...; "linspace": as many, evenly spaced from the first to the last, as in
                 PySlowFast and PyTorchVideo
    fast_first   the features of the fast pathway come before those of the slow one, as in MMAction2
    """

    def __init__(
        self,
        depth: int = 50,
        *,
        num_classes: int = 400,
        in_channels: int = 3,
        alpha: int = 8,
        beta_inv: int = 8,
        lateral: Kind = "time-strided-conv",
        lateral_size: int = 5,
        lateral_norm: bool = True,
        fusion: Fusion = "concat",
        slow_frames: SlowFrames = "linspace",
        fast_first: bool = False,
        dropout: float = 0.5,
    ):
        super().__init__(num_classes=num_classes, in_channels=in_channels)
        check_depth(depth)
        for value, allowed in ((lateral, Kind), (fusion, Fusion), (slow_frames, SlowFrames)):
            if value not in get_args(allowed):
                raise ActionstreamError(f"{value!r} is not one of {', '.join(get_args(allowed))}")
        if 64 % beta_inv:
            raise ActionstreamError(f"beta_inv is {beta_inv}; it divides 64")
        self.alpha, self.slow_frames, self.fast_first = alpha, slow_frames, fast_first
        thin = 64 // beta_inv
        fast_in = (thin, *(thin * 2**stage * Bottleneck3D.expansion for stage in range(3)))
        laterals = [
            Lateral(channels, channels * beta_inv, alpha, lateral, lateral_size, fusion, lateral_norm)
            for channels in fast_in
        ]
        joined = tuple(each.slow_channels for each in laterals)
        self.slow = Pathway(depth, in_channels, 64, stem=1, first=(1, 1, 3, 3), joined=joined)  # type: ignore[arg-type]
        self.fast = Pathway(depth, in_channels, thin, stem=5, first=(3, 3, 3, 3), joined=fast_in)
        self.laterals = nn.ModuleList(laterals)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear((64 + thin) * 8 * Bottleneck3D.expansion, num_classes)
        initialise(self)

    def volume(self, x: Tensor, carry: VolumeCarry) -> Tensor:
        """Frames to features (B, D, T / A, 1, 1) of both pathways, averaged over space."""
        num_frames = x.shape[2]
        if num_frames % self.alpha:
            raise ActionstreamError(
                f"SlowFast with alpha {self.alpha} takes a multiple of {self.alpha} frames, not {num_frames}"
            )
        clip_frames, slow_lag, fast_lag = carry.num_frames, 0, 0
        slow, fast = x[:, :, self._slow_indices(num_frames, carry)], x
        for number, (slow_part, fast_part) in enumerate(zip(self.slow.parts(), self.fast.parts(), strict=True)):
            carry.lag = slow_lag
            slow, slow_lag = slow_part(slow, carry), carry.lag
            carry.lag = fast_lag
            fast, fast_lag = fast_part(fast, carry), carry.lag
            if number < len(self.laterals):
                lateral: Any = self.laterals[number]
                moved = lateral.move(fast, carry)
                slow, moved = carry.align((slow, slow_lag), (moved, carry.lag))
                slow, slow_lag = lateral.fuse(slow, moved), carry.lag
                carry.num_frames = clip_frames
        fast = carry.windows(fast.mean(dim=(-2, -1), keepdim=True), size=self.alpha, stride=self.alpha)
        both = carry.align(
            (slow.mean(dim=(-2, -1), keepdim=True), slow_lag),
            (fast.unflatten(2, (-1, self.alpha)).mean(dim=3), carry.lag),
        )
        return torch.cat(both[::-1] if self.fast_first else both, dim=1)

    def head(self, features: Tensor) -> Tensor:
        return self.fc(self.dropout(features.mean(dim=(-3, -2, -1))))

    def _slow_indices(self, num_frames: int, carry: VolumeCarry) -> list[int]:
        if carry.mode == "delayed" and self.slow_frames != "strided":
            carry.need_clip("the slow pathway reads evenly spaced frames")
        if self.slow_frames == "strided" or carry.mode == "causal":
            return list(range(0, num_frames, self.alpha))
        last = max(1, num_frames // self.alpha - 1)  # plain integers instead of torch.linspace, for export
        return [index * (num_frames - 1) // last for index in range(num_frames // self.alpha)]
