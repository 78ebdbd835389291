"""The features of clips, as the backbones of a taught network see them live."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from actionstream.engine.sampling import Sampling
from actionstream.frame import Frame
from actionstream.models.card import Card
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.network import State
from actionstream.models.networks.folding import fold_batch_norms
from actionstream.models.networks.taught import Taught

AT_ONCE = 16
"""Snippets in a call."""
MOST_SECONDS = 60.0
"""The longest clip: more than one action of that length is a video, not an example."""
MOST_BACKGROUND_SECONDS = 3600.0
"""The longest footage in which nothing happens; its features take 55 MB."""


class Looker:
    """Computes the features of clips: as seen and mirrored, each as a stream of its own."""

    def __init__(self, network: Taught, card: Card):
        wanted = card.preprocessing
        shape = (1, 1, network.in_channels, wanted.height, wanted.width)
        self._card = card
        self._network = fold_batch_norms(network, shape).to(memory_format=torch.channels_last)

    def __call__(self, frames: Iterable[Frame], *, background: bool = False) -> np.ndarray:
        """The features of a clip: float16 (2, n, F), as seen and mirrored; of background (1, n, F), as seen only."""
        features: list[Tensor] = []
        state: State | None = None
        for snippets, begins in self._chunks(frames, MOST_BACKGROUND_SECONDS if background else MOST_SECONDS):
            state, found = self._step(snippets, None if begins else state, mirrored=not background)
            features.append(found)
        if not features:
            raise ActionstreamError(
                f"the clip is shorter than a snippet, {self._card.interval_seconds:.2g} s; expected a second or more"
            )
        return torch.cat(features, dim=1).half().numpy()

    def _chunks(self, frames: Iterable[Frame], most_seconds: float) -> Iterator[tuple[list[np.ndarray], bool]]:
        """Runs of snippets, and whether the state is empty before each."""
        sampling = Sampling(self._card)
        waiting: list[np.ndarray] = []
        begins = True
        first: float | None = None
        for frame in frames:
            first = frame.time_seconds if first is None else first
            if frame.time_seconds - first > most_seconds:
                what = "one action; cut it out of the video" if most_seconds == MOST_SECONDS else "shorter footage"
                raise ActionstreamError(f"the clip is longer than {most_seconds:.0f} s; expected {what}")
            sampled = sampling.push(frame)
            if sampled is None:
                continue
            if waiting and (sampled.reset or len(waiting) == AT_ONCE):
                yield waiting, begins
                waiting, begins = [], False
            begins = begins or bool(sampled.reset)
            if sampled.snippet is not None:
                waiting.append(sampled.snippet)
        if waiting:
            yield waiting, begins

    @torch.inference_mode()
    def _step(self, snippets: list[np.ndarray], state: State | None, *, mirrored: bool) -> tuple[State, Tensor]:
        seen = self._card.preprocessing.normalise(torch.from_numpy(np.stack(snippets)))
        views = [seen, seen.flip(-1)] if mirrored else [seen]
        features, state = self._network.look(torch.stack(views), state)
        return state, features
