"""A network for whole clips, live: it scores the clip that ends at each frame.

Letters: B streams, T snippets, N frames of a window, C x H x W of a frame, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernels import read, replace
from models.network import Network, State


class Window(Network):
    """Gives a network that needs whole clips the contract of one that streams.

        scores, state = Window(network, num_frames=16)(frames, state)

    Row t scores the `num_frames` frames that end at t. Until there are so many, the first one stands in for those
    that never were. With `stride` only every so many-th row is computed, from the first one on, and repeated up to the
    next; that place is part of the state, so streams of a batch may be at different ones.

    The state is the frames of the window, the last scores, and how many rows those scores have stood for: 0 for a
    stream that has seen nothing.
    """

    def __init__(self, network: Network, *, num_frames: int, stride: int = 1):
        super().__init__(
            num_classes=network.num_classes,
            in_channels=network.in_channels,
            shift="none",
            n_div=8,
            shift_padding="zero",
        )
        if network.streams:
            raise ValueError("this network streams by itself and needs no window")
        if num_frames < 1 or stride < 1:
            raise ValueError(f"a window of {num_frames} frames with stride {stride}: both must be 1 or more")
        self.network = network
        self.num_frames = num_frames
        self.stride = stride

    def forward(self, frames: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        if frames.dim() != 5 or frames.shape[2] != self.in_channels:
            raise ValueError(
                f"frames are (B, T, {self.in_channels}, H, W): streams, snippets, channels, height, width; "
                f"these are {tuple(frames.shape)}"
            )
        if state is None:
            state = self.empty_state(len(frames), *frames.shape[-2:])
        if len(state) != 3:
            raise ValueError(f"the state of a window has 3 leaves, not {len(state)}; was it another network's?")
        window, scores, age = (read(leaf) for leaf in state)
        rows = []
        for t in range(frames.shape[1]):
            window, scores, age = self._step(frames[:, t], window, scores, age)
            rows.append(scores)
        new = tuple(replace(leaf, values) for leaf, values in zip(state, (window, scores, age), strict=True))
        return torch.stack(rows, dim=1), new

    def empty_state(self, num_streams: int, height: int, width: int) -> tuple[Tensor, ...]:
        like = next(self.network.parameters())
        return (
            like.new_zeros(num_streams, self.num_frames, self.in_channels, height, width),
            like.new_zeros(num_streams, self.num_classes),
            like.new_zeros(num_streams, 1),
        )

    def _step(self, frame: Tensor, window: Tensor, scores: Tensor, age: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One more frame (B, C, H, W) in; the network runs for the streams whose turn it is."""
        frame = frame.unsqueeze(1)
        moved = torch.cat([window[:, 1:], frame], dim=1)
        window = torch.where((age == 0).view(-1, 1, 1, 1, 1), frame, moved)
        due = (age == 0) | (age >= self.stride)
        turn = due[:, 0].nonzero()[:, 0]
        if len(turn):
            scores = scores.index_copy(0, turn, self.network(window[turn]).to(scores.dtype))
        return window, scores, torch.where(due, 1, age + 1)
