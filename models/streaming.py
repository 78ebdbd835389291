"""Runs a clip network live, frame by frame: each layer over time keeps its last inputs, and nothing is computed twice.

Letters: B streams, T snippets, S frames of a snippet, C x H x W of a frame, D features, K classes.
"""

from __future__ import annotations

from typing import get_args

from torch import Tensor, nn

from actionstream.models.clip_network import ClipNetwork
from actionstream.models.common.checked import MOST_FRAMES
from actionstream.models.common.choices import StreamingMode
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.network import Network, State, call_on_meta
from actionstream.models.over_time import VolumeCarry

_FRAMES, _SIDE = 64, 112
"""Of the frames that the strides of a network are counted with; 112 is the one size that C3D takes."""


class Streaming(Network):
    """Gives a clip network of convolutions and poolings the contract of a streaming network.

        scores, state = Streaming(network, mode="causal", num_frames=16)(frames, state)

    frames      (B, T, S * C, H, W): a network that divides the frame rate by S gives a row of scores every S frames,
                so that a snippet is a stack of S frames; S is 1 for a network without strides over time
    num_frames  of the clips that the network is made for; the features of the last `num_frames` frames are averaged
                before the head, or of as many as have come
    fading      average with weights that fade (an exponential moving average of `num_frames`), in place of a ring of
                features: its state is one row
    mode        "causal": each layer is padded before the stream only; a score depends on the frames up to its own, as
                the network was trained in this mode
                "delayed": branches of a layer wait for each other; row t has the features that the network computes for
                snippet t - `delay` inside a long clip. The first `delay` rows of a stream, and as many as its features
                look back, see zeros before the stream in all layers, which whole clips have in the first layer only.

    The state has the last inputs of each layer over time, in the order of the layers.
    """

    def __init__(self, network: Network, *, mode: StreamingMode, num_frames: int, fading: bool = False):
        if mode not in get_args(StreamingMode):
            raise ActionstreamError(f"mode is {mode!r}; it is one of {', '.join(get_args(StreamingMode))}")
        if not isinstance(num_frames, int) or not 1 <= num_frames <= MOST_FRAMES:
            raise ActionstreamError(f"clips of {num_frames} frames; expected a whole number from 1 to {MOST_FRAMES}")
        if not isinstance(network, ClipNetwork) or type(network).volume is ClipNetwork.volume:
            kind = (
                "streams by itself; leave streaming out"
                if network.streams
                else "has layers that need whole clips; run it in a window"
            )
            raise ActionstreamError(f"{type(network).__name__} {kind}")
        probe = _Probe(network, mode)
        rows = call_on_meta(probe, (1, network.in_channels, _FRAMES, _SIDE, _SIDE)).shape[2]
        snippet_frames = _FRAMES // rows
        super().__init__(
            num_classes=network.num_classes,
            in_channels=snippet_frames * network.in_channels,
            shift="none",
            n_div=8,
            shift_padding="zero",
        )
        self.network = network
        self.mode: StreamingMode = mode
        self.num_frames = num_frames
        self.fading = fading
        self.snippet_frames = snippet_frames
        self.delay = probe.lag

    def trunk(self, frames: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Frames (B, T, S * C, H, W) to feature maps (B, T, D, h, w), averaged over a clip, and the new state."""
        carry = VolumeCarry(self.mode, state, num_frames=self.num_frames, fading=self.fading)
        single = frames.unflatten(2, (self.snippet_frames, -1)).flatten(1, 2)
        x = self.network.volume(single.transpose(1, 2), carry)
        if carry.num_frames > 1:
            x = carry.running_mean(x.mean(dim=(-2, -1), keepdim=True))
        return x.transpose(1, 2), carry.state()

    def head(self, features: Tensor) -> Tensor:
        """Feature maps (B, T, D, h, w) to scores (B, T, K)."""
        rows = features.flatten(0, 1).unsqueeze(2)
        return self.network.head(rows).unflatten(0, features.shape[:2])


class _Probe(nn.Module):
    """The volume of a network as a module of its own; notes the lag."""

    def __init__(self, network: ClipNetwork, mode: StreamingMode):
        super().__init__()
        self.network, self.mode, self.lag = network, mode, 0

    def forward(self, frames: Tensor) -> Tensor:
        carry = VolumeCarry(self.mode, num_frames=1)
        x = self.network.volume(frames, carry)
        self.lag = carry.lag
        return x
