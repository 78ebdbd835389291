"""Weights of other projects, as a file: read, recognised, and put into a network of the catalogue."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.catalogue import create, find_entry
from models.checkpoint import Card
from models.layouts import LAYOUTS, load_layout, renamed
from models.network import Network

ROWS_PER_CLIP = 8
"""How many scores a window gives live while its frames pass once; between them the last one stands."""


def load_weights(
    name: str, path: str | os.PathLike[str], *, labels: Sequence[str] | None = None
) -> tuple[Network, Card]:
    """A network of the catalogue with the weights in a file, in eval mode, and a card with what is known of it.

    name    a network that models.create takes; the number of classes is that of the file
    path    safetensors, or what torch.save wrote; nothing in it is executed
    labels  a name for each score; without them "class 0", "class 1" ...

    Raises ValueError for a file that cannot be read, that has the weights of another network, or that does not fit the
    labels.
    """
    entry = find_entry(name)
    weights = read_weights(path)
    layout, num_classes = recognise(name, weights)
    if labels is None:
        labels = [f"class {number}" for number in range(num_classes)]
    if len(labels) != num_classes:
        raise ValueError(f"{path} has scores for {num_classes} classes, and there are {len(labels)} labels")
    network = create(name, num_classes=num_classes)
    segment = network.segment or 1
    load_layout(network, weights, layout)
    card = Card(
        network=name,
        arguments={"num_classes": num_classes},
        labels=tuple(labels),
        preprocessing=entry.preprocessing(),
        interval_seconds=entry.step / 30,
        activation="sigmoid" if entry.many_labels else "softmax",
        num_frames=entry.num_frames,
        stride=max(entry.num_frames // ROWS_PER_CLIP // segment, 1) * segment,
    )
    return network.eval(), card


def read_weights(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    """The tensors of a file; a pickle that needs anything but tensors and plain values is refused."""
    from safetensors.torch import load_file

    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no file {path}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings(action="ignore"):  # of pickle protocols
            contents = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken file breaks its reader in any way
        why = (str(error) or "it is empty").splitlines()[0]
        raise ValueError(f"{path} cannot be read as weights: {why}") from error
    if not isinstance(contents, Mapping):
        raise ValueError(f"{path} holds a {type(contents).__name__}, not weights by name")
    return contents


def recognise(name: str, weights: Mapping[str, Any], **arguments: Any) -> tuple[str, int]:
    """The layout in which the weights fit a network of the catalogue, and their number of classes."""
    with torch.device("meta"):
        network = create(name, **arguments)
    own = {key: tensor for key, tensor in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    fewest: tuple[int, str] | None = None
    for layout, entry in LAYOUTS.items():
        if entry.shift not in (None, network.shift) and not (entry.shift == "bi" and network.shift == "uni"):
            continue
        try:
            ours = {key: each for key, each in renamed(weights, entry).items() if not key.endswith("_tracked")}
        except ValueError:  # two keys in one: not this layout
            continue
        odd = own.keys() ^ ours.keys()
        if not odd:
            return layout, _num_classes(network, own, ours)
        if fewest is None or len(odd) < fewest[0]:
            fewest = len(odd), f"in the layout {layout}, which fits best, {sorted(odd)[0]} is on one side only"
    detail = f": {fewest[1]}" if fewest else ""
    raise ValueError(f"these are not weights of {name} in any layout known here{detail}")


def _num_classes(network: Network, own: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> int:
    """The first size of the only tensors whose shape may differ: those of the last layer."""
    for key, tensor in ours.items():
        if own[key].shape[:1] == (network.num_classes,) and own[key].shape[:1] != tensor.shape[:1]:
            return tensor.shape[0]
    return network.num_classes
