"""Networks of the catalogue without trained weights, for measuring: their signal neither fades nor explodes."""

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
"""What `write_checkpoint` fills a network with, in words."""
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
            if (snippet := modality.push(frame.image, frame.time_seconds)) is not None:
                snippets.append(snippet)
            if len(snippets) == count:
                break
    return np.stack(snippets)


@torch.inference_mode()
def write_checkpoint(path: Path, card: Card) -> None:
    """A checkpoint of a network with WEIGHTS.

    With those that a network is made with, what goes through MobileNetV2 sinks into denormal numbers, with which a CPU
    is three times slower; here each batch norm makes of real pictures what it would in a trained network.
    """
    torch.manual_seed(0)
    network = create(card.network, **card.arguments)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.momentum = 1.0  # the statistics are those of the last batch
    frames = card.preprocessing.normalise(torch.from_numpy(sample_snippets(card, 8)))
    network.train()(frames[None])
    save(path, network.eval(), card)
