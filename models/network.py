"""The base classes of all networks: a trunk (the backbone), a head, and one call contract.

Letters in shapes: B streams, T snippets, C input channels, H x W pixels, D features, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

from actionstream.kernels import Leaf, temporal_shift
from actionstream.models.common.choices import Shift
from actionstream.models.common.errors import ActionstreamError

State = tuple[Leaf, ...]
"""The state of a network's streams: one leaf for each layer that looks back, in the order of the layers."""

ShiftPadding = Literal["zero", "circulant"]


class Carry:
    """Goes through the layers beside x in one forward pass: has T, gives out the old leaves, and collects the new."""

    def __init__(self, num_snippets: int, state: State | None):
        self.num_snippets = num_snippets
        self._old: Iterator[Leaf] | None = None if state is None else iter(state)
        self._new: list[Leaf] = []

    def take(self) -> Leaf | None:
        """The old leaf of the calling layer; None where the streams start."""
        if self._old is None:
            return None
        try:
            return next(self._old)
        except StopIteration:
            raise ActionstreamError(
                f"the state has {len(self._new)} leaves, fewer than the network; is it of another network?"
            ) from None

    def put(self, leaf: Leaf | None) -> None:
        """Keep the new leaf of the calling layer."""
        assert leaf is not None
        self._new.append(leaf)

    def state(self) -> State:
        """The new leaves, after all layers have run."""
        if self._old is not None and next(self._old, None) is not None:
            raise ActionstreamError(
                f"the state has more than the {len(self._new)} leaves of the network; is it of another network?"
            )
        return tuple(self._new)


class TemporalShift(nn.Module):
    """The shift of one layer; has no parameters, and keeps no state of its own."""

    def __init__(self, direction: Literal["uni", "bi"], n_div: int, padding: ShiftPadding):
        super().__init__()
        self.direction: Literal["uni", "bi"] = direction
        self.n_div = n_div
        self.padding: ShiftPadding = padding
        self.causal = direction == "uni" and padding == "zero"

    def forward(self, x: Tensor, carry: Carry) -> Tensor:
        x, leaf = temporal_shift(
            x,
            carry.take() if self.causal else None,
            num_snippets=carry.num_snippets,
            n_div=self.n_div,
            direction=self.direction,
            padding=self.padding,
        )
        if self.causal:
            carry.put(leaf)
        return x

    def extra_repr(self) -> str:
        return f"{self.direction}, n_div={self.n_div}, padding={self.padding}"


