"""Beside the package continual-inference (Hedegaard and Iosifidis, ECCV workshops 2022, arXiv:2204.03418)."""

import continual
import torch
from precision import CONTRACT, apart
from torch import nn

from actionstream.kernels import Slots
from actionstream.models.over_time import Chain, Conv3d, MaxPool3d, VolumeCarry, residual

EXACT = CONTRACT[torch.float64]


def made(layer, *shape):
    """Their layer in float64, and frames (B, C, T, H, W) for it."""
    torch.manual_seed(0)
    return layer.double().eval(), torch.randn(shape, dtype=torch.float64)


def ours(theirs, **how):
    """Our convolution with the weights of theirs."""
    layer = Conv3d(theirs.in_channels, theirs.out_channels, theirs.kernel_size, **how).double()
    layer.load_state_dict(theirs.state_dict())
    return layer


@torch.no_grad()
def by_one(layer, x, mode="delayed"):
    """Our outputs of x (B, C, T, H, W), a frame at a time."""
    rows, state = [], None
    for t in range(x.shape[2]):
        carry = VolumeCarry(mode, state)
        rows.append(layer(x[:, :, t : t + 1], carry))
        state = carry.state()
    return torch.cat(rows, dim=2)


@torch.no_grad()
def test_a_convolution_without_padding():
    theirs, x = made(continual.Conv3d(1, 1, 3), 1, 1, 5, 3, 3)
    expected = torch.cat([theirs.forward_steps(x[:, :, :4]), theirs.forward_step(x[:, :, 4]).unsqueeze(2)], dim=2)
    for mode in ("causal", "delayed"):
        assert apart(by_one(ours(theirs), x, mode)[:, :, 2:], expected) < EXACT


@torch.no_grad()
def test_a_convolution_with_padding():
    theirs, x = made(continual.Conv3d(4, 6, 3, padding=1), 2, 4, 7, 5, 5)
    expected = theirs.forward_steps(x)
    assert expected.shape[2] == 6  # it waits for the frame after its own
    assert apart(by_one(ours(theirs, padding=1), x)[:, :, 1:], expected) < EXACT


@torch.no_grad()
def test_a_pooling():
    theirs, x = made(continual.MaxPool3d((3, 2, 2), stride=(1, 2, 2)), 2, 4, 7, 6, 6)
    x = x.relu()
    assert apart(by_one(MaxPool3d((3, 2, 2), (1, 2, 2)), x)[:, :, 2:], theirs.forward_steps(x)) < EXACT


class Residual(nn.Module):
    def __init__(self, branch):
        super().__init__()
        self.branch = branch

    def forward(self, x, carry):
        return residual(x, carry, self.branch, None)


@torch.no_grad()
def test_a_shortcut_waits_for_its_branch():
    theirs, x = made(continual.Residual(continual.Conv3d(8, 8, 3, padding=1)), 1, 8, 9, 5, 5)
    convolution = next(module for module in theirs.modules() if isinstance(module, continual.Conv3d))
    expected = theirs.forward_steps(x)
    delayed, causal = (by_one(Residual(ours(convolution, padding=1)), x, mode) for mode in ("delayed", "causal"))
    assert apart(delayed[:, :, 1:], expected) < EXACT
    assert apart(causal[:, :, 1:], expected) > 0.1  # another function


@torch.no_grad()
def test_branches_of_other_lengths():
    """An Inception module, as in the example of theirs: 1 x 1, 3 x 3 x 3 and 5 x 5 x 5."""
    branches = [continual.Conv3d(4, 2, size, padding=size // 2) for size in (1, 3, 5)]
    theirs, x = made(continual.BroadcastReduce(*branches, reduce="concat"), 1, 4, 9, 6, 6)
    layers = [ours(each, padding=each.kernel_size[0] // 2) for each in branches]

    def module(x, carry):
        return torch.cat(carry.meet(x, *layers), dim=1)

    assert apart(by_one(module, x)[:, :, 2:], theirs.forward_steps(x)) < EXACT


@torch.no_grad()
def test_streams_of_a_batch_are_reset_alone_and_have_rhythms_of_their_own():
    """The state of theirs is in its layers: all streams of a batch go on together, and begin together."""
    theirs, x = made(continual.Sequential(continual.Conv3d(2, 3, 3), continual.Conv3d(3, 2, 3)), 2, 2, 8, 9, 9)
    layers = Chain(*(ours(each) for each in theirs))
    quick, slow = (by_one(layers, x[stream : stream + 1]) for stream in (0, 1))
    _, leaves = run(layers, x[:1, :, :1], None)
    pool = tuple(torch.zeros(2, *leaf.shape[1:], dtype=torch.float64) for leaf in leaves)
    found = {0: [], 1: []}
    for t in range(8):
        streams = [0] if t % 2 else [0, 1]  # the second camera has half the rate
        frames = torch.stack([x[stream, :, t if stream == 0 else t // 2] for stream in streams]).unsqueeze(2)
        rows, _ = run(layers, frames, tuple(Slots(leaf, torch.tensor(streams)) for leaf in pool))
        for stream, row in zip(streams, rows, strict=True):
            found[stream].append(row)
    assert apart(torch.cat(found[0], dim=1), quick[0]) < EXACT
    assert apart(torch.cat(found[1], dim=1), slow[0, :, :4]) < EXACT

    assert theirs.forward_steps(x).shape[2] == 4
    theirs.clean_state()  # for the second stream to begin anew, the first one has to
    assert theirs.forward_steps(x[:, :, :4]) is None
    for leaf in pool:
        leaf[1] = 0
    state = tuple(Slots(leaf, torch.tensor([0, 1])) for leaf in pool)
    rows, _ = run(layers, torch.stack([x[0, :, 7], x[1, :, 0]]).unsqueeze(2), state)
    assert apart(rows[1:], slow[:, :, :1]) < EXACT
    again = by_one(layers, torch.cat([x[:1], x[:1, :, 7:]], dim=2))
    assert apart(rows[:1], again[:, :, 8:]) < EXACT


def run(layers, x, state):
    carry = VolumeCarry("causal", state)
    return layers(x, carry), carry.state()
