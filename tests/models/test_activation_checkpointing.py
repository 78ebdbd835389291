"""Activation checkpointing: the same gradients and statistics from less memory."""

import gc
import weakref

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from actionstream.models import create
from actionstream.models.training.activation_checkpointing import blocks, recomputed

NETWORKS = {
    "tsm_resnet18": {"width": 0.25, "dropout": 0.5},
    "tsm_resnet18 in pools": {"width": 0.25, "shift": "bi", "pooled_stages": (2, 3)},
    "tsm_mobilenet_v2": {"width": 0.25},
    "tam_resnet50_causal": {"width": 0.125},
    "tsm_resnet50_non_local": {"width": 0.125},
    "tsn": {"network": "tsn_resnet18", "width": 0.25, "consensus": "attention"},
}


def built(name):
    torch.manual_seed(0)
    return create(name.split()[0], num_classes=3, **NETWORKS[name]).train()


def learnt(network, *, twice):
    """Scores, gradients and statistics of a call, and the bytes that it keeps for the backward pass."""
    kept = {}

    def keep(tensor):
        kept[tensor.data_ptr()] = tensor.nbytes
        return tensor

    torch.manual_seed(1)
    frames = torch.rand(2, 4, 3, 48, 48)
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        if twice:
            with recomputed(network):
                scores = network(frames)
        else:
            scores = network(frames)
    scores = scores[0] if network.streams else scores
    torch.manual_seed(2)  # so that what is computed again does not look for its numbers here
    scores.square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    own = {parameter.data_ptr() for parameter in network.parameters()}
    return scores, gradients, dict(network.named_buffers()), sum(size for at, size in kept.items() if at not in own)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_from_less_memory(name):
    once, twice = built(name), built(name)
    *expected, whole = learnt(once, twice=False)
    *found, less = learnt(twice, twice=True)
    assert less < 0.65 * whole
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert all("forward" not in vars(module) for module in twice.modules())


def test_a_warm_state_goes_in_and_a_new_one_comes_out():
    network = built("tsm_resnet18").eval()
    first, then = torch.rand(2, 2, 3, 48, 48), torch.rand(2, 3, 3, 48, 48)
    with torch.no_grad():
        _, state = network(first)
    expected, expected_state = network(then, state)
    expected.sum().backward()
    gradient = network.conv1.weight.grad.clone()
    network.zero_grad()
    with recomputed(network):
        scores, new = network(then, state)
    scores.sum().backward()
    torch.testing.assert_close(scores, expected)
    torch.testing.assert_close(new, expected_state)
    torch.testing.assert_close(network.conv1.weight.grad, gradient)


def test_nothing_is_kept_after_the_step():
    network = built("tsm_resnet18")
    with recomputed(network):
        scores, state = network(torch.rand(2, 4, 3, 48, 48))
    scores.sum().backward()
    leaf = weakref.ref(state[3])
    del scores, state
    gc.collect()
    assert leaf() is None


def test_blocks():
    assert [type(block).__name__ for block in blocks(built("tsm_resnet18"))] == ["BasicBlock"] * 8
    assert {type(block).__name__ for block in blocks(create("i3d"))} == {"Convolution", "Inception"}
    with pytest.raises(ValueError, match="C3D has no blocks to compute twice"), recomputed(create("c3d")):
        pass
