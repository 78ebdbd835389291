"""The GPU runtime: half precision, and one CUDA graph for each of a few batch sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from actionstream.kernels import Slots
from actionstream.kernels.leaf import check_rows
from actionstream.models.card import Card
from actionstream.models.export.step import reference_scores
from actionstream.models.network import Network
from actionstream.runtimes.eager import TorchRuntime
from actionstream.runtimes.pool import check_agreement

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
TOLERANCE = 0.02  # largest difference of a probability from float32
WARM_UPS = 3  # before a capture: libraries choose their algorithms, and the kernel is compiled


@dataclass
class _Buffers:
    """The buffers of one batch size: `_here` in pinned memory of the host, the others on the device."""

    pixels_here: Tensor
    pixels: Tensor
    index_here: Tensor
    index: Tensor
    scores: Tensor
    scores_here: Tensor
    graph: Any = None
    done: Any = None


@dataclass(frozen=True)
class Pending:
    """A step that runs."""

    buffers: _Buffers
    count: int


class GraphRuntime(TorchRuntime):
    """Replays a captured CUDA graph, so that a step has almost no launch overhead.

    Frames are uploaded as bytes from pinned memory, on a CUDA stream of their own, and are normalised on the device;
    scores go back to pinned memory. A batch is padded to the next of `batch_sizes` with rows that touch no state (-1).
    Two steps can run at once: `begin` the next step before you `finish` the last one.

    The probabilities differ from `TorchRuntime` in float32 by TOLERANCE at most, which `open` checks. Without CUDA the
    runtime computes the same without graphs.
    """

    software = "graphs"

    def __init__(
        self,
        network: Network,
        card: Card,
        *,
        device: str = "auto",
        num_slots: int = 64,
        dtype: torch.dtype = torch.float16,
        batch_sizes: tuple[int, ...] = BATCH_SIZES,
    ):
        super().__init__(network, card, device=device, num_slots=num_slots, dtype=dtype)
        self._batch_sizes = batch_sizes
        self._buffers: dict[tuple[int, int], _Buffers] = {}
        self._turn = 0
        self._mean_and_std = card.preprocessing.mean_and_std(self.device)
        self._upload = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None
        if self._upload is not None:
            torch.backends.cudnn.benchmark = True

    @classmethod
    def open(cls, network: Network, card: Card, *, device: str = "auto") -> GraphRuntime:
        """The runtime of a copy of a network; RuntimeError when it does not agree with the reference here."""
        runtime = cls(network, card, device=device)
        check_agreement(runtime, reference_scores(network.to(runtime.device), card), TOLERANCE)
        return runtime

    def step(self, snippets: np.ndarray, slots: np.ndarray) -> np.ndarray:
        if snippets.shape[1] > 1 or len(snippets) > self._batch_sizes[-1]:
            return super().step(snippets, slots)
        return self.finish(self.begin(snippets, slots))

    @torch.inference_mode()
    def begin(self, snippets: np.ndarray, slots: np.ndarray) -> Pending:
        """Start a step of one snippet for each of B streams, at most the largest batch size."""
        count = len(snippets)
        rows = check_rows(slots, self._num_slots)
        buffers = self._buffers_of(next(size for size in self._batch_sizes if size >= count))
        buffers.pixels_here[:count] = torch.from_numpy(np.ascontiguousarray(snippets))
        buffers.index_here[:count] = torch.from_numpy(rows)
        buffers.index_here[count:] = -1
        if self._upload is None:
            buffers.scores_here.copy_(self._forward(buffers.pixels_here, buffers.index_here))
            return Pending(buffers, count)
        with torch.cuda.stream(self._upload):
            buffers.pixels.copy_(buffers.pixels_here, non_blocking=True)
            buffers.index.copy_(buffers.index_here, non_blocking=True)
        compute = torch.cuda.current_stream(self.device)
        compute.wait_stream(self._upload)
        buffers.graph.replay()
        buffers.scores_here.copy_(buffers.scores, non_blocking=True)
        buffers.done.record(compute)
        return Pending(buffers, count)

    def finish(self, pending: Pending) -> np.ndarray:
        """Wait for a step and return its scores (logits), float32 (B, 1, K); finish the older step first."""
        if pending.buffers.done is not None:
            pending.buffers.done.synchronize()
        return pending.buffers.scores_here[: pending.count].numpy().copy()

    def _forward(self, pixels: Tensor, index: Tensor) -> Tensor:
        frames = self.card.preprocessing.normalise(pixels, self._mean_and_std).to(self._dtype)
        scores, _ = self._network(frames, tuple(Slots(leaf, index) for leaf in self._pool))
        return scores.float()

    def _buffers_of(self, size: int) -> _Buffers:
        """The buffers of a batch size: two sets in turn, so that the next step is filled while one runs."""
        self._turn = 1 - self._turn
        key = size, self._turn
        if key not in self._buffers:
            self._buffers[key] = self._capture(size)
        return self._buffers[key]

    def _capture(self, size: int) -> _Buffers:
        wanted = self.card.preprocessing
        shape = (size, 1, wanted.height, wanted.width, wanted.channels)
        pinned = self._upload is not None
        buffers = _Buffers(
            pixels_here=torch.zeros(shape, dtype=torch.uint8, pin_memory=pinned),
            pixels=torch.zeros(shape, dtype=torch.uint8, device=self.device),
            index_here=torch.full((size,), -1, dtype=torch.int64, pin_memory=pinned),
            index=torch.full((size,), -1, dtype=torch.int64, device=self.device),
            scores=torch.empty(0),
            scores_here=torch.zeros((size, 1, self._network.num_classes), pin_memory=pinned),
        )
        if self._upload is None:
            return buffers
        side = torch.cuda.Stream(self.device)
        side.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                self._forward(buffers.pixels, buffers.index)
        torch.cuda.current_stream(self.device).wait_stream(side)
        buffers.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(buffers.graph):
            buffers.scores = self._forward(buffers.pixels, buffers.index)
        buffers.done = torch.cuda.Event()
        return buffers

    def _grow(self) -> None:
        super()._grow()
        self._buffers.clear()  # the graphs hold the old pool
