"""The network of a model, with its weights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from actionstream.models.card import Card, check_shift
from actionstream.models.catalogue import NETWORKS, create_empty
from actionstream.models.errors import ActionstreamError
from actionstream.models.weights.checkpoint import find_local, read_card, resolve
from actionstream.models.weights.published import PUBLISHED

if TYPE_CHECKING:
    from actionstream.models.network import Network


def load(
    name: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | None = None,
    labels: Sequence[str] | None = None,
    shift: str | None = None,
    insist: bool = False,
) -> tuple[Network, Card]:
    """The network of a checkpoint, in eval mode and float32, and its card.

    name     see `resolve`; a published checkpoint is downloaded once. With `weights` the name of a network that
             actionstream.models.create takes
    weights  a file of another project's weights for it, in a layout of actionstream.models.weights.layouts
    labels   for those weights: a name for each score
    shift    build the network with another shift than the weights were trained with: refused, since the
             channels would carry what the weights do not expect, unless `insist`
    """
    from safetensors.torch import load_file

    if weights is not None:
        from actionstream.models.weights.convert import load_weights

        if shift is not None:
            raise ActionstreamError("with weights, the name of the network says the shift")
        if name not in NETWORKS:
            raise ActionstreamError(
                f"{name} is no network; say whose weights they are (--model tsm_resnet50_bi ...), or convert the file, "
                "which finds out"
            )
        return load_weights(weights, network=os.fspath(name), labels=labels, insist=insist)[:2]
    if os.fspath(name) in NETWORKS and find_local(name) is None:
        raise ActionstreamError(f"{name} is a network without weights: give a file of them as well, --weights FILE")
    if labels is not None:
        raise ActionstreamError("a checkpoint has labels of its own; others are for --weights")
    file = resolve(name)
    if isinstance(file, str):
        changes = {} if shift is None else {"shift": shift}
        return load_published(file, insist=insist, **changes)
    card = read_card(file)
    if shift is not None and shift != card.shift:
        check_shift(trained=card.shift, wanted=shift, insist=insist)
        card = replace(card, arguments={**card.arguments, "shift": shift})
    network = create_empty(card.network, **card.arguments)
    if len(card.labels) != network.num_classes:
        raise ActionstreamError(f"{file} has {len(card.labels)} labels for {network.num_classes} classes")
    try:
        tensors = {key: tensor.clone() for key, tensor in load_file(file).items()}  # in a file none is aligned
        network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise ActionstreamError(f"the weights in {file} are not those of {card.network}: {error}") from error
    return network.float().eval(), card


def load_published(name: str, *, insist: bool = False, **arguments: Any) -> tuple[Network, Card]:
    """The network of a published checkpoint and its card; downloaded, if it is not in the cache.

    insist, arguments  see actionstream.models.weights.convert.load_weights
    """
    from actionstream.models.labels import read_labels
    from actionstream.models.weights.convert import load_weights
    from actionstream.models.weights.download import fetch
    from actionstream.models.weights.weight_file import read_weights

    entry = PUBLISHED[name]
    path = fetch(entry.address, sha256=entry.sha256, check=read_weights)
    network, card, _ = load_weights(
        path,
        network=entry.network,
        labels=read_labels(entry.labels),
        interval_seconds=entry.interval_seconds,
        num_frames=entry.num_frames,
        insist=insist,
        **arguments,
    )
    return network, replace(card, licence=entry.licence, training={"published": entry.address})
