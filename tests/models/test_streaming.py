"""Clip networks frame by frame: the laws of a stream, and what they compute of whole clips."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from interior import distance_inside
from precision import CONTRACT, EXACT, apart, float64_bound
from reference import filled, is_deep
from streams import run

from actionstream.kernels import Slots
from actionstream.models import create
from actionstream.models.catalogue import NETWORKS, create_empty
from actionstream.models.networks.artnet import ARTNet
from actionstream.models.networks.c3d import C3D
from actionstream.models.networks.resnet3d import ResNet3D
from actionstream.models.over_time import VolumeCarry
from actionstream.models.streaming import Streaming

T = 5
KINDS = {  # and pixels
    ("r2plus1d_18", "causal"): 16,
    ("mc3_18", "delayed"): 16,
    ("slow_r50", "causal"): 32,
    ("i3d", "delayed"): 32,
    ("s3d_g", "causal"): 32,
    ("csn_ir_50", "delayed"): 32,
    ("i3d_resnet50_3x3x3", "causal"): 32,
    ("slowfast_r50_4x16", "causal"): 32,
}
FADING = "mc3_18"
STREAMS = {  # frames of a snippet, and the delay in snippets
    "c3d": (16, 2),
    "f_r2d_18": (1, 0),
    "r3d_18": (8, 6),
    "r3d_34": (8, 14),
    "mc2_18": (1, 1),
    "mc3_18": (1, 5),
    "mc4_18": (2, 6),
    "mc5_18": (4, 6),
    "rmc2_18": (8, 6),
    "rmc3_18": (8, 6),
    "rmc4_18": (4, 5),
    "rmc5_18": (2, 3),
    "r2plus1d_18": (8, 6),
    "r2plus1d_34": (8, 14),
    "r2plus1d_18_torchvision": (8, 6),
    "r3d_18_jfzhang": (8, 6),
    "r2plus1d_18_jfzhang": (8, 6),
    "i3d": (8, 6),
    "i3d_flow": (8, 6),
    "i3d_ibm": (8, 6),
    "i3d_bottom_heavy": (8, 6),
    "i3d_top_heavy": (8, 6),
    "s3d": (8, 6),
    "s3d_ibm": (8, 6),
    "i3d_resnet50_3x1x1": (2, 9),
    "i3d_resnet50_3x3x3": (8, 6),
    "csn_ir_50": (8, 6),
    "csn_ip_50": (8, 6),
    "artnet_r18": (16, 6),
    "slow_r50": (1, 9),
}
WHOLE_CLIPS = {  # and why they cannot be delayed; those in brackets run causally
    "r2d_18": "the first convolution reads the frames of whole clips",
    "s3d_g": "(its gates need the means of whole clips)",
    "slowfast_r50_4x16": "(the slow pathway reads evenly spaced frames of whole clips)",
    "slowfast_r50_8x8": "(the slow pathway reads evenly spaced frames of whole clips)",
    "i3d_resnet50_non_local": "non-local blocks compare all frames of whole clips",
    "smallbig_r50": "the last big view spans all frames of whole clips",
}


@pytest.fixture(scope="module", params=KINDS, ids=" ".join)
def case(request):
    """A network, and a function that makes frames for several streams."""
    name, mode = request.param
    network = Streaming(filled(name), mode=mode, num_frames=16, fading=name == FADING).double().eval()

    def frames(num_streams, seed=0):
        shape = (num_streams, T, network.in_channels, KINDS[request.param], KINDS[request.param])
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    return network, frames


@pytest.fixture(scope="module")
def network(case):
    return case[0]


@pytest.fixture(scope="module")
def frames(case):
    return case[1]


@settings(max_examples=3, deadline=None)
@given(cuts=st.sets(st.integers(1, T - 1), min_size=1))
def test_chunking(network, frames, cuts):
    x = frames(1)
    whole, last = run(network, x)
    pieces, last_of_pieces = run(network, x, sorted(cuts))
    assert apart(pieces, whole) < CONTRACT[torch.float64]
    for a, b in zip(last_of_pieces, last, strict=True):
        assert apart(a, b) < CONTRACT[torch.float64]


def test_causality(network, frames):
    x = frames(1)
    changed = x.clone()
    changed[:, 3:] = frames(1, seed=1)[:, 3:]
    before, after = run(network, x)[0], run(network, changed)[0]
    assert apart(after[:, :3], before[:, :3]) < CONTRACT[torch.float64]
    assert not torch.equal(after[:, 3:], before[:, 3:])


def test_streams_of_a_batch_begin_and_end_when_they_will(network, frames):
    """One begins where another has come three snippets far: rows of a pool, and the reset of a single one."""
    x = frames(2)
    alone = [run(network, x[stream : stream + 1])[0][0] for stream in (0, 1)]
    pool = tuple(torch.full((4, *leaf.shape[1:]), 7.0).to(leaf) for leaf in network.empty_state(1, *x.shape[-2:]))
    for leaf in pool:
        leaf[[3, 1]] = 0

    def state(*rows):
        return tuple(Slots(leaf, torch.tensor(rows)) for leaf in pool)

    first, _ = run(network, x[:1, :3], state=state(3))
    both, _ = run(network, torch.stack([x[0, 3:], x[1, :2]]), cuts=(1,), state=state(3, 1))
    rest, _ = run(network, x[1:, 2:], state=state(1))
    found = [torch.cat([first[0], both[0]]), torch.cat([both[1], rest[0]])]
    for scores, expected in zip(found, alone, strict=True):
        assert apart(scores, expected) < CONTRACT[torch.float64]
    for leaf in pool:
        leaf[3] = 0
        assert (leaf[[0, 2]] == 7).all()
    again, _ = run(network, x[:1], state=state(3))
    assert apart(again[0], alone[0]) < CONTRACT[torch.float64]


@torch.no_grad()
def test_in_float32(network, frames):
    _, bound = float64_bound(network, frames(1))
    x, network = frames(1).float(), network.float()
    try:
        whole, pieces = run(network, x)[0], run(network, x, range(1, T))[0]
    finally:
        network.double()
    assert apart(pieces, whole) < min(bound, CONTRACT[torch.float32])


def test_gradients_reach_every_parameter(network, frames):
    scores, _ = network(frames(1))
    scores.square().sum().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None]
    network.zero_grad()
    assert without == []


SLOW = ("r3d_34", "r2plus1d_34", "i3d_resnet50_3x3x3")


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in STREAMS])
def test_delayed_is_the_clip_network_inside_a_clip(name):
    network = filled(name)
    streaming = Streaming(network, mode="delayed", num_frames=1)
    assert (streaming.snippet_frames, streaming.delay) == STREAMS[name]
    assert Streaming(network, mode="causal", num_frames=1).delay == 0
    assert distance_inside(network) < EXACT


MODES = [(name, mode) for name in STREAMS for mode in ("causal", "delayed")]
MODES += [(name, "causal") for name, why in WHOLE_CLIPS.items() if why[0] == "("]
MODES = [case for case in MODES if case not in KINDS]  # whose laws are tested in more ways above


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mode"), MODES, ids=map(" ".join, MODES))
def test_the_laws_of_each_network(name, mode):
    """In pieces, with another future, and in rows of a pool of which one begins later: the features are the same."""
    network = Streaming(filled(name), mode=mode, num_frames=16)
    side = 16 if isinstance(network.network, C3D | ARTNet | ResNet3D) else 32
    shape = (2, 3, network.in_channels, side, side)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    whole, _ = run(network.trunk, x)
    bound = CONTRACT[torch.float32]
    assert apart(run(network.trunk, x, cuts=(1,))[0], whole) < bound
    changed = torch.cat([x[:, :2], 1 - x[:, 2:]], dim=1)
    assert apart(run(network.trunk, changed)[0][:, :2], whole[:, :2]) < bound
    _, leaves = run(network.trunk, x[:1, :1])
    pool = tuple(torch.zeros(3, *leaf.shape[1:]) for leaf in leaves)

    def in_rows(x, *rows):
        return run(network.trunk, x, state=tuple(Slots(leaf, torch.tensor(rows)) for leaf in pool))[0]

    assert apart(in_rows(x[:1, :2], 2), whole[:1, :2]) < bound
    both = in_rows(torch.stack([x[0, 2:], x[1, :1]]), 2, 0)
    assert apart(both, torch.stack([whole[0, 2:], whole[1, :1]])) < bound
    for leaf in pool:
        leaf[2] = 0
    assert apart(in_rows(x[:, :1], 2, 1), whole[:, :1]) < bound


@pytest.mark.parametrize("lateral", ["time-strided-conv", "time-strided-sample", "time-to-channel"])
def test_pathways_of_two_rates_wait_for_each_other(lateral):
    network = create(
        "slowfast_r50_4x16", num_classes=2, beta_inv=16, alpha=2, lateral=lateral, slow_frames="strided"
    ).eval()
    assert Streaming(network, mode="delayed", num_frames=1).snippet_frames == 2
    assert distance_inside(network) < EXACT


def test_every_network_runs_frame_by_frame_or_says_why_not():
    for name in NETWORKS:
        network = create_empty(name)
        if network.streams or is_deep(name) or name in STREAMS:
            continue
        why = WHOLE_CLIPS.get(name, "has layers that need whole clips")
        with pytest.raises(ValueError, match=why.strip("()")):
            Streaming(network, mode="delayed", num_frames=8)
        if why[0] == "(":
            assert Streaming(network, mode="causal", num_frames=8).streams
        else:
            with pytest.raises(ValueError, match=why):
                Streaming(network, mode="causal", num_frames=8)


def test_refused():
    with pytest.raises(ValueError, match="mode is 'late'; it is one of causal, delayed"):
        Streaming(create("mc3_18"), mode="late", num_frames=8)
    with pytest.raises(ValueError, match="clips of 0 frames; expected a whole number from 1 to 4096"):
        Streaming(create("mc3_18"), mode="causal", num_frames=0)
    with pytest.raises(ValueError, match="ResNet streams by itself; leave streaming out"):
        Streaming(create("tsm_resnet18"), mode="causal", num_frames=8)
    network = Streaming(create_empty("r3d_18"), mode="causal", num_frames=8)
    with pytest.raises(ValueError, match=r"frames are \(B, T, 24, H, W\)"):
        network(torch.zeros(1, 8, 3, 32, 32))
    with pytest.raises(ValueError, match="C3D takes frames of 112 x 112 pixels only"):
        create("c3d", num_classes=2).eval().head(torch.zeros(1, 512, 1, 1, 1))


def test_the_mean_is_over_the_last_frames_of_a_clip():
    """Over those that have come, before there are so many."""
    carry = VolumeCarry("causal", num_frames=3)
    x = torch.arange(1.0, 7.0).view(1, 1, 6, 1, 1)
    assert carry.running_mean(x).flatten().tolist() == [1, 1.5, 2, 3, 4, 5]
    again = VolumeCarry("causal", carry.state(), num_frames=3)
    assert again.running_mean(x[:, :, :1] + 6).flatten().tolist() == [6]


def test_a_fading_mean():
    """With clips of 4 frames each is worth three quarters of the next."""
    x = torch.tensor([1.0, 2, 3]).double()[None, None, :, None, None]
    expected = [1, (0.75 + 2) / 1.75, (0.75**2 + 0.75 * 2 + 3) / (0.75**2 + 1.75)]
    whole = VolumeCarry("causal", num_frames=4, fading=True)
    torch.testing.assert_close(whole.running_mean(x).flatten(), torch.tensor(expected).double())
    (leaf,) = whole.state()
    assert leaf.shape == (1, 2, 1, 1, 1)
    first = VolumeCarry("causal", num_frames=4, fading=True)
    first.running_mean(x[:, :, :2])
    rest = VolumeCarry("causal", first.state(), num_frames=4, fading=True)
    torch.testing.assert_close(rest.running_mean(x[:, :, 2:]).flatten(), torch.tensor(expected[2:]).double())


def test_what_is_for_streaming_alone():
    for name, options in (("r3d_18", {"num_frames": 8}), ("tsm_resnet18", {"fading": True})):
        with pytest.raises(ValueError, match="num_frames and fading are for streaming"):
            create(name, **options)


@torch.inference_mode()
def test_a_causal_network_of_a_whole_clip_is_padded_before_it_only():
    """By hand: a layer of three frames, of which the last is the present."""
    network = Streaming(filled("mc2_18"), mode="causal", num_frames=4).double()
    frames = torch.randn(1, 6, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    before = torch.cat([torch.zeros_like(frames[:, :2]), frames], dim=1)
    clip = network.network
    stem = clip.stem[0]
    by_hand = torch.nn.functional.conv3d(before.transpose(1, 2), stem.weight, None, stem.stride, (0, 3, 3))
    found = stem(frames.transpose(1, 2), VolumeCarry("causal"))
    assert apart(found, by_hand) < EXACT
