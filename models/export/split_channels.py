"""A rewrite of ONNX graphs that makes the temporal shift almost free.

ONNX Runtime keeps activations in blocks of 8 or 16 channels between convolutions. A shift is a slice and a
concatenation of channels, so ONNX Runtime converts every shifted tensor to rows and back: 12 % of a ResNet-50. The
rewrite computes each shifted tensor x as two tensors, a (the channels that move) and b (the channels that stay):

    x = relu(conv(h, W) + y)             a = relu(conv(h, W[:F]) + y[:F]),  b = relu(conv(h, W[F:]) + y[F:])
    conv(concat(state, x[F:]), V)        conv(state, V[:, :F]) + conv(b, V[:, F:])
    the new state x[:F]                  a

The sums and the number of multiplications are the same, and nothing is copied. A shift is not rewritten where F or
C - F is no multiple of BLOCK, because the convolutions would leave the blocks; nor where x is small, because two
convolutions cost more than one and some copies (4 % of a MobileNetV2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

BLOCK = 8
SMALL = 50_000  # values in x
ELEMENTWISE = ("Relu", "Clip")
Node = Any
Value = Any
"""The types of onnx_ir; Any, because nearly every attribute of them may be None."""


def split_channels(model: ir.Model) -> int:
    """Rewrite the shifts of a traced step, in place; returns how many."""
    splitter = _Splitter(model.graph)
    for shift in splitter.shifts:
        splitter.rewrite(shift)
    splitter.finish()
    model.graph.sort()
    RemoveUnusedNodesPass()(model)
    return len(splitter.shifts)


class _Splitter:
    def __init__(self, graph: ir.Graph):
        self.graph = graph
        self.shifts = [node for node in graph if self._is_shift(node)]
        self.halves: dict[tuple[Value, int], tuple[Value, Value]] = {}
        self.pieces: dict[Value, list[Value]] = {}
        """For a tensor, the tensors that a convolution reads instead: together they have its channels, in order."""

    def _is_shift(self, node: Node) -> bool:
        """Whether a node is a shift to rewrite: it joins a state and a slice in whole blocks, for convolutions only."""
        if node.op_type != "Concat" or len(node.inputs) != 2:
            return False
        state, rest = node.inputs
        return (
            state in self.graph.inputs
            and rest.producer() is not None
            and rest.producer().op_type == "Slice"
            and all(use.node.op_type == "Conv" for use in node.outputs[0].uses())
            and _channels(state) % BLOCK == 0
            and _channels(rest) % BLOCK == 0
            and math.prod(node.outputs[0].shape[1:]) > SMALL
        )

    def rewrite(self, shift: Node) -> None:
        state, rest = shift.inputs
        x, fold = rest.producer().inputs[0], _channels(state)
        moved, stays = self._split(x, fold)
        self.pieces[x] = [moved, stays]
        self.pieces[shift.outputs[0]] = [state, stays]
        for use in tuple(x.uses()):
            if use.node.op_type == "Slice" and use.node.outputs[0].is_graph_output():
                self._replace(use.node.outputs[0], moved)
        for use in tuple(shift.outputs[0].uses()):
            conv = use.node
            self._replace(conv.outputs[0], self._convolve(conv, 0, _channels(conv.outputs[0])))

    def finish(self) -> None:
        """Concatenate the halves again for nodes that read the whole tensor."""
        for value, (moved, stays) in [(x, pair) for (x, _), pair in self.halves.items() if x in self.pieces]:
            if stays.producer().op_type == "Slice":
                continue  # the halves are slices of the tensor
            for use in tuple(value.uses()):
                if use.node.op_type == "Conv":
                    conv = use.node
                    self._replace(conv.outputs[0], self._convolve(conv, 0, _channels(conv.outputs[0])))
            whole = self._add("Concat", [moved, stays], _channels(value), axis=1)
            value.replace_all_uses_with(whole)

    def _split(self, x: Value, fold: int) -> tuple[Value, Value]:
        """The first `fold` channels of a tensor and the rest, computed separately as far back as possible."""
        if (x, fold) not in self.halves:
            node, channels = x.producer(), _channels(x)
            bounds = ((0, fold), (fold, channels))
            if node.op_type == "Conv" and node.attributes.get_int("group", 1) == 1:
                halves = [self._convolve(node, begin, end) for begin, end in bounds]
            elif node.op_type in ELEMENTWISE:
                inputs = self._split(node.inputs[0], fold)
                halves = [
                    self._add(node.op_type, [half, *node.inputs[1:]], end - begin)
                    for half, (begin, end) in zip(inputs, bounds, strict=True)
                ]
            elif node.op_type == "Add" and all(_channels(value) == channels for value in node.inputs):
                pairs = zip(*(self._split(value, fold) for value in node.inputs), strict=True)
                halves = [
                    self._add("Add", list(pair), end - begin) for pair, (begin, end) in zip(pairs, bounds, strict=True)
                ]
            else:
                halves = [self._slice(x, begin, end) for begin, end in bounds]
            self.halves[x, fold] = halves[0], halves[1]
        return self.halves[x, fold]

    def _convolve(self, conv: Node, begin: int, end: int) -> Value:
        """The output channels from begin to end of a convolution, as a sum over the pieces of its input."""
        x, weight, *bias = conv.inputs
        weights = weight.const_value.numpy()[begin:end]
        parts, first = [], 0
        for piece in self.pieces.get(x, [x]):
            last = first + _channels(piece)
            inputs = [piece, self._constant(weights[:, first:last])]
            if bias and last == _channels(x):
                inputs.append(self._constant(bias[0].const_value.numpy()[begin:end]))
            parts.append(self._add("Conv", inputs, end - begin, attributes=conv.attributes))
            first = last
        return parts[0] if len(parts) == 1 else self._add("Add", parts[::-1], end - begin)

    def _slice(self, x: Value, begin: int, end: int) -> Value:
        bounds = [self._constant(np.array([number])) for number in (begin, end, 1)]
        return self._add("Slice", [x, *bounds], end - begin)

    def _add(
        self,
        op_type: str,
        inputs: Sequence[Value | None],
        channels: int,
        *,
        attributes: Any = None,
        **more: int,
    ) -> Value:
        given = list(attributes.values()) if attributes is not None else ir.convenience.convert_attributes(more)
        node = ir.Node("", op_type, inputs, given, graph=self.graph)
        node.outputs[0].shape = ir.Shape([None, channels, None, None])
        node.outputs[0].dtype = ir.DataType.FLOAT
        return node.outputs[0]

    def _constant(self, values: np.ndarray) -> Value:
        name = f"split_{len(self.graph.initializers)}"
        value = ir.Value(name=name, const_value=ir.tensor(np.ascontiguousarray(values), name=name))
        value.shape, value.dtype = ir.Shape(values.shape), ir.DataType.from_numpy(values.dtype)
        self.graph.register_initializer(value)
        return value

    def _replace(self, old: Value, new: Value) -> None:
        if old.is_graph_output():  # a graph output keeps its name, and needs a value of its own
            new = self._add("Identity", [new], _channels(old))
            new.name, old.name = old.name, None
            new.shape = old.shape
            old.replace_all_uses_with(new, replace_graph_outputs=True)
        else:
            old.replace_all_uses_with(new)


def _channels(value: Value) -> int:
    return int(value.shape[1])