class Network(nn.Module):
    """A network that scores snippets; the base class of all networks.

    Where `streams` is true:

        scores, state = network(frames, state)    (B, T, C, H, W) -> (B, T, K)

    with state None where the streams start. Where it is false the network needs whole clips:

        scores = network(clip)                    (B, T, C, H, W) -> (B, K), the mean over snippets

    Scores are logits. In training mode batch norm mixes the streams of a batch: the laws of a stream
    (chunking, causality, independence, reset) hold in eval mode.
    """

    def __init__(self, *, num_classes: int, in_channels: int, shift: Shift, n_div: int, shift_padding: ShiftPadding):
        super().__init__()
        if shift not in ("none", "uni", "bi"):
            raise ActionstreamError(f'shift is {shift!r}; it is "none", "uni" or "bi"')
        if shift_padding not in ("zero", "circulant"):
            raise ActionstreamError(f'shift_padding is {shift_padding!r}; it is "zero" or "circulant"')
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.shift: Shift = shift
        self.n_div = n_div
        self.shift_padding: ShiftPadding = shift_padding
        self.streams = shift == "none" or (shift == "uni" and shift_padding == "zero")

    def make_shift(self) -> TemporalShift | None:
        """The shift for one place in the network; None where the network has none."""
        return None if self.shift == "none" else TemporalShift(self.shift, self.n_div, self.shift_padding)

    segment: int | None = None
    """Frames of a segment, where a clip network has a first part that processes segments independently; else None.
    scores = second_part(first_part(clip))."""

    def first_part(self, frames: Tensor) -> Tensor:
        """Frames (B, n * segment, C, H, W) to the input of the second part (B, n, ...)."""
        raise NotImplementedError

    def second_part(self, features: Tensor) -> Tensor:
        """The output of the first part for a clip (B, n, ...) to scores (B, K)."""
        raise NotImplementedError

    def maps(self, frames: Tensor, state: State | None = None) -> tuple[list[Tensor], State]:
        """Frames (B, T, C, H, W) to the feature maps (B, T, D, h, w) at the ends of the stages, and the new state.

        The last one is that of `trunk`; a network that has no stages gives only this one.
        """
        raise NotImplementedError

    def shapes(self, height: int, width: int) -> tuple[list[torch.Size], int]:
        """The shapes (1, 1, D, h, w) of `maps` for frames of height x width pixels, and the number of leaves."""
        maps, state = dry_run(_Maps(self), (1, 1, self.in_channels, height, width))
        return [each.shape for each in maps], len(state)

    def trunk(self, frames: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Frames (B, T, C, H, W) to feature maps (B, T, D, h, w), and the new state."""
        maps, state = self.maps(frames, state)
        return maps[-1], state

    def head(self, features: Tensor) -> Tensor:
        """Feature maps (B, T, D, h, w) to scores (B, T, K)."""
        raise NotImplementedError

    def forward(self, frames: Tensor, state: State | None = None) -> tuple[Tensor, State] | Tensor:
        if frames.dim() != 5 or frames.shape[2] != self.in_channels:
            raise ActionstreamError(
                f"frames are (B, T, {self.in_channels}, H, W): streams, snippets, channels, height, width; "
                f"these are {tuple(frames.shape)}"
            )
        if state is not None and not self.streams:
            raise ActionstreamError("this network needs whole clips and takes no state; call it as network(clip)")
        features, state = self.trunk(frames, state)
        scores = self.head(features)
        return (scores, state) if self.streams else scores.mean(dim=1)

    def empty_state(self, num_streams: int, height: int, width: int) -> tuple[Tensor, ...]:
        """The state of new streams, for frames of height x width pixels: all zeros."""
        if not self.streams:
            raise ActionstreamError("this network needs whole clips and has no state")
        _, state = dry_run(self, (1, 1, self.in_channels, height, width))
        reference = next(self.parameters())
        return tuple(reference.new_zeros(num_streams, *leaf.shape[1:]) for leaf in state)

    def state_bytes(self, height: int, width: int) -> int:
        """Bytes of state that one stream takes."""
        return sum(leaf.nbytes for leaf in self.empty_state(1, height, width))


class _Maps(nn.Module):
    """The maps of a network as a module of its own."""

    def __init__(self, network: Network):
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> tuple[list[Tensor], State]:
        return self.network.maps(frames)


def dry_run(module: nn.Module, shape: tuple[int, ...]) -> Any:
    """The output of a module in eval mode for zeros of this shape, for what its shapes are.

    For a few frames this takes less time than the first `call_on_meta` of a process, which imports for seconds.
    """
    like = next(module.parameters())
    learning = [each for each in module.modules() if each.training]
    module.eval()  # statistics of batch norms and the random generator stay as they are
    try:
        if like.is_meta:
            return call_on_meta(module, shape)
        with torch.no_grad():
            return module(like.new_zeros(shape))
    finally:
        for each in learning:
            each.training = True


def call_on_meta(module: nn.Module, shape: tuple[int, ...]) -> Any:
    """The output of a module for an input of this shape: shapes and types only; nothing is computed."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    on_meta = {name: tensor.detach().to("meta") for name, tensor in tensors.items()}
    given = torch.empty(shape, dtype=next(module.parameters()).dtype, device="meta")
    with torch.no_grad():
        return torch.func.functional_call(module, on_meta, (given,))
