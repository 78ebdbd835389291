"""Networks are what their papers say: names, places, counts, state sizes."""

import json

import numpy as np
import pytest
import torch
import torchvision
from helpers import shared
from precision import EXACT, apart
from safetensors.torch import load_file

from actionstream import open_source
from actionstream.models import Preprocessing, create
from actionstream.models.network import TemporalShift
from actionstream.models.weights.convert import load_weights
from actionstream.models.weights.loading import load

STATE_SHAPES = {
    "tsm_resnet50": [(8, 56)] + [(32, 56)] * 3 + [(64, 28)] * 4 + [(128, 14)] * 6 + [(256, 7)] * 2,
    "tsm_mobilenet_v2": [(3, 56)] + [(4, 28)] * 2 + [(8, 14)] * 3 + [(12, 14)] * 2 + [(20, 7)] * 2,
}


def test_flow_input():
    assert sum(p.numel() for p in create("tsm_resnet50", in_channels=10).parameters()) == 24_349_584


@pytest.mark.parametrize("name", STATE_SHAPES)
def test_state_at_224(name):
    network = create(name)
    leaves = network.empty_state(3, 224, 224)
    assert [tuple(leaf.shape) for leaf in leaves] == [(3, c, s, s) for c, s in STATE_SHAPES[name]]
    assert network.state_bytes(224, 224) == {"tsm_resnet50": 702_464 * 4, "tsm_mobilenet_v2": 27_048 * 4}[name]
    assert all(not leaf.any() for leaf in leaves)


@pytest.mark.parametrize(("name", "places"), [("tsm_resnet50", 16), ("tsm_resnet101", 18), ("tsm_resnet18", 8)])
def test_places_of_the_shift(name, places):
    assert sum(isinstance(module, TemporalShift) for module in create(name).modules()) == places


def test_shifted_blocks_of_mobilenet_v2():
    features = create("tsm_mobilenet_v2").features  # the stem is 0, so block n of the paper is n + 1
    shifted = [i for i, block in enumerate(features) if getattr(block, "temporal", None) is not None]
    assert [i - 1 for i in shifted] == [2, 4, 5, 7, 8, 9, 11, 12, 14, 15]


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("resnet18", torchvision.models.resnet18),
        ("resnet34", torchvision.models.resnet34),
        ("resnet50", torchvision.models.resnet50),
        ("resnet101", torchvision.models.resnet101),
        ("mobilenet_v2", torchvision.models.mobilenet_v2),
    ],
)
def test_torchvision_weights_load_as_they_are(name, theirs):
    torch.manual_seed(0)
    reference = theirs(num_classes=7).double().eval()
    frames = torch.randn(2, 1, 3, 64, 64, dtype=torch.float64)
    for shift in ("none", "uni", "bi"):
        network = create(f"tsm_{name}", shift=shift, num_classes=7).eval()
        network.load_state_dict(reference.state_dict())
    network = create(f"tsn_{name}", num_classes=7).double().eval()
    network.load_state_dict(reference.state_dict())
    with torch.inference_mode():
        scores, state = network(frames)
        assert state == ()
        assert apart(scores[:, 0], reference(frames[:, 0])) < EXACT


def test_width_of_mobilenet_v2_equals_torchvisions():
    ours = create("tsn_mobilenet_v2", width=0.35, num_classes=5).state_dict()
    theirs = torchvision.models.mobilenet_v2(width_mult=0.35, num_classes=5).state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}


def test_same_padding_follows_tensorflow():
    """A stride-2 3x3 convolution looks at rows 0..2 of an even picture first, and at rows -1..1 of an odd one."""
    from actionstream.models.networks.mobilenet_v2 import SameConv2d

    conv = SameConv2d(1, 1, 3, 2, bias=False)
    conv.weight.data.fill_(1.0)
    even, odd = torch.zeros(1, 1, 6, 6), torch.zeros(1, 1, 7, 7)
    even[..., 2, 2] = odd[..., 1, 1] = 1.0
    assert conv(even).shape[-2:] == (3, 3)
    assert conv(even)[0, 0, 0, 0] == 1
    assert conv(odd).shape[-2:] == (4, 4)
    assert conv(odd)[0, 0, 0, 0] == 1
    odd[..., 1, 1], odd[..., 2, 2] = 0.0, 1.0
    assert conv(odd)[0, 0, 0, 0] == 0


IMAGENET = ("data", "weights", "mobilenet_v2_imagenet1001.safetensors")


def imagenet(same):
    network = create("tsn_mobilenet_v2", num_classes=1001, same=same).eval()
    network.load_state_dict(load_file(shared(*IMAGENET)))
    return network


