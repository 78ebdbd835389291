"""The memory of a detector learns from streams of features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from actionstream.detector.settings import DetectorSettings
from actionstream.detector.streams import LearntVideo, Streams
from actionstream.models.catalogue import create
from actionstream.models.network import Network
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.training.loop import train

MOST_POSITIVE = 20.0
"""The highest weight of the snippets of a label."""


def learn(videos: Sequence[LearntVideo], num_labels: int, how: DetectorSettings, *, device: str = "cpu") -> Network:
    """A memory that has learnt from videos, in eval mode, on the CPU; shows its progress."""
    num_features = videos[0].features.shape[1]
    torch.manual_seed(how.seed)
    memory = create(how.network, **how.arguments, in_channels=num_features, num_classes=num_labels)
    streams = Streams(
        videos,
        num_labels,
        how.batch_size,
        how.steps,
        how.seed,
        num_snippets=how.num_snippets,
        speed=how.speed,
        soft_seconds=how.soft_seconds,
    )
    train(
        memory.to(device),
        streams,
        replace(how.optimisation, num_steps=how.steps),
        Preprocessing.of_features(num_features, 1, 1),
        activation="sigmoid",
        positive_weights=_positive_weights(videos, num_labels, how.balance),
        seed=how.seed,
        device=device,
    )
    return memory.cpu()


def _positive_weights(videos: Sequence[LearntVideo], num_labels: int, balance: float) -> list[float]:
    """How much the snippets of each label weigh; those of a label that no video has, 1."""
    counts = np.zeros(num_labels)
    for video in videos:
        counts += video.targets(video.times_seconds, num_labels, 0).sum(axis=0)
    share = counts / sum(len(video.times_seconds) for video in videos)
    share[share == 0] = 0.5
    return np.minimum(((1 - share) / share) ** balance, MOST_POSITIVE).tolist()
