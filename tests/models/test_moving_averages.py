"""Moving averages of features: their definition, blocks, and precision."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from actionstream.models import create
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.networks import moving_averages

SPANS = (2.0, 5.0, 40.0)


@pytest.fixture
def differences():
    """A network whose trunk gives the differences of its averages."""
    network = create("moving_averages", in_channels=4, num_hidden=4, spans=SPANS).double().eval()
    network.embedding = network.comparison = nn.Identity()
    return network


def expected(rows):
    """Features (T, C) to the differences (T, (N + 1) C), by the definition of each average."""
    found = []
    for end in range(1, len(rows) + 1):
        levels = [rows[end - 1]]
        for span in SPANS:
            weights = np.exp(-np.arange(end)[::-1] / span)
            levels.append(weights @ rows[:end] / weights.sum())
        found.append([*(a - b for a, b in itertools.pairwise(levels)), levels[-1]])
    return np.array(found).reshape(len(rows), -1)


@pytest.mark.parametrize("num_snippets", [1, 64, 65, 150])
def test_each_average_is_the_weighted_mean_since_the_beginning(differences, num_snippets):
    rows = np.random.default_rng(0).normal(size=(num_snippets, 4))
    found, _ = differences.trunk(torch.from_numpy(rows)[None, ..., None, None])
    assert found.shape == (1, num_snippets, 16, 1, 1)
    np.testing.assert_allclose(found.flatten(2)[0].numpy(), expected(rows), rtol=0, atol=1e-12)


def test_blocks_make_no_difference(differences, monkeypatch):
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 20, 4, 1, 1)))
    whole, leaves = differences.trunk(rows)
    monkeypatch.setattr(moving_averages, "BLOCK", 3)
    parts, others = differences.trunk(rows)
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(others[0], leaves[0], rtol=0, atol=1e-12)


def test_slow_averages_keep_their_precision_in_half(differences):
    """A step of the slowest average is lost beside the average itself where both have eight bits."""
    network = differences.to(torch.bfloat16)
    state = None
    for _ in range(400):
        found, state = network.trunk(torch.ones(1, 1, 4, 1, 1, dtype=torch.bfloat16), state)
    assert state[0].dtype == torch.float32
    assert found.dtype == torch.bfloat16
    assert torch.allclose(state[0], torch.ones(()), atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spans": ()}, "spans"),
        ({"spans": (2.0, 0.0)}, "spans"),
        ({"spans": (4.0, 2.0)}, "expected numbers that rise"),
        ({"num_hidden": 0}, "num_hidden"),
        ({"dropout": 1.0}, "dropout"),
        ({"input_dropout": -0.1}, "input_dropout"),
        ({"in_channels": 0}, "in_channels"),
    ],
)
def test_arguments_out_of_bounds_are_named(arguments, message):
    with pytest.raises(ActionstreamError, match=message):
        create("moving_averages", **arguments)
