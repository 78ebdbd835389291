"""The labels of a model, from its card alone where that is possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from actionstream.engine.fusion_file import read_networks
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.labels import read_labels
from actionstream.models.locate import Located, locate
from actionstream.models.published import PUBLISHED
from actionstream.models.weights.checkpoint import read_card

Known = tuple[Sequence[str], Mapping[str, float]]
"""Labels in the order of the scores, and the thresholds that the model brings."""


def labels_of(model: str, folder: Path) -> Known:
    """The labels of a model, and its thresholds by label.

    folder  for relative paths

    Raises ActionstreamError where there is no such model, or where it cannot be watched with.
    """
    labels, thresholds = _known(locate(model, beside=folder))
    if not labels:
        raise ActionstreamError(f"{model} gives features and has no labels; teach a model with it, or take another one")
    return labels, thresholds


def _known(found: Located) -> Known:
    match found.kind:
        case "network":
            raise ActionstreamError(f"{found} is a network without weights; give a checkpoint of it")
        case "published":
            return read_labels(PUBLISHED[found.name].labels), {}
        case "fusion":
            models, _ = read_networks(found.file("fusion"))
            return _known(models[0])  # all have the same labels
        case "exported":
            from actionstream.runtimes.opening import open_runtime

            card = open_runtime(found).card  # its libraries read the card with the network only
        case _:
            card = read_card(found)
    return card.labels, card.thresholds
