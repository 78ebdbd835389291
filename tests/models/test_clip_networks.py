"""Networks for whole clips: counts and multiply-adds as published, shapes, gradients."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from models import create
from models.network import ClipNetwork
from models.resnet3d import middle_channels

NUM_PARAMETERS = {  # SPECS: computed from the reference code at 400 classes
    "f_r2d_18": 11_381_712,
    "i3d": 12_697_264,
    "i3d_flow": 12_675_312,
    "mc2_18": 11_400_528,
    "mc3_18": 11_695_440,
    "mc4_18": 12_727_632,
    "mc5_18": 16_856_400,
    "r2plus1d_18": 33_370_839,
    "r2plus1d_18_torchvision": 31_505_325,
    "r2plus1d_34": 63_697_175,
    "r3d_18": 33_371_472,
    "rmc2_18": 33_352_656,
    "rmc3_18": 33_057_744,
    "rmc4_18": 32_025_552,
    "rmc5_18": 27_896_784,
    "s3d": 8_320_048,
}
MULTIPLY_ADDS = {  # as published, in 1e9, for 16 frames of so many pixels
    "c3d": (112, 38.5),
    "mc3_18": (112, 43.34),
    "r2plus1d_18_torchvision": (112, 40.52),
    "r3d_18": (112, 40.70),
    "s3d": (224, 17.98),
}


@pytest.mark.parametrize("name", NUM_PARAMETERS)
def test_number_of_parameters(name):
    with torch.device("meta"):
        assert sum(p.numel() for p in create(name).parameters()) == NUM_PARAMETERS[name]


@pytest.mark.parametrize(("num_classes", "expected"), [(101, 78_409_573), (487, 79_991_015)])
def test_number_of_parameters_of_c3d(num_classes, expected):
    with torch.device("meta"):
        assert sum(p.numel() for p in create("c3d", num_classes=num_classes).parameters()) == expected


def test_middle_channels_of_the_paper():
    sizes = [(64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
    assert [middle_channels(*size) for size in sizes] == [144, 230, 288, 460, 576, 921, 1152]


@pytest.mark.parametrize("name", MULTIPLY_ADDS)
def test_multiply_adds(name):
    size, expected = MULTIPLY_ADDS[name]
    with torch.device("meta"):
        network, clip = create(name).eval(), torch.zeros(1, 16, 3, size, size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(clip)
    assert counter.get_total_flops() / 2e9 == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("name", ["r2d_18", "f_r2d_18", "r3d_18", "rmc3_18", "mc3_18", "r2plus1d_18", "s3d_g", "i3d"])
def test_a_clip_gives_scores_and_every_parameter_learns(name):
    torch.manual_seed(0)
    network = create(name, num_classes=5).train()
    assert isinstance(network, ClipNetwork)
    size = 64 if name in ("s3d_g", "i3d") else 32
    clip = torch.randn(2, 8 if name == "r2d_18" else 16, 3, size, size)
    scores = network(clip)
    assert scores.shape == (2, 5)
    scores.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
    exact = network.double().eval()(clip.double())
    assert torch.allclose(network.float()(clip), exact.float(), rtol=1e-3, atol=1e-4)


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
