"""Checkpoints: one safetensors file with everything that is needed to run it.

The tensors are the network's state dict; the file's metadata has one entry, "actionstream", the card as
JSON. Nothing is unpickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from safetensors import SafetensorError, safe_open

from models.catalogue import NETWORKS, create_empty, find_entry
from models.files import whole
from models.preprocessing import Preprocessing
from models.probabilities import sigmoid, softmax
from models.published import PUBLISHED, load_published
from models.said import say_once

if TYPE_CHECKING:
    from torch import Tensor

    from models.network import Network

KEY = "actionstream"
PACKAGED = Path(__file__).parent / "checkpoints"
"""Checkpoints that come with the package."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a checkpoint says of itself.

    network           a name that `models.create` takes
    arguments         and its arguments; "shift" says how it was trained
    labels            a name for each of the K scores
    activation        what makes probabilities of scores: "softmax" (one label at a time) or "sigmoid"
    preprocessing     from a picture to the network's input
    interval_seconds  the time between two snippets in training
    frame_seconds     the time between the pictures of a snippet, where it is a stack of them; the same unless given
    context           snippets after a reset before the scores mean something
    num_frames        of the clips that the network takes, and live of its Window; 1 where it streams
    stride            rows of the Window for which a score stands
    licence           of the weights
    training          how they were made: command, seed, data, date
    accuracy          what was measured, by name
    """

    network: str
    arguments: dict[str, Any]
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    interval_seconds: float
    frame_seconds: float = 0.0
    activation: Literal["softmax", "sigmoid"] = "softmax"
    context: int = 0
    num_frames: int = 1
    stride: int = 1
    licence: str = "unknown"
    training: dict[str, Any] = field(default_factory=dict)
    accuracy: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.activation not in ("softmax", "sigmoid"):
            raise ValueError(f'activation is {self.activation!r}; it is "softmax" or "sigmoid"')
        if not 0 < self.interval_seconds < float("inf"):
            raise ValueError(f"interval_seconds is {self.interval_seconds}; it must be positive")
        if self.frame_seconds == 0:
            object.__setattr__(self, "frame_seconds", self.interval_seconds)
        if not 0 < self.frame_seconds <= self.interval_seconds:
            raise ValueError(
                f"frame_seconds is {self.frame_seconds}; it is positive, and at most interval_seconds, "
                f"{self.interval_seconds}"
            )
        if self.context < 0 or not isinstance(self.arguments, dict):
            raise ValueError(f"context is {self.context}, arguments {self.arguments}; a number from 0 on, and a dict")
        if self.num_frames < 1 or self.stride < 1:
            raise ValueError(f"clips of {self.num_frames} frames, stride {self.stride}: both are 1 or more")
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "arguments", {name: _plain(value) for name, value in self.arguments.items()})

    @property
    def shift(self) -> str:
        """The temporal shift that the weights were trained with."""
        return {**find_entry(self.network).arguments, **self.arguments}.get("shift", "none")

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Card:
        values = json.loads(text)
        return cls(**{**values, "preprocessing": Preprocessing(**values["preprocessing"])})

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Scores (..., K) to probabilities (..., K), float32."""
        return (sigmoid if self.activation == "sigmoid" else softmax)(scores).astype(np.float32)


def _plain(value: Any) -> Any:
    """An argument as JSON can keep it, and the same when it comes back: sequences and sets are tuples."""
    if isinstance(value, set | frozenset):
        value = sorted(value)
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


def packaged() -> list[str]:
    """Names of the checkpoints that come with the package."""
    return sorted(path.stem for path in PACKAGED.glob("*.safetensors"))


def find_local(path: str | os.PathLike[str]) -> Path | None:
    """The file of a model that lies at a path: that file, or the best checkpoint of a run's folder; None without."""
    best = Path(path) / "best.safetensors"
    return next((file for file in (best, Path(path)) if file.is_file()), None)


