"""The reference runtime: plain torch."""

from __future__ import annotations

import copy

import numpy as np
import torch

from actionstream.kernels import Slots
from actionstream.models.card import Card
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.network import Network
from actionstream.models.networks.folding import fold_batch_norms
from actionstream.models.window import Window
from actionstream.runtimes.runtime import StateArrays
from actionstream.runtimes.slots import SlotPool

DEVICES = ("auto", "cpu", "cuda", "mps")
CHUNK_PIXELS = {"cpu": 200_000, "cuda": 3_200_000, "mps": 3_200_000}
"""Pixels of a chunk. On a CPU larger chunks are slower: the activations of a layer do not fit into its caches."""


class TorchRuntime(SlotPool):
    """Runs a copy of a network with torch, in inference mode and with its batch norms folded.

    The pool grows with the number of streams. A network for whole clips runs in a Window with the card's number of
    frames; a network that is a Window already runs unchanged.
    """

    software = "torch"

    @torch.inference_mode()
    def __init__(
        self,
        network: Network,
        card: Card,
        *,
        device: str = "auto",
        num_slots: int = 4,
        dtype: torch.dtype = torch.float32,
    ):
        size = card.preprocessing
        if not network.streams and card.num_frames == 1:
            raise ActionstreamError(
                f'{card.network} with shift "{card.shift}" needs whole clips and cannot label frame by frame; '
                'use a "tsm_" network with shift "uni", or a "tsn_" one, or say in its card how many frames a clip has '
                "(num_frames)"
            )
        if network.in_channels != size.in_channels:
            raise ActionstreamError(
                f"{card.network} takes {network.in_channels} channels, and the preprocessing in its card gives "
                f"{size.in_channels} ({size.modality})"
            )
        if isinstance(network, Window):
            network = copy.deepcopy(network).eval()
        else:
            network = fold_batch_norms(network, (1, card.num_frames, size.in_channels, size.height, size.width))
        if not network.streams:
            network = Window(network, num_frames=card.num_frames, stride=card.stride)
        super().__init__(num_slots)
        self.card = card
        self.device = choose_device(device)
        self._network = network.to(self.device, dtype)
        if all(parameter.dim() < 5 for parameter in network.parameters()):  # channels_last is for 4 dimensions
            self._network.to(memory_format=torch.channels_last)
        self._pool = tuple(
            leaf.contiguous(memory_format=torch.channels_last) if leaf.dim() == 4 else leaf
            for leaf in self._network.empty_state(num_slots, size.height, size.width)
        )
        self.chunk = max(1, CHUNK_PIXELS[self.device.type] // (size.height * size.width))
        self._dtype = dtype
        self.precision = str(dtype).removeprefix("torch.")

    @torch.inference_mode()
    def step(self, snippets: np.ndarray, slots: np.ndarray) -> np.ndarray:
        pixels = torch.from_numpy(np.ascontiguousarray(snippets)).to(self.device)
        state = Slots.of_pools(self._pool, slots)
        frames = self.card.preprocessing.normalise(pixels).to(self._dtype)
        scores, _ = self._network(frames, state)
        return scores.float().cpu().numpy()

    @torch.inference_mode()
    def reset(self, slot: int) -> None:
        for leaf in self._pool:
            leaf[slot] = 0

    @torch.inference_mode()
    def read(self, slot: int) -> StateArrays:
        rows = (leaf[slot] for leaf in self._pool)
        # numpy has no bfloat16
        return tuple((row.float() if row.dtype is torch.bfloat16 else row).cpu().numpy().copy() for row in rows)

    @torch.inference_mode()
    def write(self, slot: int, state: StateArrays) -> None:
        for leaf, values in zip(self._pool, state, strict=True):
            leaf[slot] = torch.from_numpy(values).to(self.device)

    @torch.inference_mode()
    def _grow(self) -> None:
        self._pool = tuple(torch.cat([leaf, torch.zeros_like(leaf)]) for leaf in self._pool)


def choose_device(device: str) -> torch.device:
    """The torch device of a name in DEVICES; ValueError when it is not available."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return torch.device(next((name for name in ("cuda", "mps") if there[name]), "cpu"))
    if device not in there:
        raise ActionstreamError(f"no device {device!r}; there are {', '.join(DEVICES)}")
    if not there[device]:
        raise ActionstreamError(
            f"device {device!r} is not available here; use one of {', '.join(k for k in there if there[k])}"
        )
    return torch.device(device)
