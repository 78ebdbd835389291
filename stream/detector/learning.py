"""The memory of a detector learns from streams of features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from actionstream.detector.streams import LearntVideo, Streams
from actionstream.models.catalogue import create
from actionstream.models.common.checked import Plain, Share, ShortText, checked
from actionstream.models.network import Network
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.training.loop import train
from actionstream.models.training.optimisation import Optimisation

HOW = Optimisation(num_steps=600, learning_rate=1e-3, warmup=0.1, weight_decay=0.02, max_norm=1.0)
MOST_POSITIVE = 20.0
"""The highest weight of the positive snippets of a label."""


@checked
class Learning:
    """How the memory of a detector learns.

    memory, arguments  the network in the catalogue, and its arguments besides the numbers of features and classes
    num_snippets       of a piece (T), through which the gradient flows
    batch_size         streams at once
    speed              see `Streams`
    soft_seconds       see `LearntVideo.targets`
    balance            of labels that are rare: positive snippets weigh ((1 - p) / p) ** balance, where p is their share
    optimisation       see `Optimisation`
    """

    memory: ShortText = "gru"
    arguments: Plain = field(default_factory=dict)
    num_snippets: Annotated[int, Field(ge=2, le=4096)] = 64
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 16
    speed: Annotated[float, Field(ge=0, le=1)] = 0.2
    soft_seconds: Annotated[float, Field(ge=0, le=60)] = 0.5
    balance: Share = 0.5
    optimisation: Optimisation = HOW


def learn(
    videos: Sequence[LearntVideo], num_labels: int, how: Learning, *, seed: int, device: str = "cpu", show: bool = False
) -> Network:
    """A memory that has learnt from videos, in eval mode."""
    num_features = videos[0].features.shape[1]
    torch.manual_seed(seed)
    memory = create(how.memory, **dict(how.arguments), in_channels=num_features, num_classes=num_labels)
    streams = Streams(
        videos,
        num_labels,
        how.batch_size,
        how.optimisation.num_steps,
        seed,
        num_snippets=how.num_snippets,
        speed=how.speed,
        soft_seconds=how.soft_seconds,
    )
    train(
        memory.to(device),
        streams,
        how.optimisation,
        Preprocessing.of_features(1, 1, num_features),
        activation="sigmoid",
        positive_weights=_positive_weights(videos, num_labels, how.balance),
        seed=seed,
        device=device,
        show_progress=show,
    )
    return memory.cpu()


def _positive_weights(videos: Sequence[LearntVideo], num_labels: int, balance: float) -> list[float]:
    counts = sum(video.targets(video.times_seconds, num_labels, 0).sum(axis=0) for video in videos)
    share = np.maximum(counts / sum(len(video.times_seconds) for video in videos), 1e-4)
    return np.minimum(((1 - share) / share) ** balance, MOST_POSITIVE).tolist()