def resolve(name: str | os.PathLike[str]) -> Path | str:
    """What is meant by the name or path of a model: the file of a checkpoint, or a name of models.published.

    What lies on the disk is meant first (`find_local`), then a packaged checkpoint, then a published one. A
    RuntimeWarning says which it is where there are two of a name.

    Raises ValueError, which says what there is, where there is none.
    """
    text, path, there = os.fspath(name), Path(name), find_local(name)
    known: Path | str | None = PACKAGED / f"{text}.safetensors" if text in packaged() else None
    known = text if known is None and text in PUBLISHED else known
    if there is not None:
        if known is not None:
            say_once(f"the model {text} is {path.resolve()}, not the checkpoint that `actionstream models` lists")
        return there
    unfinished = (path / "settings.json").is_file()
    if known is not None:
        if unfinished:
            say_once(f"the model {text} is that of `actionstream models`; the run {path.resolve()} has none yet")
        return known
    if unfinished:
        raise ValueError(f"{path} is a run without a checkpoint: it has not come to the end of an epoch")
    near = ", ".join(get_close_matches(text, [*packaged(), *PUBLISHED], n=4, cutoff=0))
    raise ValueError(
        f"no model {text!r}: give the path of a checkpoint, or a name of `actionstream models`; nearest are {near}"
    )


def find(name: str | os.PathLike[str]) -> Path:
    """The file of a checkpoint, see `resolve`; ValueError for one that is published, too."""
    found = resolve(name)
    if isinstance(found, str):
        raise ValueError(f"{name} has no card of its own: it is published by others, and downloaded when it is loaded")
    return found


def is_checkpoint(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a checkpoint of ours."""
    try:
        with safe_open(path, framework="numpy") as file:
            return KEY in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def read_card(name: str | os.PathLike[str]) -> Card:
    """The card of a checkpoint, without its weights."""
    path = find(name)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} cannot be read as a safetensors file: {error}") from error
    if KEY not in metadata:
        raise ValueError(f"{path} is a safetensors file, but not a checkpoint of actionstream: it has no card")
    try:
        return Card.from_json(metadata[KEY])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"the card in {path} cannot be read: {error}") from error


def save(path: str | os.PathLike[str], network: Network, card: Card, *, half: bool = False) -> None:
    """Write a checkpoint, with `half` in float16; the file is whole or absent."""
    tensors = {
        name: (tensor.half() if half and tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
    }
    _write(path, tensors, card)


def save_card(path: str | os.PathLike[str], card: Card) -> None:
    """Give a checkpoint another card; its tensors stay as they are."""
    from safetensors.torch import load_file

    _write(path, load_file(path), card)


def _write(path: str | os.PathLike[str], tensors: dict[str, Tensor], card: Card) -> None:
    from safetensors.torch import save_file

    try:
        with whole(Path(path)) as file:
            save_file(tensors, file, metadata={KEY: card.to_json()})
    except SafetensorError as error:
        raise OSError(f"{path} cannot be written: {error}") from error


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
             models.create takes
    weights  a file of another project's weights for it, in a layout of models.layouts
    labels   for those weights: a name for each score
    shift    build the network with another shift than the weights were trained with: refused, since the
             channels would carry what the weights do not expect, unless `insist`
    """
    from safetensors.torch import load_file

    if weights is not None:
        from models.weights import load_weights

        if shift is not None:
            raise ValueError("with weights, the name of the network says the shift")
        if name not in NETWORKS:
            raise ValueError(
                f"{name} is no network; say whose weights they are (--model tsm_resnet50_bi ...), or convert the file, "
                "which finds out"
            )
        return load_weights(weights, network=os.fspath(name), labels=labels, insist=insist)[:2]
    if os.fspath(name) in NETWORKS and find_local(name) is None:
        raise ValueError(f"{name} is a network without weights: give a file of them as well, --weights FILE")
    if labels is not None:
        raise ValueError("a checkpoint has labels of its own; others are for --weights")
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
        raise ValueError(f"{file} has {len(card.labels)} labels for {network.num_classes} classes")
    try:
        tensors = {key: tensor.clone() for key, tensor in load_file(file).items()}  # in a file none is aligned
        network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise ValueError(f"the weights in {file} are not those of {card.network}: {error}") from error
    return network.float().eval(), card


def check_shift(*, trained: str, wanted: str, insist: bool) -> None:
    """Refuse weights for a shift they were not trained with."""
    if trained == wanted or insist:
        return
    reason = {
        ("bi", "uni"): "they expect an eighth of the channels from the next frame, which a live stream does not have, "
        "and their scores online would be wrong",
    }.get((trained, wanted), "the shifted channels would not carry what they expect")
    raise ValueError(
        f'these weights were trained with shift "{trained}" and cannot run with "{wanted}": {reason}. '
        f"Train or fine-tune with shift={wanted!r}, or pass insist=True to run them all the same"
    )
