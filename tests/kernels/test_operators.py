"""The operators that torch knows: right by torch's own checks, differentiable, and passed by a compiler unbroken."""

import pytest
import torch

from actionstream.kernels import operators, temporal_shift, temporal_shift_torch

pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # of opcheck's own
LAYOUTS = (torch.contiguous_format, torch.channels_last)


def random(*shape, layout=torch.contiguous_format, gradient=True, dtype=torch.float64):
    generator = torch.Generator().manual_seed(sum(shape))
    x = torch.randn(*shape, dtype=dtype, generator=generator).contiguous(memory_format=layout)
    return x.requires_grad_(gradient)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("circulant", [False, True])
def test_clip(layout, circulant):
    x = random(6, 8, 2, 3, layout=layout)
    arguments = (3, 2, 5, 1, circulant)
    torch.library.opcheck(operators.shift_clip, (x, *arguments))
    assert torch.autograd.gradcheck(lambda x: operators.shift_clip(x, *arguments), x)
    reference = temporal_shift_torch.shift_clip(x, *arguments)
    weights = torch.randn_like(reference)
    (expected,) = torch.autograd.grad((reference * weights).sum(), x)
    (found,) = torch.autograd.grad((operators.shift_clip(x, *arguments) * weights).sum(), x)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("reverse", [False, True])
def test_chunk(layout, reverse):
    x, leaf = random(6, 8, 2, 3, layout=layout), random(2, 3, 2, 3, layout=layout)
    torch.library.opcheck(operators.shift_chunk, (x, leaf, 3, 3, reverse))
    torch.library.opcheck(operators.shift_chunk, (x, None, 3, 3, reverse))
    assert torch.autograd.gradcheck(lambda x, leaf: operators.shift_chunk(x, leaf, 3, 3, reverse), (x, leaf))


def test_slots():
    x, pool = random(4, 8, 2, 3, gradient=False), random(5, 2, 2, 3, gradient=False)
    index = torch.tensor([3, -1])
    torch.library.opcheck(operators.shift_slots, (x, pool, index, 2, 2))


@pytest.mark.parametrize("autocast", [False, True])
def test_compiled_without_a_break(autocast):
    def layer(x, leaf, weight):
        with torch.autocast("cpu", enabled=autocast):
            shifted, leaf = operators.shift_chunk(x, leaf, 3, 2)
            return torch.nn.functional.conv2d(shifted, weight), leaf

    x, leaf = random(6, 8, 4, 4, dtype=torch.float32), random(2, 2, 4, 4, dtype=torch.float32)
    weight = random(4, 8, 1, 1, dtype=torch.float32)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for found, expected in zip(compiled(x, leaf, weight), layer(x, leaf, weight), strict=True):
        torch.testing.assert_close(found, expected)


def test_what_is_exported_is_plain_torch():
    class Step(torch.nn.Module):
        def forward(self, x, leaf):
            return temporal_shift(x, leaf, num_snippets=1)

    program = torch.export.export(Step(), (torch.randn(2, 16, 3, 3), torch.randn(2, 2, 3, 3)))
    called = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert called
    assert all(name.startswith("aten.") or "_assert" in name for name in called), called
