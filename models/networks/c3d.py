"""C3D (Tran et al., ICCV 2015, arXiv:1412.0767): eight 3 x 3 x 3 convolutions and three linear layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from actionstream.models.clip_network import ClipNetwork
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.over_time import Conv3d, MaxPool3d, VolumeCarry

SIZE = 16, 112, 112  # frames, height and width that fc6 is made for


class C3D(ClipNetwork):
    """Takes clips of 16 frames of 112 x 112 pixels only: its first linear layer has a weight for each position."""

    def __init__(self, *, num_classes: int = 400, in_channels: int = 3, dropout: float = 0.5):
        super().__init__(num_classes=num_classes, in_channels=in_channels)
        self.conv1 = Conv3d(in_channels, 64, 3, padding=1)
        self.conv2 = Conv3d(64, 128, 3, padding=1)
        self.conv3a = Conv3d(128, 256, 3, padding=1)
        self.conv3b = Conv3d(256, 256, 3, padding=1)
        self.conv4a = Conv3d(256, 512, 3, padding=1)
        self.conv4b = Conv3d(512, 512, 3, padding=1)
        self.conv5a = Conv3d(512, 512, 3, padding=1)
        self.conv5b = Conv3d(512, 512, 3, padding=1)
        self.pool1, self.pool, self.pool5 = MaxPool3d((1, 2, 2)), MaxPool3d(2), MaxPool3d(2, padding=(0, 1, 1))
        self.fc6 = nn.Linear(512 * 4 * 4, 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, num_classes)
        self.dropout = nn.Dropout(dropout)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, clip: Tensor) -> Tensor:  # type: ignore[override]
        frames, _, height, width = clip.shape[1:]
        if (frames, height, width) != SIZE:
            raise ActionstreamError(
                f"C3D takes clips of 16 frames of 112 x 112 pixels, not {frames} of {height} x {width}"
            )
        return super().forward(clip)

    def volume(self, x: Tensor, carry: VolumeCarry) -> Tensor:
        x = torch.relu(self.conv1(x, carry))
        x = torch.relu(self.conv2(self.pool1(x, carry), carry))
        x = torch.relu(self.conv3a(self.pool(x, carry), carry))
        x = torch.relu(self.conv3b(x, carry))
        x = torch.relu(self.conv4a(self.pool(x, carry), carry))
        x = torch.relu(self.conv4b(x, carry))
        x = torch.relu(self.conv5a(self.pool(x, carry), carry))
        x = torch.relu(self.conv5b(x, carry))
        return self.pool5(x, carry)

    def head(self, features: Tensor) -> Tensor:
        if features.shape[2:] != (1, 4, 4):
            raise ActionstreamError("C3D takes frames of 112 x 112 pixels only")
        x = self.dropout(torch.relu(self.fc6(features.flatten(1))))
        return self.fc8(self.dropout(torch.relu(self.fc7(x))))
