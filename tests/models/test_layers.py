"""The layers that mix frames, each against its definition in loops."""

import pytest
import torch
from torch.nn.functional import max_pool3d

from actionstream.models import create
from actionstream.models.network import Carry
from actionstream.models.networks.non_local import NonLocal
from actionstream.models.networks.slowfast import Lateral
from actionstream.models.networks.tam import TemporalAggregation
from actionstream.models.networks.timeception import GROUPS, Layer
from actionstream.models.over_time import VolumeCarry


def test_temporal_aggregation_is_a_weighted_sum_of_three_frames():
    torch.manual_seed(0)
    for direction in ("uni", "bi"):
        layer = TemporalAggregation(6, direction)
        for weights in layer.parameters():
            weights.data.normal_()
        x = torch.randn(2, 4, 6, 3, 3)
        found = layer(x.flatten(0, 1), Carry(4, None)).unflatten(0, (2, 4))
        for t in range(4):
            expected = layer.current.weight.view(6, 1, 1) * x[:, t]
            if t > 0:
                expected = expected + layer.previous.weight.view(6, 1, 1) * x[:, t - 1]
            if direction == "bi" and t < 3:
                expected = expected + layer.next.weight.view(6, 1, 1) * x[:, t + 1]
            torch.testing.assert_close(found[:, t], torch.relu(expected))


def test_temporal_aggregation_begins_as_no_aggregation():
    x = torch.rand(4, 6, 3, 3)
    for direction in ("uni", "bi"):
        assert torch.equal(TemporalAggregation(6, direction)(x, Carry(4, None)), x)
        assert torch.equal(TemporalAggregation(6, direction, relu=False)(-x, Carry(4, None)), -x)


def test_a_mobilenet_begins_as_no_aggregation():
    """Inputs of its blocks have been through no ReLU, so the layer has none either."""
    torch.manual_seed(0)
    frames = torch.randn(1, 3, 3, 64, 64)
    plain = create("tsn_mobilenet_v2").eval()
    learned = create("tam_mobilenet_v2_causal").eval()
    learned.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        expected = plain.trunk(frames)[0]
        assert torch.equal(learned.trunk(frames)[0], expected)
        for name, weight in learned.named_parameters():
            if ".previous." in name:
                weight.normal_()
        changed = (learned.trunk(frames)[0] - expected).abs().amax(dim=(0, 2, 3, 4)) / expected.abs().max()
    assert changed[0] < 1e-5
    assert changed[1] > 0.1


@pytest.mark.parametrize("affinity", ["embedded-gaussian", "gaussian", "dot-product", "concatenation"])
def test_non_local_block_is_the_mean_over_all_places_and_times(affinity):
    torch.manual_seed(0)
    block = NonLocal(8, affinity).double().eval()
    torch.nn.init.normal_(block.out[1].weight)
    x = torch.randn(2, 8, 3, 4, 4, dtype=torch.double)
    found = block(x)
    values = max_pool3d(block.g(x), (1, 2, 2)).flatten(2)
    embedded = affinity != "gaussian"
    queries = (block.theta(x) if embedded else x).flatten(2)
    keys = max_pool3d(block.phi(x) if embedded else x, (1, 2, 2)).flatten(2)
    mean = torch.zeros(2, 4, 48, dtype=torch.double)
    for b in range(2):
        for q in range(48):
            if affinity == "concatenation":
                pairs = [block.pair(torch.cat([queries[b, :, q], keys[b, :, k]])).relu() for k in range(12)]
                weights = torch.cat(pairs) / 12
            else:
                products = keys[b].T @ queries[b, :, q]
                weights = products / 12 if affinity == "dot-product" else products.exp() / products.exp().sum()
            mean[b, :, q] = values[b] @ weights
    torch.testing.assert_close(found, x + block.out(mean.unflatten(2, (3, 4, 4))))


def test_a_new_non_local_block_does_nothing():
    x = torch.randn(1, 8, 2, 4, 4)
    assert torch.equal(NonLocal(8).eval()(x), x)
    with pytest.raises(ValueError, match="affinity of a non-local block is 'cosine'; it is one of"):
        NonLocal(8, "cosine")


