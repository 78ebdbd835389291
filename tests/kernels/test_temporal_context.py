"""The last inputs of a layer over time."""

import pytest
import torch

from actionstream.kernels import Slots, temporal_context


def random(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("size", [1, 2, 4])
def test_it_puts_the_last_snippets_before_the_next(size):
    x = random(2, 3, 7, 4, 5)
    padded = torch.cat([torch.zeros(2, 3, size, 4, 5, dtype=x.dtype), x], dim=2)
    whole, last = temporal_context(x, size=size)
    assert torch.equal(whole, padded)
    assert torch.equal(last, x[:, :, -size:])
    leaf = None
    for t in range(7):
        both, leaf = temporal_context(x[:, :, t : t + 1], leaf, size=size)
        assert torch.equal(both, padded[:, :, t : t + size + 1])
    assert torch.equal(leaf, last)


def test_the_leaf_is_a_copy():
    x = random(1, 2, 3, 2, 2)
    both, leaf = temporal_context(x, size=2)
    both.zero_()
    assert torch.equal(leaf, x[:, :, 1:])


def test_padding_rows_write_nothing():
    """Also where all rows are padding, as in the warm-up of a CUDA graph, which runs beside streams."""
    for rows in ([2, -1, 0], [-1, -1, 1], [-1, -1, -1]):
        pool, x = random(4, 2, 1, 2, 2), random(3, 2, 1, 2, 2)
        expected = pool.clone()
        for row, values in zip(rows, x, strict=True):
            if row >= 0:
                expected[row] = values
        temporal_context(x, Slots(pool, torch.tensor(rows)), size=1)
        assert torch.equal(pool, expected)


def test_a_graph_can_capture_it():
    """No shape depends on values: it runs where there are none."""
    x, pool = (torch.empty(each, device="meta") for each in ((3, 2, 1, 2, 2), (5, 2, 2, 2, 2)))
    both, _ = temporal_context(x, Slots(pool, torch.empty(3, dtype=torch.int64, device="meta")), size=2)
    assert both.shape == (3, 2, 3, 2, 2)


def test_rows_of_a_pool():
    x, pool = random(3, 2, 1, 2, 2), random(5, 2, 2, 2, 2)
    before = pool.clone()
    index = torch.tensor([4, -1, 0])
    both, leaf = temporal_context(x, Slots(pool, index), size=2)
    assert leaf.pool is pool
    assert torch.equal(both[[0, 2], :, :2], before[[4, 0]])
    assert not both[1, :, :2].any()
    assert torch.equal(pool[[4, 0]], both[[0, 2], :, 1:])
    assert torch.equal(pool[1:4], before[1:4])


def test_gradients():
    x, leaf = random(2, 2, 2, 1, 2).requires_grad_(), random(2, 2, 3, 1, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, leaf: temporal_context(x, leaf, size=3), (x, leaf))


def test_refused():
    with pytest.raises(ValueError, match=r"takes x as \(B, C, T, H, W\) and a size of 1 or more"):
        temporal_context(random(2, 2, 2, 2), size=1)
    with pytest.raises(ValueError, match=r"takes x .* and a size of 1 or more"):
        temporal_context(random(2, 2, 2, 2, 2), size=0)
    with pytest.raises(ValueError, match=r"state of this layer is \(1, 2, 1, 2, 2\), but 2 streams need \(2, 2, 1, 2"):
        temporal_context(random(2, 2, 2, 2, 2), random(1, 2, 1, 2, 2), size=1)
