"""Runs a clip network live: a window scores the clip that ends at each frame.

Letters: B streams, T snippets, N frames of a window, S frames of a segment, C x H x W of a frame, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from actionstream.kernels import read, replace
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.network import Network, State, dry_run


class Window(Network):
    """Gives a clip network the contract of a streaming network, by a sliding window.

        scores, state = Window(network, num_frames=16)(frames, state)

    Row t scores the `num_frames` frames that end at t. Until the window is full, the first frame is repeated. One row
    in `stride` is computed, beginning with the first, and repeated until the next; this phase is part of the state, so
    streams of a batch may have different phases.

    Where the network has a first part for segments of S frames (`Network.segment`), and both `num_frames` and `stride`
    are multiples of S, the window keeps the output of that part, which then sees each frame once; else the window keeps
    the frames. `stride` None means S, or 1 where the network has no first part.

    The state has the frames of the current segment (S > 1 only), the window, the last scores, and their age: the number
    of rows for which they were returned, 0 for a new stream.
    """

    def __init__(self, network: Network, *, num_frames: int, stride: int | None = None):
        super().__init__(
            num_classes=network.num_classes,
            in_channels=network.in_channels,
            shift="none",
            n_div=8,
            shift_padding="zero",
        )
        if network.streams:
            raise ActionstreamError("this network streams by itself and needs no window")
        self.stride = (network.segment or 1) if stride is None else stride
        if num_frames < 1 or self.stride < 1:
            raise ActionstreamError(
                f"a window of {num_frames} frames with stride {self.stride}: both must be 1 or more"
            )
        self.network = network
        self.num_frames = num_frames
        segment = network.segment or num_frames + 1
        self.in_parts = num_frames % segment == 0 and self.stride % segment == 0
        self._segment = segment if self.in_parts else 1

    def forward(self, frames: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        if frames.dim() != 5 or frames.shape[2] != self.in_channels:
            raise ActionstreamError(
                f"frames are (B, T, {self.in_channels}, H, W): streams, snippets, channels, height, width; "
                f"these are {tuple(frames.shape)}"
            )
        num_leaves = 3 if self._segment == 1 else 4
        if state is None:
            state = self.empty_state(len(frames), *frames.shape[-2:])
        if len(state) != num_leaves:
            raise ActionstreamError(
                f"the state of this window has {num_leaves} leaves, not {len(state)}; is it of another network?"
            )
        values = tuple(read(leaf) for leaf in state)
        if not frames.shape[1] or any(len(rows) != len(frames) for rows in values):
            raise ActionstreamError(
                f"frames of {len(frames)} streams, {frames.shape[1]} each, and a state of {len(values[0])}: there must "
                "be a frame, and a row of the state for each stream"
            )
        rows = []
        for t in range(frames.shape[1]):
            values = self._step(frames[:, t], *values)
            rows.append(values[-2])
        return torch.stack(rows, dim=1), tuple(replace(leaf, new) for leaf, new in zip(state, values, strict=True))

    def empty_state(self, num_streams: int, height: int, width: int) -> tuple[Tensor, ...]:
        like = next(self.network.parameters())
        frame = (self.in_channels, height, width)
        features = frame
        if self.in_parts:
            features = dry_run(_FirstPart(self.network), (1, self._segment, *frame)).shape[2:]
        under_way = () if self._segment == 1 else (like.new_zeros(num_streams, self._segment, *frame),)
        return (
            *under_way,
            like.new_zeros(num_streams, self.num_frames // self._segment, *features),
            like.new_zeros(num_streams, self.num_classes),
            like.new_zeros(num_streams, 1, dtype=torch.float32),  # bfloat16 cannot count beyond 256
        )

    def _step(self, frame: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        """Add a frame (B, C, H, W); the parts of the network run only for the streams that are due."""
        *under_way, window, scores, age = values
        is_first = (age == 0)[:, 0]
        segment = frame.unsqueeze(1)
        if under_way:
            moved = torch.cat([under_way[0][:, 1:], segment], dim=1)
            segment = torch.where(is_first.view(-1, 1, 1, 1, 1), segment, moved)
            under_way = [segment]

        whole = (is_first | (age % self._segment == 0)[:, 0]).nonzero()[:, 0]
        if len(whole):
            new = self.network.first_part(segment[whole]) if self.in_parts else segment[whole]
            moved = torch.cat([window[whole, 1:], new], dim=1)
            alone = is_first[whole].view(-1, *[1] * (moved.dim() - 1))
            window = window.index_copy(0, whole, torch.where(alone, new, moved).to(window.dtype))

        due = is_first | (age >= self.stride)[:, 0]
        turn = due.nonzero()[:, 0]
        if len(turn):
            clips = window[turn]
            found = self.network.second_part(clips) if self.in_parts else self.network(clips)
            scores = scores.index_copy(0, turn, found.to(scores.dtype))
        return *under_way, window, scores, torch.where(due.unsqueeze(1), 1, age + 1)


class _FirstPart(nn.Module):
    """The first part of a network as a module of its own."""

    def __init__(self, network: Network):
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> Tensor:
        return self.network.first_part(frames)