@pytest.mark.parametrize(("same", "which"), [(True, "same_padding"), (False, "plain_torchvision_padding")])
def test_imagenet_weights_give_their_published_logits(same, which):
    expected = json.loads(shared("data", "weights", "expected_outputs.json").read_text())["synthetic"][which]
    row, column = np.mgrid[:224, :224]
    picture = np.stack([row + column, 2 * row + column, row + 3 * column], axis=-1) % 256
    preprocessing = Preprocessing(height=224, width=224, mean=(128.0,), std=(128.0,))
    frames = preprocessing.normalise(torch.from_numpy(preprocessing.resize(picture.astype(np.uint8))))[None, None]
    with torch.inference_mode():
        logits = imagenet(same)(frames)[0][0, 0]
    assert int(logits.argmax()) == expected["argmax"]
    assert logits[:8].tolist() == pytest.approx(expected["logits_first8"], abs=1e-3)
    assert float(logits.sum()) == pytest.approx(expected["logits_sum"], rel=1e-4)


def test_imagenet_weights_name_real_pictures():
    """Geometry and all: the best class of frames of real clips is the published one."""
    expected = json.loads(shared("data", "weights", "expected_outputs.json").read_text())["frames"]
    network, card, _ = load_weights(shared(*IMAGENET), project="tensorflow")
    preprocessing = card.preprocessing
    right = 0
    for case in expected:
        source = open_source(shared("data", *case["file"].split("/")))
        image = next(frame.image for frame in source if frame.index == case["frame_index"])
        source.close()
        frames = preprocessing.normalise(torch.from_numpy(preprocessing.resize(image)))[None, None]
        with torch.inference_mode():
            best = int(network(frames)[0].argmax())
        right += best == case["top3"][0]["index"]
    assert right >= len(expected) - 1  # scaling and cutting in one step differs by a grey level here and there


def test_efficientnet_gives_the_logits_of_its_publisher():
    """The packaged checkpoint, beside the package efficientnet-lite-pytorch 0.1.0 with the same weights."""
    network, card = load("imagenet")
    row, column = np.mgrid[:224, :224]
    picture = np.stack([row + column, 2 * row + column, row + 3 * column], axis=-1) % 256
    frames = card.preprocessing.normalise(torch.from_numpy(picture.astype(np.uint8)))[None, None]
    with torch.inference_mode():
        logits = network(frames)[0][0, 0]
    assert int(logits.argmax()) == 885
    assert logits[:4].tolist() == pytest.approx([-0.438845, 0.153461, -1.897933, -2.377942], abs=1e-3)
    assert float(logits.sum()) == pytest.approx(-81.52618, abs=0.02)


def test_efficientnet_is_recognised():
    network, card, found = load_weights(shared("data", "weights", "efficientnet_lite0_imagenet1000_fp16.safetensors"))
    packaged, packaged_card = load("imagenet")
    assert (found.network, found.layout, found.shift) == ("tsn_efficientnet_lite0", "efficientnet-pytorch", "none")
    assert card.preprocessing == packaged_card.preprocessing
    for name, tensor in packaged.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name]), name


def test_the_first_shift_may_come_late():
    network = create("tsm_mobilenet_v2", first_shift=8)
    places = [place for place, block in enumerate(network.features) if getattr(block, "temporal", None)]
    assert places == [8, 9, 10, 12, 13, 15, 16]
    assert [leaf.shape[1] for leaf in network.empty_state(1, 112, 112)] == [8, 8, 8, 12, 12, 20, 20]


def test_flow_for_classifiers_of_torchvision():
    for name in ("tsn_googlenet", "tsn_vgg16"):
        with torch.device("meta"):
            network = create(name, in_channels=10)
            assert network(torch.zeros(1, 2, 10, 64, 64))[0].shape == (1, 2, 400)


def test_what_does_not_exist_is_refused():
    with pytest.raises(ValueError, match='shift is \'two\'; it is "none", "uni" or "bi"'):
        create("tsm_resnet50", shift="two")
    with pytest.raises(ValueError, match="depth is 19"):
        create("tsm_resnet50", depth=19)
    with pytest.raises(ValueError, match="shift_place is 'stage'; it is"):
        create("tsm_resnet50", shift_place="stage")
    with pytest.raises(ValueError, match="torchvision has no picture classifier 'resnet51'"):
        create("tsn_googlenet", classifier="resnet51")
    with pytest.raises(
        ValueError, match="'conv' is not one of time-to-channel, time-strided-sample, time-strided-conv"
    ):
        create("slowfast_r50_4x16", lateral="conv")
    with pytest.raises(ValueError, match="'every' is not one of strided, linspace"):
        create("slowfast_r50_4x16", slow_frames="every")
    with pytest.raises(ValueError, match="there are five, each one of 3d, 2d"):
        create("r3d_18", kinds=("4d",) * 5)
    with pytest.raises(ValueError, match="one linear layer as its head, which s3d_g is not"):
        create("timeception_i3d", trunk="s3d_g")
    with pytest.raises(ValueError, match="depth is 18; a ResNet of bottlenecks has 50, 101 or 152"):
        create("slow_r50", depth=18)
    with pytest.raises(ValueError, match='kind is \'pi\'; a CSN is "ir" or "ip"'):
        create("csn_ir_50", kind="pi")
    with pytest.raises(ValueError, match="SlowFast with alpha 8 takes a multiple of 8 frames, not 12"):
        create("slowfast_r50_4x16")(torch.zeros(1, 12, 3, 32, 32))
