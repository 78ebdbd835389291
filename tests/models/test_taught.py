"""The network that examples teach: what its features, windows and state are."""

import numpy as np
import pytest
import torch
from helpers import random_card, random_network
from torch.nn import functional

from actionstream.models.catalogue import create
from actionstream.models.networks.frozen_backbones import part_weights

BACKBONE = {
    "network": "tsn_resnet18",
    "arguments": {"width": 0.125},
    "size": 32,
    "mean": (10.0,),
    "std": (50.0,),
    "maps": ((3, 1),),
}

INNER = {"backbones": [BACKBONE], "in_channels": 3}


def taught(*backbones, **arguments):
    return random_network(random_card("taught", backbones=backbones or (BACKBONE,), **arguments))


@pytest.mark.parametrize(("num_parts", "length"), [(1, 1), (3, 9), (4, 10), (6, 4), (5, 1)])
def test_parts_are_means_of_equal_stretches(num_parts, length):
    values = torch.rand(length, dtype=torch.float64)
    fine = values.repeat_interleave(num_parts)  # of which each part has exactly `length`
    expected = fine.unflatten(0, (num_parts, length)).mean(dim=1)
    assert torch.allclose(part_weights(num_parts, length, values) @ values, expected, atol=1e-12)


def test_a_backbone_sees_its_own_size_colours_and_rhythm():
    """Features follow from the backbone alone, fed by hand."""
    half = {**BACKBONE, "order": "bgr", "size": 16, "pictures": 1}
    network = taught(BACKBONE | {"pictures": 2}, half, in_channels=6, num_features=128)
    frames = torch.rand(1, 2, 6, 32, 32, generator=torch.Generator().manual_seed(0)) * 255
    with torch.no_grad():
        features, _ = network.look(frames)
        pictures = frames.reshape(1, 4, 3, 32, 32)
        every, _ = network.backbones[0].trunk((pictures - 10) / 50)
        small = functional.avg_pool2d(pictures[0, 1::2], 2)[None].flip(2)
        second, _ = network.backbones[1].trunk((small - 10) / 50)
    means = functional.normalize(every.mean(dim=(-2, -1)), dim=2).reshape(1, 2, 2, -1).mean(dim=2)
    single = functional.normalize(second.mean(dim=(-2, -1)), dim=2)
    expected = torch.cat([means, single], dim=2) * network.signs
    assert expected.shape[2] == 128
    assert torch.allclose(features, expected, atol=1e-5)


def test_hashing_keeps_distances():
    """Distances between features are those before hashing, nearly (Weinberger et al., 2009)."""
    network = taught(BACKBONE | {"maps": ((3, 4), (2, 4), (1, 4))}, in_channels=3, num_features=256)
    raw = functional.normalize(torch.randn(20, len(network.signs), generator=torch.Generator().manual_seed(0)), dim=1)
    apart = torch.pdist(network._hashed(raw)) / torch.pdist(raw)
    assert apart.sub(1).abs().max() < 0.2
    assert network._hashed(raw).shape == (20, 256)


def test_the_score_is_the_best_margin_of_the_windows():
    network = taught(in_channels=3, lengths=(2, 4), num_parts=2, num_features=64)
    frames = torch.rand(1, 5, 3, 32, 32) * 255
    with torch.no_grad():
        scores, _ = network(frames)
        rows, _ = network.look(frames)
    weights, offset = (each.detach() for each in (network.linear.weight, network.linear.bias))
    rows = torch.cat([rows[0, :1].expand(3, -1), rows[0]])  # the first one stands in for those before it
    for t in range(5):
        until = rows[: t + 4]
        short = torch.cat([until[-2], until[-1]])
        long = torch.cat([until[-4:-2].mean(0), until[-2:].mean(0)])
        each = torch.stack([weights @ short + offset, weights @ long + offset])
        expected = (each - each[:, :1]).amax(dim=0)
        assert torch.allclose(scores[0, t], expected, atol=1e-4)
    assert not scores[..., 0].any()


def test_an_action_is_not_its_reverse():
    network = taught(in_channels=3, lengths=(4,), num_parts=4)
    frames = torch.rand(1, 4, 3, 32, 32) * 255
    with torch.no_grad():
        forward, backward = (network(each)[0][0, -1, 1:] for each in (frames, frames.flip(1)))
    assert (forward - backward).abs().max() > 1e-3


def test_backbones_stay_frozen():
    network = taught(in_channels=3).train()
    assert not any(module.training for module in network.backbones.modules())
    assert {name for name, p in network.named_parameters() if p.requires_grad} == {"linear.weight", "linear.bias"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backbones": ()}, "0 backbones"),
        ({"backbones": (BACKBONE,) * 17}, "17 backbones; expected 1 to 16"),
        ({"lengths": (0, 3)}, "lengths.0 is 0; expected 1 or more"),
        ({"lengths": (2.5,)}, "lengths.0 is 2.5; expected a whole number"),
        ({"lengths": (10**9,)}, "lengths.0 is 1000000000; expected 4096 at most"),
        ({"lengths": tuple(range(1, 99))}, "lengths is .*; expected"),
        (
            {"lengths": (4096,), "num_features": 65_536},
            "a ring of 4096 snippets of 65536 features; expected 16,777,216",
        ),
        ({"num_features": 10**12}, "num_features is 1000000000000; expected 65536 at most"),
        ({"num_parts": 0}, "num_parts is 0; expected 1 or more"),
        ({"backbones": (BACKBONE | {"mean": ()},)}, "expected 1 or 3 values of each"),
        ({"backbones": (BACKBONE | {"std": (0.0,)},)}, "std.0 is 0.0"),
        ({"backbones": (BACKBONE | {"maps": ((3, 0),)},)}, "maps.0.1 is 0; expected 1 or more"),
        ({"backbones": (BACKBONE | {"maps": ((3, 64),) * 64},)}, "the maps have 16,777,216 values; expected 1,048,576"),
        ({"backbones": (BACKBONE | {"network": "taught", "arguments": INNER},)}, "taught cannot be a backbone"),
        ({"in_channels": 4}, "4 channels does not divide"),
        ({"backbones": (BACKBONE | {"pictures": 2},)}, "does not divide into pictures for each backbone: 2"),
        ({"backbones": (BACKBONE | {"maps": ((9, 1),)},)}, "tsn_resnet18 has 4 stages"),
        ({"backbones": (BACKBONE | {"network": "r3d_18", "arguments": {}},)}, "r3d_18 cannot be a backbone"),
        ({"backbones": (BACKBONE | {"size": "big"},)}, "size is 'big'"),
    ],
)
def test_refuses_what_cannot_be_built(arguments, message):
    with pytest.raises(ValueError, match=message):
        create("taught", **{"backbones": (BACKBONE,), "in_channels": 3, **arguments})


def test_stretches_are_any_number_of_snippets():
    assert np.allclose(part_weights(6, 4, torch.zeros(())).sum(dim=1), 1)
