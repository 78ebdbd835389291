"""Weights of other projects, as a file: read, recognised, and put into a network of the catalogue."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.catalogue import create, create_empty, find_entry
from models.checkpoint import Card
from models.layouts import LAYOUTS, load_layout, renamed, same_but_for_ones, unwrapped
from models.network import Network

ROWS_PER_CLIP = 8
"""How many scores a window gives live while its frames pass once; between them the last one stands."""


def load_weights(
    name: str,
    path: str | os.PathLike[str],
    *,
    labels: Sequence[str] | None = None,
    trained_shift: str | None = None,
    insist: bool = False,
    **arguments: Any,
) -> tuple[Network, Card]:
    """A network of the catalogue with the weights in a file, in eval mode, and a card with what is known of it.

    name           a network that models.create takes; the number of classes is that of the file
    path           safetensors, or what torch.save wrote; nothing in it is executed
    labels         a name for each score; without them "class 0", "class 1" ...
    trained_shift  the shift the file was trained with, where that is not what its layout is known for
    insist         run them with another shift all the same
    arguments      for the network, beside those that the layout asks for

    Raises ValueError for a file that cannot be read, that has the weights of another network, or that does not fit the
    labels.
    """
    entry = find_entry(name)
    weights = read_weights(path)
    layout, arguments = recognise(name, weights, **arguments)
    num_classes = arguments["num_classes"]
    if labels is None:
        labels = [f"class {number}" for number in range(num_classes)]
    if len(labels) != num_classes:
        raise ValueError(f"{path} has scores for {num_classes} classes, and there are {len(labels)} labels")
    network = create(name, **arguments)
    load_layout(network, weights, layout, trained_shift=trained_shift, insist=insist)
    segment = network.segment or 1
    card = Card(
        network=name,
        arguments=arguments,
        labels=tuple(labels),
        preprocessing=entry.preprocessing(),
        interval_seconds=entry.step / 30,
        activation="sigmoid" if entry.many_labels else "softmax",
        num_frames=entry.num_frames,
        stride=max(entry.num_frames // ROWS_PER_CLIP // segment, 1) * segment,
    )
    return network.eval(), card


def read_labels(path: str | os.PathLike[str]) -> list[str]:
    """The labels of a text file, one a line; ValueError for an empty line between them, or another encoding."""
    try:
        lines = [line.strip() for line in Path(path).read_text(encoding="utf-8-sig").rstrip().splitlines()]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8: {error}") from error
    if not all(lines):
        raise ValueError(f"line {lines.index('') + 1} of {path} is empty; each line is a label")
    return lines


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


def recognise(name: str, weights: Mapping[str, Any], **arguments: Any) -> tuple[str, dict[str, Any]]:
    """The layout in which the weights fit a network of the catalogue, and the arguments that make it fit."""
    tensors = unwrapped(weights)
    built: dict[str, Network | None] = {}
    other_shift: tuple[str, dict[str, Any]] | None = None
    nearest: tuple[int, str] | None = None
    for layout, entry in LAYOUTS.items():
        wanted = {**entry.arguments, **arguments}
        if str(wanted) not in built:
            built[str(wanted)] = _empty(name, wanted)
        network = built[str(wanted)]
        if network is None or not any(re.search(entry.marker, key) for key in tensors):
            continue
        own = _counted(network.state_dict())
        try:
            ours = _counted(renamed(tensors, entry))
        except ValueError:  # two keys in one: not this layout
            continue
        if odd := own.keys() ^ ours.keys():
            side = "file" if min(odd) in own else "network"
            nearest = min(nearest or (len(odd) + 1, ""), (len(odd), f"read as {layout}, the {side} has no {min(odd)}"))
            continue
        num_classes = network.num_classes
        different = [key for key in own if not same_but_for_ones(ours[key], own[key])]
        if different:  # those of the last layer may be, in their first size
            num_classes = len(ours[different[0]])
        if any(own[key].shape[0] != network.num_classes or len(ours[key]) != num_classes for key in different):
            nearest = min(nearest or (2, ""), (1, f"read as {layout}, {different[0]} has another shape"))
            continue
        found = layout, {**wanted, "num_classes": num_classes}
        if entry.shift in (None, network.shift):
            return found
        other_shift = other_shift or found
    if other_shift is not None:
        return other_shift
    detail = f"; {nearest[1]}" if nearest else ""
    raise ValueError(f"these are not weights of {name} in any layout known here{detail}")


def _empty(name: str, arguments: dict[str, Any]) -> Network | None:
    try:
        return create_empty(name, **arguments)
    except ValueError:  # it has no such arguments
        return None


def _counted(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All that has to be there: older files do not count their batches."""
    return {key: tensor for key, tensor in weights.items() if not key.endswith("num_batches_tracked")}
