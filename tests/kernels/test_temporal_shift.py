"""The shift against a definition in for loops."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from actionstream.kernels import Slots, temporal_shift


def by_definition(x, before, *, num_snippets, n_div, direction, padding):
    """Channel by channel, as TSM's section 3 says; x (B * T, C, H, W), before (B, F, H, W)."""
    num_streams, channels = x.shape[0] // num_snippets, x.shape[1]
    fold = channels // n_div
    out = x.clone()
    for stream in range(num_streams):
        for t in range(num_snippets):
            for channel in range(channels):
                if channel < fold:
                    source = t + 1 if direction == "bi" else t - 1
                elif direction == "bi" and channel < 2 * fold:
                    source = t - 1
                else:
                    continue
                if padding == "circulant":
                    source %= num_snippets
                row = stream * num_snippets
                if 0 <= source < num_snippets:
                    out[row + t, channel] = x[row + source, channel]
                elif source < 0 and before is not None:
                    out[row + t, channel] = before[stream, channel]
                else:
                    out[row + t, channel] = 0
    return out


shapes = st.fixed_dictionaries(
    {
        "num_streams": st.integers(1, 3),
        "num_snippets": st.integers(1, 4),
        "channels": st.integers(1, 9),
        "n_div": st.integers(2, 10),
        "channels_last": st.booleans(),
        "dtype": st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
    }
)


def random_input(case, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rows = case["num_streams"] * case["num_snippets"]
    x = torch.randn(rows, case["channels"], 3, 2, generator=generator).to(case["dtype"])
    return x.contiguous(memory_format=torch.channels_last) if case["channels_last"] else x


@settings(max_examples=150, deadline=None)
@given(case=shapes, direction=st.sampled_from(["uni", "bi"]), padding=st.sampled_from(["zero", "circulant"]))
def test_equals_the_definition(case, direction, padding):
    x = random_input(case)
    options = {k: case[k] for k in ("num_snippets", "n_div")} | {"direction": direction, "padding": padding}
    untouched = x.clone()
    shifted, leaf = temporal_shift(x, **options)
    assert torch.equal(shifted, by_definition(x, None, **options))
    assert torch.equal(x, untouched)
    assert shifted.is_contiguous(memory_format=torch.channels_last) or not case["channels_last"]
    assert (leaf is None) == (direction == "bi" or padding == "circulant")


@settings(max_examples=100, deadline=None)
@given(case=shapes)
def test_carries_the_last_snippet_over(case):
    x = random_input(case)
    fold = case["channels"] // case["n_div"]
    before = torch.randn(case["num_streams"], fold, 3, 2).to(case["dtype"])
    options = {"num_snippets": case["num_snippets"], "n_div": case["n_div"]}
    shifted, leaf = temporal_shift(x, before, **options)
    assert torch.equal(shifted, by_definition(x, before, **options, direction="uni", padding="zero"))
    last = x.unflatten(0, (case["num_streams"], -1))[:, -1, :fold]
    assert torch.equal(leaf, last)
    x.zero_()
    assert fold == 0 or leaf.abs().sum() > 0, "the leaf must not be a view of the activation"


@settings(max_examples=100, deadline=None)
@given(case=shapes, data=st.data())
def test_slots_equal_the_functional_form(case, data):
    x = random_input(case)
    num_streams, fold = case["num_streams"], case["channels"] // case["n_div"]
    order = data.draw(st.permutations(range(5)))[:num_streams]
    padding = data.draw(st.lists(st.booleans(), min_size=num_streams, max_size=num_streams))
    rows = [-1 if pad else row for row, pad in zip(order, padding, strict=True)]
    pool = torch.randn(5, fold, 3, 2).to(case["dtype"])
    expected_pool = pool.clone()
    before = torch.stack([pool[row] if row >= 0 else torch.zeros_like(pool[0]) for row in rows])
    options = {"num_snippets": case["num_snippets"], "n_div": case["n_div"]}
    expected, leaf = temporal_shift(x, before, **options)
    for position, row in enumerate(rows):
        if row >= 0:
            expected_pool[row] = leaf[position]

    (slots,) = Slots.of_pools([pool], rows)
    shifted, same = temporal_shift(x, slots, **options)
    assert same is slots
    assert torch.equal(shifted, expected)
    assert torch.equal(pool, expected_pool)


@pytest.mark.parametrize("direction", ["uni", "bi"])
@pytest.mark.parametrize("padding", ["zero", "circulant"])
def test_gradient(direction, padding):
    x = torch.randn(6, 5, 2, 2, dtype=torch.float64, requires_grad=True)
    before = torch.randn(2, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    takes_state = direction == "uni" and padding == "zero"

    def shift(x, before):
        leaf = before if takes_state else None
        out, _ = temporal_shift(x, leaf, num_snippets=3, n_div=2, direction=direction, padding=padding)
        return out + 0 * before.sum()

    assert torch.autograd.gradcheck(shift, (x, before))


def test_refuses_what_does_not_fit():
    x = torch.zeros(6, 8, 2, 2)
    with pytest.raises(ValueError, match=r"\(B \* T, C, H, W\), not \(6, 8\)"):
        temporal_shift(x[..., 0, 0], num_snippets=1)
    with pytest.raises(ValueError, match="6 rows of x cannot be cut into streams of 4"):
        temporal_shift(x, num_snippets=4)
    with pytest.raises(ValueError, match="takes no state"):
        temporal_shift(x, x[:2, :1], num_snippets=3, direction="bi")
    with pytest.raises(ValueError, match=r"needs? \(2, 1, 2, 2\)"):
        temporal_shift(x, x[:3, :1], num_snippets=3)
    with pytest.raises(ValueError, match="n_div is 1"):
        temporal_shift(x, num_snippets=3, n_div=1, direction="bi")
    with pytest.raises(ValueError, match="n_div is 0"):
        temporal_shift(x, num_snippets=3, n_div=0)
    pool = torch.zeros(4, 1, 2, 2)
    with pytest.raises(ValueError, match=r"the pool holds torch.float64 and x is torch.float32"):
        temporal_shift(x, Slots(pool.double(), torch.tensor([0, 1])), num_snippets=3)
    with pytest.raises(ValueError, match=r"the rows of a pool are int64, not torch.int32"):
        temporal_shift(x, Slots(pool, torch.tensor([0, 1], dtype=torch.int32)), num_snippets=3)
    with pytest.raises(ValueError, match="the rows of the pool overlap"):
        temporal_shift(x, Slots(pool[:1].expand(4, -1, -1, -1), torch.tensor([0, 1])), num_snippets=3)
    with pytest.raises(ValueError, match="the state is on meta and x on cpu"):
        temporal_shift(x, pool[:2].to("meta"), num_snippets=3)
    for rows, words in [([0, 4], "not all rows of a pool of 4"), ([0, -2], "or -1 for padding"), ([1, 1], "one twice")]:
        with pytest.raises(ValueError, match=words):
            Slots.of_pools([pool], rows)
    assert [slots.index.tolist() for slots in Slots.of_pools([pool, pool], [2, -1, -1])] == [[2, -1, -1]] * 2
