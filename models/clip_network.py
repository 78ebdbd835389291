"""The base class of networks that are made for whole clips."""

from __future__ import annotations

from torch import Tensor

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.network import Network
from actionstream.models.over_time import VolumeCarry


class ClipNetwork(Network):
    """A network that is made for whole clips, with convolutions over time.

        scores = network(clip)                    (B, T, C, H, W) -> (B, K)

    Its trunk gives a volume of features (B, D, T', h, w), the layout of torch.nn.Conv3d. One that defines `volume`, of
    the layers in actionstream.models.over_time, can also run frame by frame, see `Streaming`.
    """

    def __init__(self, *, num_classes: int, in_channels: int):
        super().__init__(num_classes=num_classes, in_channels=in_channels, shift="none", n_div=8, shift_padding="zero")
        self.streams = False

    def trunk(self, clip: Tensor) -> Tensor:  # type: ignore[override]  # no state
        """A clip (B, T, C, H, W) to a volume of features (B, D, T', h, w)."""
        return self.volume(clip.transpose(1, 2), VolumeCarry())

    def volume(self, x: Tensor, carry: VolumeCarry) -> Tensor:
        """Frames (B, C, T, H, W) to a volume of features (B, D, T', h, w)."""
        raise NotImplementedError

    def head(self, features: Tensor) -> Tensor:
        """A volume of features (B, D, T', h, w) to scores (B, K)."""
        raise NotImplementedError

    def forward(self, clip: Tensor) -> Tensor:  # type: ignore[override]
        if clip.dim() != 5 or clip.shape[2] != self.in_channels:
            raise ActionstreamError(
                f"a clip is (B, T, {self.in_channels}, H, W): clips, frames, channels, height, width; "
                f"this is {tuple(clip.shape)}"
            )
        return self.head(self.trunk(clip))