def test_lateral_connections_bring_the_fast_frames_to_the_slow_ones():
    torch.manual_seed(0)
    slow, fast = torch.randn(1, 16, 2, 3, 3), torch.randn(1, 2, 8, 3, 3)

    def lateral(kind, fusion):
        return Lateral(2, 16, 4, kind, 5, fusion, norm=False)

    def fused(layer):
        return layer.fuse(slow, layer.move(fast, VolumeCarry()))

    sampled = fused(lateral("time-strided-sample", "concat"))
    assert torch.equal(sampled, torch.cat([slow, fast[:, :, [0, 4]]], dim=1))
    stacked = fused(lateral("time-to-channel", "concat"))
    assert stacked.shape == (1, 16 + 8, 2, 3, 3)
    for frame in range(8):  # channel c of frame A * t + a is channel A * c + a at t
        moved = stacked[:, [16 + frame % 4, 16 + 4 + frame % 4], frame // 4]
        assert torch.equal(moved, fast[:, :, frame])
    assert fused(lateral("time-strided-conv", "concat")).shape == (1, 16 + 4, 2, 3, 3)
    for kind in ("time-strided-sample", "time-to-channel", "time-strided-conv"):
        layer = lateral(kind, "sum")
        assert fused(layer).shape == slow.shape
        layer.weight.data.zero_()
        assert torch.equal(fused(layer), slow)


@pytest.mark.parametrize("scales", ["kernels", "dilations", "fixed"])
def test_timeception_layer_in_loops(scales):
    torch.manual_seed(0)
    layer = Layer(64, scales).double().eval()
    x = torch.randn(1, 64, 8, 2, 2, dtype=torch.double)
    sizes = {"kernels": (3, 5, 7), "dilations": (3, 3, 3), "fixed": (3, 3, 3)}[scales]
    dilations = {"kernels": (1, 1, 1), "dilations": (1, 2, 3), "fixed": (1, 1, 1)}[scales]
    outs = []  # by group, then branch
    per_branch = layer.branches[0].norm.num_features // GROUPS
    for group in range(GROUPS):
        mine = slice(group * per_branch, (group + 1) * per_branch)
        seen = x[:, group * 8 : (group + 1) * 8]
        for number, branch in enumerate(layer.branches):
            y = torch.nn.functional.conv3d(seen, branch.reduce.weight[mine], branch.reduce.bias[mine])
            if number in (1, 2, 3):
                weight, size, dilation = branch.over_time.weight[mine], sizes[number - 1], dilations[number - 1]
                z = torch.zeros_like(y) + branch.over_time.bias[mine].view(-1, 1, 1, 1)
                for t in range(8):
                    for k in range(size):
                        at = t + (k - size // 2) * dilation
                        if 0 <= at < 8:
                            z[:, :, t] += weight[:, 0, k] * y[:, :, at]
                y = z
            elif number == 4:
                y = torch.stack([torch.maximum(y[:, :, t], y[:, :, max(t - 1, 0)]) for t in range(8)], dim=2)
            outs.append(y / (1 + branch.norm.eps) ** 0.5)
    together = torch.cat(outs, dim=1).relu().unflatten(1, (GROUPS, -1))
    shuffled = torch.stack([together[:, g, c] for c in range(5 * per_branch) for g in range(GROUPS)], dim=1)
    torch.testing.assert_close(layer(x), torch.maximum(shuffled[:, :, 0::2], shuffled[:, :, 1::2]))


def test_timeception_says_how_much_video_it_needs():
    network = create("timeception_resnet152", num_layers=2, trunk="tsn_resnet18")
    with pytest.raises(ValueError, match="halve the time as often: they need 4 segments, not 3"):
        network(torch.zeros(1, 3, 3, 32, 32))
    with pytest.raises(ValueError, match="30 frames cannot be cut into segments of 8"):
        create("timeception_i3d", num_layers=1)(torch.zeros(1, 30, 3, 32, 32))
    with pytest.raises(ValueError, match="2 layers of 'both': at least one, of kernels, dilations, fixed"):
        create("timeception_i3d", num_layers=2, scales="both")


def test_where_a_shift_is_placed():
    """In "block" the shortcut sees the shifted frames; in "blockres" it sees them as they are."""
    x = torch.zeros(2, 64, 4, 4)
    x[0] = 1
    seen = {}
    for place in ("block", "blockres"):
        block = create("tsm_resnet18", shift_place=place).eval().layer1[0]
        block.residual = torch.zeros_like
        seen[place] = block(x, Carry(2, None))
    assert torch.equal(seen["blockres"], x)
    assert seen["block"][0, :8].eq(0).all()
    assert seen["block"][1, :8].eq(1).all()
    assert torch.equal(seen["block"][:, 8:], x[:, 8:])


def test_pooled_stages_halve_the_time():
    network = create("tsm_resnet18", shift="bi", pooled_stages=(2, 4)).eval()
    features, _ = network.trunk(torch.zeros(1, 8, 3, 32, 32))
    assert features.shape[:2] == (1, 2)
    with pytest.raises(ValueError, match=r"time can be pooled before stages 2, 3 and 4, not \[1\]"):
        create("tsm_resnet18", pooled_stages=(1,))
