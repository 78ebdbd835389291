"""Batch norms folded into convolutions."""

import pytest
import torch
from helpers import randomised
from precision import EXACT, apart
from torch import nn

from actionstream.models import create
from actionstream.models.networks.folding import fold_batch_norms

NETWORKS = {
    "tsm_resnet18": {"width": 0.125},
    "tsm_mobilenet_v2": {},
    "tam_resnet50_causal": {"width": 0.125},
    "tsn_bn_inception": {},
    "tsn_googlenet": {},
    "r3d_18": {},
    "s3d": {},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_scores_stay(name):
    torch.manual_seed(0)
    network = randomised(create(name, num_classes=5, **NETWORKS[name])).double()
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    clip = torch.randn(1, 1 if network.streams else 9, 3, 64, 64, dtype=torch.float64)
    folded = fold_batch_norms(network, tuple(clip.shape))
    norms = [m for m in folded.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)]
    assert not norms
    with torch.no_grad():
        expected, found = network(clip), folded(clip)
    if network.streams:
        expected, found = expected[0], found[0]
    assert apart(found, expected) < EXACT
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())


def test_a_norm_that_reads_something_else_stays():
    class Twice(nn.Sequential):
        """Its one convolution is called twice, so that no norm is a part of it."""

        def forward(self, x):
            once, first, second = self
            return second(once(first(once(x))))

    network = Twice(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3))
    folded = fold_batch_norms(network, (1, 3, 4, 4))
    assert [type(module) for module in folded] == [nn.Conv2d, nn.BatchNorm2d, nn.BatchNorm2d]
