"""The GPU runtime's batches and buffers, on a CPU, where it computes the same without graphs."""

import numpy as np
import pytest
import torch
from helpers import SIZE, random_card, random_network
from precision import apart, float64_bound
from torch.utils._python_dispatch import TorchDispatchMode

from actionstream import Engine
from actionstream.models.weights.loading import load
from actionstream.runtimes import graphs
from actionstream.runtimes.eager import TorchRuntime
from actionstream.runtimes.graphs import GraphRuntime

CARD = random_card()


def frames(count, seed=0, snippets=1):
    return np.random.default_rng(seed).integers(0, 256, (count, snippets, SIZE, SIZE, 3), dtype=np.uint8)


def limit(dtype):
    """How far scores in this precision may be off."""
    pixels = torch.from_numpy(frames(5, snippets=3))
    return float64_bound(random_network(CARD), CARD.preprocessing.normalise(pixels), dtype=dtype)[1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_scores_are_those_of_the_reference(dtype):
    """Batches of any size, through padding, through growth of the pool, and for several snippets at once."""
    options = {"device": "cpu", "num_slots": 2}
    reference = TorchRuntime(random_network(CARD), CARD, **options)
    runtime = GraphRuntime(random_network(CARD), CARD, **options, dtype=dtype, batch_sizes=(1, 2, 4))
    both = reference, runtime
    slots = np.array([[each.allocate() for _ in range(5)] for each in both])
    assert slots[0].tolist() == slots[1].tolist()
    for turn, (count, snippets) in enumerate([(1, 1), (3, 1), (4, 1), (2, 3), (5, 1), (1, 1), (3, 1)]):
        chosen = np.random.default_rng(turn).permutation(5)[:count]
        expected, found = (each.step(frames(count, turn, snippets), slots[0][chosen]) for each in both)
        assert found.dtype == np.float32
        assert apart(found, expected) < limit(dtype)
    for expected, found in zip(*(each.read(slots[0][0]) for each in both), strict=True):
        assert np.abs(found - expected).max() < limit(dtype) * max(1, np.abs(expected).max())


def test_nothing_is_fetched_from_the_host_while_a_graph_is_captured():
    """CUDA refuses that; torch.tensor shows as a lift of what was made on the host."""
    made = []

    class Watched(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            made.append(function.name())
            return function(*args, **(kwargs or {}))

    runtime = GraphRuntime(random_network(CARD), CARD, device="cpu", dtype=torch.float32, batch_sizes=(1,))
    pixels, index = torch.zeros(1, 1, SIZE, SIZE, 3, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64)
    with torch.inference_mode():
        runtime._forward(pixels, index)
        with Watched():
            runtime._forward(pixels, index)
    assert len(made) > 100
    assert not [name for name in made if "lift" in name]


def test_two_steps_under_way():
    runtime = GraphRuntime(random_network(CARD), CARD, device="cpu", dtype=torch.float32)
    reference = TorchRuntime(random_network(CARD), CARD, device="cpu")
    slots = np.array([runtime.allocate()])
    assert slots[0] == reference.allocate()
    pending = [runtime.begin(frames(1, seed), slots) for seed in range(2)]
    for seed, each in enumerate(pending):
        assert apart(runtime.finish(each), reference.step(frames(1, seed), slots)) < limit(torch.float32)


def test_a_bad_slot_is_refused_before_anything_runs():
    for runtime in (
        TorchRuntime(random_network(CARD), CARD, device="cpu", num_slots=2),
        GraphRuntime(random_network(CARD), CARD, device="cpu", num_slots=2),
    ):
        with pytest.raises(ValueError, match="have one twice"):
            runtime.step(frames(2), np.array([1, 1]))
        with pytest.raises(ValueError, match="not all rows of a pool of 2"):
            runtime.step(frames(1), np.array([2]))


def test_the_self_check_refuses_what_does_not_agree(checkpoint, monkeypatch):
    assert Engine(GraphRuntime.open(*load(checkpoint), device="cpu")).open() == "stream 0"
    monkeypatch.setattr(graphs, "TOLERANCE", -1.0)
    with pytest.raises(RuntimeError, match=r"its probabilities are off by 0\.\d+, more than -1.0"):
        GraphRuntime.open(*load(checkpoint), device="cpu")
