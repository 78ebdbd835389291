"""A new network over frozen backbones, such as one that is taught or a detector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, cast

from actionstream.models.card import Card
from actionstream.models.catalogue import create
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.locate import Model
from actionstream.models.network import Network
from actionstream.models.networks.frozen_backbones import Backbone, FrozenBackbones, Looking
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.weights.loading import load

BACKBONES = ("imagenet", "motion")
"""Appearance and motion; both come with the package."""
SIZES = {"imagenet": 192}
"""Sizes of frames that differ from the card's: three quarters of the multiply-adds at 224, with the same accuracy."""
MAPS = {"imagenet": ((6, 3),), "motion": ((1, 4), (2, 2), (3, 2))}
"""Feature maps that are read of a backbone, see `Backbone`; of others the last one, in 3 x 3 cells."""


def build(name: str, models: Sequence[Model], **arguments: Any) -> tuple[FrozenBackbones, Card]:
    """A network of the catalogue over the backbones of checkpoints, in eval mode, and its card, without labels.

    The rhythm is that of the slowest one; faster ones see several pictures of each snippet.
    """
    if not models:
        raise ActionstreamError("there is no backbone; give one checkpoint or more whose networks stream")
    loaded = [(str(model), *load(model)) for model in models]
    interval = max(card.interval_seconds for _, _, card in loaded)
    uses = [_use(model, network, card, interval) for model, network, card in loaded]
    stack = max(use.pictures for use in uses)
    size = max(use.size for use in uses)
    arguments = {"num_classes": 1, **arguments, "backbones": [asdict(use) for use in uses], "in_channels": 3 * stack}
    over = cast(FrozenBackbones, create(name, **arguments)).eval()
    for ours, (_, network, _) in zip(over.backbones, loaded, strict=True):
        ours.load_state_dict(network.state_dict())
    warm_up = max(card.context * card.interval_seconds for _, _, card in loaded)
    card = Card(
        network=name,
        arguments=arguments,
        labels=(),
        preprocessing=Preprocessing(height=size, width=size, mean=(0.0,), std=(1.0,), stack=stack),
        interval_seconds=interval,
        frame_seconds=interval / stack,
        context=math.ceil(warm_up / interval - 1e-9),
        licence="; ".join(dict.fromkeys(f"{model}: {card.licence}" for model, _, card in loaded)),
    )
    return over, card


def looking(network: FrozenBackbones, card: Card) -> tuple[Looking, Card]:
    """The backbones alone, as a network whose scores are features, and its card."""
    alone = Looking(network)
    labels = tuple(map(str, range(alone.num_classes)))
    return alone, replace(card.without_decisions(), labels=labels, context=0, activation="softmax")


def _use(model: str, network: Network, card: Card, interval_seconds: float) -> Backbone:
    wanted = card.preprocessing
    if not network.streams or wanted.modality != "rgb" or wanted.stack > 1:
        raise ActionstreamError(f"{model} cannot be a backbone; expected a network that streams and takes RGB pictures")
    pictures = interval_seconds / card.interval_seconds
    if abs(pictures - round(pictures)) > 0.01:
        raise ActionstreamError(
            f"{model} has a snippet each {card.interval_seconds:.3g} s, of which {interval_seconds:.3g} s is no "
            "multiple; expected backbones whose rhythms divide each other"
        )
    return Backbone(
        network=card.network,
        arguments=card.arguments,
        size=SIZES.get(model, wanted.height),
        mean=wanted.mean,
        std=wanted.std,
        order=wanted.order,
        pictures=round(pictures),
        maps=MAPS.get(model) or ((len(network.shapes(wanted.height, wanted.width)[0]) - 1, 3),),
    )
