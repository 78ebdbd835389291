"""Networks of the catalogue with random weights, for benchmarks: activations neither vanish nor explode."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from actionstream.models.card import Card
from actionstream.models.catalogue import create, find_entry
from actionstream.models.modality import open_modality
from actionstream.models.weights.checkpoint import save
from actionstream.sources import SAMPLE, open_source

WEIGHTS = "random weights, batch norms with the statistics of the sample's pictures"
"""The weights of `write_checkpoint`, in words."""
NUM_CLASSES = 27  # of Jester, which the official online MobileNetV2 was trained on


def card_of(name: str, *, size: int, num_classes: int = NUM_CLASSES) -> Card:
    """The card of a network of the catalogue with unnamed labels, for pictures squeezed to size x size, 30 a second."""
    return Card(
        network=name,
        arguments={"num_classes": num_classes},
        labels=tuple(map(str, range(num_classes))),
        preprocessing=replace(find_entry(name).preprocessing(), height=size, width=size, short_side=None),
        interval_seconds=1 / 30,
        context=1,
    )


def sample_snippets(card: Card, count: int) -> np.ndarray:
    """Snippets of successive pictures of the sample, uint8 (count, height, width, C), as a runtime takes them."""
    modality = open_modality(card.preprocessing, interval_seconds=card.interval_seconds)
    snippets: list[np.ndarray] = []
    while len(snippets) < count:  # the sample again and again
        for frame in open_source(SAMPLE):
            if (snippet := modality.push(frame.picture, frame.time_seconds)) is not None:
                snippets.append(snippet)
            if len(snippets) == count:
                break
    return np.stack(snippets)


@torch.inference_mode()
def write_checkpoint(path: Path, card: Card) -> None:
    """Write a checkpoint of a network with WEIGHTS.

    With its initial weights, activations of MobileNetV2 become denormal numbers, and a CPU computes those three times
    more slowly. So each batch norm takes the statistics of real pictures, as in a trained network.
    """
    torch.manual_seed(0)
    network = create(card.network, **card.arguments)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.momentum = 1.0  # the running statistics become those of the last batch
    frames = card.preprocessing.normalise(torch.from_numpy(sample_snippets(card, 8)))
    network.train()(frames[None])
    save(path, network.eval(), card)
