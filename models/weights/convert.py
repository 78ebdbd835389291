"""Weights of other projects: recognised by their names and shapes, and put into a network of the catalogue."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import Tensor

from actionstream.models.card import ROWS_PER_CLIP, Card, check_shift
from actionstream.models.catalogue import NETWORKS, create, create_empty, find_entry
from actionstream.models.common.choices import FlowMethod, ModalityName, Shift
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.network import Network
from actionstream.models.networks.costs import hash_tensors, read_table
from actionstream.models.weights.layouts import (
    LAYOUTS,
    PROJECTS,
    Layout,
    counted,
    load_layout,
    renamed,
    same_but_for_ones,
)
from actionstream.models.weights.weight_file import read_weights


@dataclass(frozen=True)
class Recognised:
    """A recognised file of weights: its network of the catalogue, its layout, and the shift of its training.

    arguments  those with which the network fits the file, such as num_classes
    shift      None where the layout does not determine it
    """

    network: str
    layout: str
    arguments: dict[str, Any]
    shift: str | None


def load_weights(
    path: str | os.PathLike[str],
    *,
    network: str | None = None,
    project: str = "auto",
    labels: Sequence[str] | None = None,
    modality: ModalityName | None = None,
    flow_method: FlowMethod = "dis",
    interval_seconds: float | None = None,
    num_frames: int | None = None,
    activation: Literal["softmax", "sigmoid"] | None = None,
    trained_shift: Shift | None = None,
    insist: bool = False,
    **arguments: Any,
) -> tuple[Network, Card, Recognised]:
    """Load a file of weights: the network of the catalogue in eval mode, its card, and what was recognised.

    path           safetensors, or what torch.save wrote; nothing in it is executed
    network        a name that actionstream.models.create takes; recognised unless given
    project        the project that the layout is from, one of actionstream.models.weights.layouts.PROJECTS
    labels         a name for each score; without them "class 0", "class 1" ...
    modality       the input, where it does not follow from the channels (3 "rgb", 15 "rgb-difference", else "flow")
    flow_method    see Preprocessing
    interval_seconds, num_frames, activation    see Card; what the catalogue says unless given
    trained_shift  the shift of the training, where it is not that of the layout
    insist         allow another shift than that of the training
    arguments      of the network, beside those of the layout

    Raises ValueError for a file that cannot be read, that fits no network or not the given one, or that does not fit
    the labels.
    """
    weights = read_weights(path)
    try:
        found = recognise(weights, network=network, project=project, trained_shift=trained_shift, **arguments)
    except ActionstreamError as error:
        raise ActionstreamError(f"{path}: {error}") from error
    num_classes = found.arguments["num_classes"]
    if labels is None:
        labels = [f"class {number}" for number in range(num_classes)]
    if len(labels) != num_classes:
        raise ActionstreamError(f"{path} has scores for {num_classes} classes, and there are {len(labels)} labels")
    built = create(found.network, **found.arguments)
    if found.shift is not None:
        check_shift(trained=found.shift, wanted=built.shift, insist=insist)
    load_layout(built, weights, found.layout)
    entry = find_entry(found.network)
    segment = built.segment or 1
    preprocessing = entry.preprocessing(built.in_channels, modality=modality, flow_method=flow_method)
    feeding = dict(LAYOUTS[found.layout].feeding)
    step = feeding.pop("step", entry.step)
    if preprocessing.modality == "rgb":
        preprocessing = replace(preprocessing, **feeding)
    interval = step / 30 if interval_seconds is None else interval_seconds
    frames = entry.num_frames if num_frames is None else num_frames
    card = Card(
        network=found.network,
        arguments=found.arguments,
        labels=tuple(labels),
        preprocessing=preprocessing,
        interval_seconds=interval,
        frame_seconds=0.0 if preprocessing.modality in ("rgb", "features") else min(1 / 30, interval),
        activation=activation or ("sigmoid" if entry.many_labels else "softmax"),
        num_frames=1 if built.streams else frames,
        stride=1 if built.streams else max(frames // ROWS_PER_CLIP // segment, 1) * segment,
    )
    return built.eval(), card, found


def recognise(
    weights: Mapping[str, Tensor],
    *,
    network: str | None = None,
    project: str = "auto",
    trained_shift: str | None = None,
    **arguments: Any,
) -> Recognised:
    """Find the network and the layout of weights; the parameters are those of `load_weights`.

    Where several networks have the same tensors, the first one in the catalogue with the file's shift is taken.
    """
    if project not in PROJECTS:
        raise ActionstreamError(f"no project {project!r}; there are {', '.join(PROJECTS)}")
    if network is not None:
        find_entry(network)
    built: dict[tuple[str, str], Network | None] = {}
    other_shift: Recognised | None = None
    nearest: _Misfit | None = None
    for layout in PROJECTS[project]:
        rule = LAYOUTS[layout]
        if not any(re.search(rule.marker, key) for key in weights):
            continue
        try:
            ours = counted(renamed(weights, rule))
        except ActionstreamError:  # two keys get one name: not this layout
            continue
        wanted = {**rule.arguments, **arguments}
        for name in [network] if network else _candidates(rule, ours):
            key = name, str(wanted)
            if key not in built:
                built[key] = _empty(name, wanted)
            candidate = built[key]
            if candidate is None:
                continue
            try:
                found = {**wanted, **_sizes(candidate, ours)}
            except _Misfit as misfit:
                misfit.args = (f"as {name} in the layout {layout}, {misfit}",)
                nearest = min(nearest or misfit, misfit, key=lambda each: each.count)
                continue
            recognised = Recognised(name, layout, found, trained_shift or rule.shift)
            if recognised.shift in (None, candidate.shift):
                return recognised
            other_shift = other_shift or recognised
    if other_shift is not None:
        return other_shift
    if nearest is None:
        nearest = _nearest(weights, PROJECTS[project])
    raise ActionstreamError(
        f"these are not weights of {network or 'a network of the catalogue'} in "
        + ("any layout known here" if project == "auto" else f"a layout of {project}")
        + (f"; nearest: {nearest}" if nearest else "")
    )


class _Misfit(ActionstreamError):
    """Tensors do not fit a network."""

    def __init__(self, count: int, why: str):
        super().__init__(why)
        self.count = count


def _sizes(network: Network, ours: Mapping[str, Tensor]) -> dict[str, int]:
    """The sizes with which a network fits tensors with our names: num_classes, and in_channels where it differs."""
    own = counted(network.state_dict())
    if odd := own.keys() ^ ours.keys():
        sides = {"the file": own.keys() - ours.keys(), "the network": ours.keys() - own.keys()}
        lacks = [f"{side} has no {', '.join(sorted(keys)[:3])}" for side, keys in sides.items() if keys]
        raise _Misfit(len(odd), " and ".join(lacks))
    sizes = {"num_classes": network.num_classes}
    stems = {key for key, tensor in own.items() if tensor.dim() > 3 and tensor.shape[1] == network.in_channels}
    for key, tensor in own.items():
        given = ours[key]
        if same_but_for_ones(given, tensor):
            continue
        if len(tensor) == network.num_classes and given.shape[1:].numel() == tensor.shape[1:].numel() and len(given):
            sizes["num_classes"] = len(given)
        elif key in stems and _but_channels(given) == _but_channels(tensor):
            sizes["in_channels"] = given.shape[1]
        else:
            raise _Misfit(1, f"{key} is {tuple(given.shape)} and not {tuple(tensor.shape)}")
    return sizes


def _but_channels(weight: Tensor) -> tuple[int, ...]:
    return weight.shape[0], *weight.shape[2:]


def _nearest(weights: Mapping[str, Tensor], layouts: Sequence[str]) -> _Misfit | None:
    """The smallest misfit of the weights to one of the networks with about as many values."""
    size = sum(tensor.numel() for tensor in weights.values())
    rows = sorted(read_table(), key=lambda row: abs(row.num_parameters - size))[:3]
    misfits = []
    for layout in layouts:
        if any(re.search(LAYOUTS[layout].marker, key) for key in weights):
            for row in rows:
                try:
                    _sizes(create_empty(row.name), counted(renamed(weights, LAYOUTS[layout])))
                except _Misfit as misfit:
                    misfit.args = (f"as {row.name} in the layout {layout}, {misfit}",)
                    misfits.append(misfit)
                except ActionstreamError:  # two keys get one name
                    continue
    return min(misfits, key=lambda misfit: misfit.count, default=None)


def _candidates(rule: Layout, ours: Mapping[str, Tensor]) -> list[str]:
    """The networks that a layout is for, or else the networks whose tensors have these names and kernel sizes."""
    if rule.networks:
        return [name for name in NETWORKS if name.startswith(rule.networks)]
    tensors = hash_tensors(ours)
    return [row.name for row in read_table() if row.tensors == tensors]


def _empty(name: str, arguments: dict[str, Any]) -> Network | None:
    try:
        return create_empty(name, **arguments)
    except ActionstreamError:  # it has no such arguments
        return None
