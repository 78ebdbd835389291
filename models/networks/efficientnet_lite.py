"""EfficientNet-Lite0, plain or with temporal shifts.

EfficientNet (Tan and Le, ICML 2019, arXiv:1905.11946) without squeeze-excite and with ReLU6, as TensorFlow's TPU
repository published it in 2020: MobileNetV2's blocks in other stages.
"""

from __future__ import annotations

from typing import ClassVar

from actionstream.models.networks.mobilenet_v2 import MobileNetV2, Stage


class EfficientNetLite0(MobileNetV2):
    """EfficientNet-Lite0; arguments and places of the shifts are those of MobileNetV2."""

    stages: ClassVar[tuple[Stage, ...]] = (  # table 1 of the paper
        (1, 16, 1, 1, 3),
        (6, 24, 2, 2, 3),
        (6, 40, 2, 2, 5),
        (6, 80, 3, 2, 3),
        (6, 112, 3, 1, 5),
        (6, 192, 4, 2, 5),
        (6, 320, 1, 1, 3),
    )
    norm_eps: ClassVar[float] = 1e-3
