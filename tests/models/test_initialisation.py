"""Inflation and cross-modality initialisation."""

import pytest
import torch
import torchvision
from precision import EXACT, apart

from actionstream.models import create
from actionstream.models.networks.initialisation import cross_modality, inflate


def test_a_repeated_picture_gives_the_scores_of_the_picture():
    """Away from the ends of the clip, where zeros come in."""
    torch.manual_seed(0)
    flat = torchvision.models.resnet50(num_classes=7).double().eval()
    network = create("slow_r50", num_classes=7).double().eval()
    assert inflate(network, flat.state_dict()) == []
    picture = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    with torch.inference_mode():
        features = network.trunk(picture.unsqueeze(1).expand(-1, 21, -1, -1, -1))
        middle = network.head(features[:, :, 10:11])
        assert apart(middle, flat(picture)) < EXACT
        assert apart(network.head(features[:, :, :1]), middle) > 1e-3


@pytest.mark.parametrize("name", ["i3d_resnet50_3x1x1", "i3d_resnet50_3x3x3", "resnet3d_101", "smallbig_r50"])
def test_each_convolution_sums_to_that_over_space(name):
    flat = torchvision.models.get_model("resnet101" if "101" in name else "resnet50").state_dict()
    network = create(name)
    kept = inflate(network, flat)
    assert {key.rpartition(".")[0].rpartition(".")[2] for key in kept} <= {"fc", "big1", "big2", "big3"}
    for key, tensor in network.state_dict().items():
        if tensor.dim() == 5:
            torch.testing.assert_close(tensor.sum(dim=2), flat[key])
            assert torch.equal(tensor[:, :, 0], tensor[:, :, -1])


def test_weights_of_another_network_are_refused():
    with pytest.raises(ValueError, match=r"layer1.0.conv2.weight is .* and does not fit"):
        inflate(create("csn_ir_50"), torchvision.models.resnet50().state_dict())
    with pytest.raises(ValueError, match=r"features.0.0.weight has no place"):
        inflate(create("slow_r50"), torchvision.models.mobilenet_v2().state_dict())


@pytest.mark.parametrize("in_channels", [10, 15])
def test_cross_modality(in_channels):
    weights = torchvision.models.resnet18(num_classes=400).state_dict()
    network = create("tsn_resnet18", in_channels=in_channels)
    network.load_state_dict(cross_modality(weights, in_channels))
    first = network.conv1.weight
    assert first.shape[1] == in_channels
    for channel in range(in_channels):
        torch.testing.assert_close(first[:, channel], weights["conv1.weight"].mean(dim=1))
    with pytest.raises(ValueError, match="no convolution of these weights sees three channels"):
        cross_modality(network.state_dict(), 10)
