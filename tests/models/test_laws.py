"""The four laws of a network that streams: chunking, causality, independence, reset."""

import pytest
import torch
from helpers import random_card, random_network
from hypothesis import given, settings
from hypothesis import strategies as st
from precision import CONTRACT, apart, float64_bound
from streams import run

from actionstream.kernels import Slots
from actionstream.models.networks.frozen_backbones import FrozenBackbones
from actionstream.models.window import Window

BACKBONES = (  # the first squeezes the frames and sees them in another order of colours, the second stretches them
    {
        "network": "tsn_resnet18",
        "arguments": {"width": 0.125},
        "size": 32,
        "mean": (0.1,),
        "std": (0.5,),
        "maps": ((3, 2),),
    },
    {
        "network": "tsm_mobilenet_v2",
        "arguments": {"width": 0.35},
        "size": 64,
        "mean": (0.0,),
        "std": (1.0, 2.0, 1.0),
        "order": "bgr",
        "maps": ((1, 3), (7, 1)),
    },
)
NETWORKS = {
    "tsm_mobilenet_v2": random_card("tsm_mobilenet_v2", width=0.35),
    "tsm_mobilenet_v2, SAME, n_div 4": random_card("tsm_mobilenet_v2", same=True, n_div=4, width=0.35),
    "tsm_resnet18": random_card(),
    "tsm_resnet50": random_card("tsm_resnet50", width=0.25),
    "tsm_resnet101": random_card("tsm_resnet101", width=0.125),
    "tsn_resnet18": random_card("tsn_resnet18", width=0.25),
    "taught": random_card("taught", backbones=BACKBONES, in_channels=3, lengths=(2, 5), num_parts=3, num_features=64),
    "detector": random_card(
        "detector", backbones=BACKBONES, in_channels=3, num_features=64, arguments={"num_hidden": 24}
    ),
    "a window of 4": (4, 1),
    "a window of 3, stride 3": (3, 3),
}
T = 7


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda name: name)
def network(request):
    kind = NETWORKS[request.param]
    if isinstance(kind, tuple):
        clip_network = random_network(random_card(shift="bi", width=0.35))
        return Window(clip_network, num_frames=kind[0], stride=kind[1]).eval()
    return random_network(kind)


@pytest.fixture(scope="module", params=[torch.float32, torch.float64], ids=str)
def dtype(request):
    return request.param


@pytest.fixture(scope="module")
def limit(network, dtype):
    """What the contract allows, or less: what rounding makes of the scores of this network."""
    _, in_float32 = float64_bound(network, frames(3, torch.float32))
    return min(CONTRACT[dtype], in_float32 * torch.finfo(dtype).eps / torch.finfo(torch.float32).eps)


def frames(num_streams, dtype, seed=0):
    return torch.randn(num_streams, T, 3, 33, 40, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@settings(max_examples=6, deadline=None)
@given(cuts=st.sets(st.integers(1, T - 1)))
def test_chunking(network, dtype, limit, cuts):
    x = frames(2, dtype)
    whole, last = run(network.to(dtype), x)
    pieces, last_of_pieces = run(network, x, sorted(cuts))
    assert apart(pieces, whole) < limit
    for a, b in zip(last_of_pieces, last, strict=True):
        assert apart(a, b) < limit


@pytest.mark.parametrize("t", [0, 3, T - 2])
def test_causality(network, dtype, limit, t):
    x = frames(2, dtype)
    changed = x.clone()
    changed[:, t + 1 :] = frames(2, dtype, seed=1)[:, t + 1 :]
    before, _ = run(network.to(dtype), x)
    after, _ = run(network, changed)
    assert apart(after[:, : t + 1], before[:, : t + 1]) < limit
    assert apart(after[:, t + 1 :], before[:, t + 1 :]) > 1e-3


def test_independence(network, dtype, limit):
    x = frames(3, dtype)
    together, _ = run(network.to(dtype), x, cuts=(2, 3))
    for stream in range(3):
        alone, _ = run(network, x[stream : stream + 1], cuts=(2, 3))
        assert apart(together[stream], alone[0]) < limit


def test_reset(network, dtype, limit):
    x = frames(2, dtype)
    _, state = run(network.to(dtype), frames(2, dtype, seed=3))
    empty = network.empty_state(2, 33, 40)
    for leaf, fresh in zip(state, empty, strict=True):
        assert leaf.shape == fresh.shape
        leaf[0] = fresh[0]
    scores, _ = run(network, x, state=state)
    fresh_scores, _ = run(network, x)
    assert apart(scores[0], fresh_scores[0]) < limit
    if state:
        assert apart(scores[1, :1], fresh_scores[1, :1]) > 1e-5


def test_slots(network, dtype, limit):
    """Rows of a pool, updated in place, are the same state."""
    x = frames(2, dtype)
    expected, last = run(network.to(dtype), x, cuts=(3,))
    pool = tuple(torch.full_like(leaf, 7.0) for leaf in network.empty_state(4, 33, 40))
    for leaf in pool:
        leaf[[3, 1]] = 0
    index = torch.tensor([3, 1])
    state = tuple(Slots(leaf, index) for leaf in pool)
    scores, _ = run(network, x, cuts=(3,), state=state)
    assert apart(scores, expected) < limit
    for leaf, rows in zip(pool, last, strict=True):
        assert apart(leaf[[3, 1]], rows) < limit
        assert (leaf[[0, 2]] == 7).all()


def test_the_order_of_frames_matters_only_with_shift(network):
    x = frames(1, torch.float32)
    forward, _ = run(network.float(), x)
    backward, _ = run(network, x.flip(1))
    same = apart(backward.flip(1), forward) < CONTRACT[torch.float32]
    assert same == (network.shift == "none" and not isinstance(network, Window | FrozenBackbones))


@pytest.mark.parametrize("arguments", [{"shift": "bi"}, {"shift_padding": "circulant"}])
def test_clip_networks_take_no_state(arguments):
    network = random_network(random_card(**arguments))
    clip = frames(2, torch.float32)
    assert not network.streams
    assert network(clip).shape == (2, 4)
    with pytest.raises(ValueError, match="needs whole clips"):
        network(clip, ())
    with pytest.raises(ValueError, match="has no state"):
        network.empty_state(1, 32, 32)


def test_gradients_reach_every_parameter(network):
    network.float().train()
    scores, _ = network(frames(2, torch.float32))
    scores.square().sum().backward()
    learnt = {name: p for name, p in network.named_parameters() if p.requires_grad}  # all, but for frozen backbones
    assert [name for name, p in learnt.items() if p.grad is None or not p.grad.any()] == []
    network.zero_grad()
    network.eval()


def test_refuses_what_does_not_fit(network):
    with pytest.raises(ValueError, match=r"frames are \(B, T, 3, H, W\)"):
        network(torch.zeros(1, 3, 32, 32))
    leaf = torch.zeros(1, 1, 1, 1)
    with pytest.raises(ValueError, match=r"state has more than|state of this layer|leaves, not 99"):
        network(torch.zeros(1, 1, 3, 32, 32), (leaf,) * 99)
