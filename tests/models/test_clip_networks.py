"""Networks for whole clips: what is particular to some of them."""

import pytest
import torch

from actionstream.models import create
from actionstream.models.networks.resnet3d import middle_channels


def test_middle_channels_of_the_paper():
    sizes = [(64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
    assert [middle_channels(*size) for size in sizes] == [144, 230, 288, 460, 576, 921, 1152]


def test_2d_groups_keep_the_length_of_a_clip():
    clip = torch.zeros(1, 8, 3, 32, 32)
    lengths = {name: create(name).eval().trunk(clip).shape[2] for name in ("f_r2d_18", "mc3_18", "rmc3_18", "r3d_18")}
    assert lengths == {"f_r2d_18": 8, "mc3_18": 8, "rmc3_18": 1, "r3d_18": 1}


def test_mixed_i3d_is_over_time_on_one_side_of_the_border():
    for name, below, above in [("i3d", 3, 3), ("i3d_bottom_heavy", 3, 1), ("i3d_top_heavy", 1, 3)]:
        features = create(name).features
        assert features.get_submodule("3c").branch1[1].conv.kernel_size[0] == below
        assert features.get_submodule("4b").branch1[1].conv.kernel_size[0] == above
        assert features.get_submodule("1a").conv.kernel_size[0] == (7 if below == 3 else 1)
        with torch.device("meta"):
            clip, network = torch.zeros(1, 16, 3, 64, 64), create(name)
        assert network(clip).shape == (1, 400)
    with pytest.raises(ValueError, match="'middle' heavy from '4b' on: it is all, bottom or top"):
        create("i3d", heavy="middle")


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"a clip is \(B, T, 3, H, W\).* this is \(1, 3, 8, 32, 32\)"):
        create("r3d_18")(torch.zeros(1, 3, 8, 32, 32))
    with pytest.raises(ValueError, match="takes clips of 8 frames, not 7"):
        create("r2d_18")(torch.zeros(1, 7, 3, 32, 32))
    with pytest.raises(ValueError, match="C3D takes clips of 16 frames of 112 x 112 pixels, not 16 of 32 x 32"):
        create("c3d")(torch.zeros(1, 16, 3, 32, 32))
    with pytest.raises(ValueError, match="depth is 50; a ResNet for clips has one of 18, 34"):
        create("r3d_18", depth=50)
