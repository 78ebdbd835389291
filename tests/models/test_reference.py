"""Golden scores of our own making: each network says on this machine what it said in float64 where they were made."""

import json

import pytest
import torch
from golden import AGREEMENT
from precision import EXACT, apart, scores_in
from reference import FILE, clip_for, filled, is_deep

from actionstream.models.catalogue import NETWORKS

SCORES = json.loads(FILE.read_text())
LARGE = ("c3d", "tsn_vgg16")  # a second and more is what their weights take


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in LARGE)) for n in SCORES])
@torch.inference_mode()
def test_scores_are_those_of_the_file(name):
    """The network is the same in float64; in float32 it agrees, and where it streams it does so frame by frame."""
    network = filled(name)
    frames = clip_for(name, network)
    if network.streams:
        state, rows = None, []
        for t in range(frames.shape[1]):
            row, state = network(frames[:, t : t + 1], state)
            rows.append(row[0])
        assert apart(torch.cat(rows), SCORES[name]) < AGREEMENT
    assert apart(scores_in(torch.float32, network, frames)[0], SCORES[name]) < AGREEMENT
    assert apart(scores_in(torch.float64, network, frames)[0], SCORES[name]) < EXACT


def test_every_network_has_its_scores():
    """But for deeper ones of the same code."""
    assert list(SCORES) == [name for name in NETWORKS if not is_deep(name)], "run: python tests/support/reference.py"
