"""Channel-separated networks (Tran et al., ICCV 2019, arXiv:1904.02811): every 3 x 3 x 3 convolution is depthwise."""

from __future__ import annotations

from functools import partial
from typing import Literal

from torch import nn

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.networks.bottleneck3d import BottleneckNetwork, Stride
from actionstream.models.over_time import Chain, Conv3d, OverTime


class CSN(BottleneckNetwork):
    """CSN-50, 101 or 152.

    kind      "ir" (interaction-reduced): the second convolution of a bottleneck is depthwise; "ip"
              (interaction-preserved): a 1 x 1 x 1 convolution comes before the depthwise one
    norm_eps  epsilon of the batch norms: 1e-3 in VMZ and MMAction2, 1e-5 in PyTorchVideo
    """

    def __init__(
        self,
        depth: int = 50,
        *,
        kind: Literal["ir", "ip"] = "ir",
        num_classes: int = 400,
        in_channels: int = 3,
        norm_eps: float = 1e-3,
        dropout: float = 0.5,
    ):
        if kind not in ("ir", "ip"):
            raise ActionstreamError(f'kind is {kind!r}; a CSN is "ir" or "ip"')
        normalise = partial(nn.BatchNorm3d, eps=norm_eps)

        def middle(channels: int, stride: Stride) -> OverTime:
            depthwise = Conv3d(channels, channels, 3, stride, 1, groups=channels, bias=False)
            if kind == "ir":
                return depthwise
            return Chain(Conv3d(channels, channels, 1, bias=False), normalise(channels), depthwise)

        super().__init__(
            depth,
            num_classes=num_classes,
            in_channels=in_channels,
            dropout=dropout,
            stem=(3, 1),
            middle=middle,
            strides=(1, 2, 2, 2),
            normalise=normalise,
        )
