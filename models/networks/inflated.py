"""Inflated ResNets: I3D-ResNet (3x1x1 and 3x3x3), Slow, and 3D-ResNet.

I3D-ResNet is from non-local networks (Wang et al., CVPR 2018, arXiv:1711.07971, section 4.1). 3x1x1 inflates the first
convolution of every second block; 3x3x3 inflates the second convolution of every block, with the strides of IBM's
action-recognition-pytorch. Slow is the slow pathway of SlowFast (arXiv:1812.03982, table 1). 3D-ResNet is from Hara et
al. (CVPR 2018, arXiv:1711.09577).
"""

from __future__ import annotations

from collections.abc import Sequence

from actionstream.models.networks.bottleneck3d import Bottleneck3D, BottleneckNetwork, middle_3x3
from actionstream.models.networks.non_local import Affinity, NonLocal
from actionstream.models.networks.resnet import NON_LOCAL_BLOCKS
from actionstream.models.over_time import MaxPool3d


class InflatedResNet(BottleneckNetwork):
    """A ResNet of bottlenecks for clips.

    stem       temporal kernel size and temporal stride of the first convolution
    pool       temporal kernel size and temporal stride of the max-pool after it
    pool2      whether a max-pool after the first stage halves the time
    first      for each stage the temporal kernel sizes of the blocks' first convolutions, repeated over the blocks
    middle     temporal kernel size of the second convolution of every block
    strides    temporal strides of the stages
    non_local  the affinity of non-local blocks, after blocks 0 and 2 of layer2 and 0, 2 and 4 of layer3
    """

    def __init__(
        self,
        depth: int = 50,
        *,
        num_classes: int = 400,
        in_channels: int = 3,
        stem: tuple[int, int] = (1, 1),
        pool: tuple[int, int] = (1, 1),
        pool2: bool = False,
        first: Sequence[Sequence[int]] = ((1,), (1,), (1,), (1,)),
        middle: int = 1,
        strides: Sequence[int] = (1, 1, 1, 1),
        non_local: Affinity | None = None,
        dropout: float = 0.5,
    ):
        super().__init__(
            depth,
            num_classes=num_classes,
            in_channels=in_channels,
            dropout=dropout,
            stem=stem,
            pool=pool,
            first=first,
            middle=middle_3x3(middle),
            strides=strides,
        )
        if non_local is not None:
            for stage, indices in NON_LOCAL_BLOCKS.items():
                for index in indices:
                    block = self.get_submodule(f"layer{stage}.{index}")
                    assert isinstance(block, Bottleneck3D)
                    block.non_local = NonLocal(block.conv3.out_channels, non_local)
        if pool2:
            self.layer1.append(MaxPool3d((2, 1, 1)))
