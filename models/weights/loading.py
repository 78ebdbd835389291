"""Loads the network of a model, with its weights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from actionstream.models.card import Card, check_shift
from actionstream.models.catalogue import create_empty
from actionstream.models.common.choices import LiveMode
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.extras import extras_named
from actionstream.models.labels import read_labels
from actionstream.models.locate import CHECKPOINTS, Located, Model, locate
from actionstream.models.published import PUBLISHED
from actionstream.models.weights.checkpoint import ATTACHED, read_card
from actionstream.models.weights.live import run_live

if TYPE_CHECKING:
    from actionstream.models.network import Network


def load(
    model: Model,
    *,
    weights: str | os.PathLike[str] | None = None,
    labels: Sequence[str] | None = None,
    shift: str | None = None,
    streaming: LiveMode | None = None,
    insist: bool = False,
) -> tuple[Network, Card]:
    """The network of a checkpoint, in eval mode and float32, and its card.

    model    see `actionstream.models.locate.locate`: a checkpoint or a run; a published checkpoint, which is downloaded
             once; with `weights` a network of the catalogue
    weights  a file of another project's weights for it, in a layout of actionstream.models.weights.layouts
    labels   for those weights: a name for each score
    shift    another shift than that of the training; refused unless `insist`, because the weights expect other
             channels
    streaming  how a clip network runs live, with the same weights: see `actionstream.models.streaming`. "causal" is
             another function than that of whole clips: weights that were not trained for it get a RuntimeWarning

    Raises ActionstreamError for a model that does not exist, cannot be loaded, or is corrupt.
    """
    network, card = _load(locate(model, weights=weights), labels=labels, shift=shift, insist=insist)
    return (network, card) if streaming is None else run_live(network, card, streaming)


def _load(found: Located, *, labels: Sequence[str] | None, shift: str | None, insist: bool) -> tuple[Network, Card]:
    with extras_named(instead=f"export {found} where torch is, and run the file"):
        if found.kind == "network":
            return _load_weights(found, labels=labels, shift=shift, insist=insist)
        if labels is not None:
            raise ActionstreamError("a checkpoint has labels of its own; others are for --weights")
        if found.kind == "published":
            return _load_published(found.name, shift=shift, insist=insist)
        return _load_checkpoint(found, shift=shift, insist=insist)


def _load_weights(
    found: Located, *, labels: Sequence[str] | None, shift: str | None, insist: bool
) -> tuple[Network, Card]:
    file = found.file("network")
    if shift is not None:
        raise ActionstreamError("with weights, the name of the network says the shift")

    from actionstream.models.weights.convert import load_weights

    network, card, _ = load_weights(file, network=found.name, labels=labels, insist=insist)
    return network, card


def _load_checkpoint(found: Located, *, shift: str | None, insist: bool) -> tuple[Network, Card]:
    path = found.file(*CHECKPOINTS)
    card = read_card(found)

    from safetensors.torch import load_file

    if shift is not None and shift != card.shift:
        check_shift(trained=card.shift, wanted=shift, insist=insist)
        card = replace(card, arguments={**card.arguments, "shift": shift})
    network = create_empty(card.network, **card.arguments)
    if len(card.labels) != network.num_classes:
        raise ActionstreamError(f"{path} has {len(card.labels)} labels for {network.num_classes} classes")
    try:
        tensors = {  # tensors in a file are not aligned
            key: tensor.clone() for key, tensor in load_file(path).items() if not key.startswith(ATTACHED)
        }
        network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:  # what torch raises for other names or shapes
        raise ActionstreamError(f"the weights in {path} are not those of {card.network}: {error}") from error
    return network.float().eval(), card


def _load_published(name: str, *, shift: str | None, insist: bool) -> tuple[Network, Card]:
    from actionstream.models.weights.convert import load_weights
    from actionstream.models.weights.download import fetch
    from actionstream.models.weights.weight_file import read_weights

    entry = PUBLISHED[name]
    changed: dict[str, Any] = {} if shift is None else {"shift": shift}
    network, card, _ = load_weights(
        fetch(entry.address, sha256=entry.sha256, check=read_weights),
        network=entry.network,
        labels=read_labels(entry.labels),
        interval_seconds=entry.interval_seconds,
        num_frames=entry.num_frames,
        insist=insist,
        **changed,
    )
    return network, replace(card, licence=entry.licence, training={"published": entry.address})
