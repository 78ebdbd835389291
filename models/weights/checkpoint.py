"""Checkpoints: one safetensors file with everything that is needed to run it.

The tensors are the network's state dict; the file's metadata has one entry, "actionstream", the card as
JSON. Nothing is unpickled.
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from actionstream.models.card import Card
from actionstream.models.errors import ActionstreamError, warn_once
from actionstream.models.files import whole
from actionstream.models.weights.published import PUBLISHED

if TYPE_CHECKING:
    from torch import Tensor

    from actionstream.models.network import Network

KEY = "actionstream"
PACKAGED = Path(__file__).parents[1] / "checkpoints"
"""Checkpoints that come with the package."""


def packaged() -> list[str]:
    """Names of the checkpoints that come with the package."""
    return sorted(path.stem for path in PACKAGED.glob("*.safetensors"))


def find_local(path: str | os.PathLike[str]) -> Path | None:
    """The file of a model that lies at a path: that file, or the best checkpoint of a run's folder; None without."""
    best = Path(path) / "best.safetensors"
    return next((file for file in (best, Path(path)) if file.is_file()), None)


def resolve(name: str | os.PathLike[str]) -> Path | str:
    """What is meant by the name or path of a model: the file of a checkpoint, or a name of models.weights.published.

    What lies on the disk is meant first (`find_local`), then a packaged checkpoint, then a published one. A
    RuntimeWarning says which it is where there are two of a name.

    Raises ValueError, which says what there is, where there is none.
    """
    text, path, there = os.fspath(name), Path(name), find_local(name)
    known: Path | str | None = PACKAGED / f"{text}.safetensors" if text in packaged() else None
    known = text if known is None and text in PUBLISHED else known
    if there is not None:
        if known is not None:
            warn_once(f"the model {text} is {path.resolve()}, not the checkpoint that `actionstream models` lists")
        return there
    unfinished = (path / "settings.json").is_file()
    if known is not None:
        if unfinished:
            warn_once(f"the model {text} is that of `actionstream models`; the run {path.resolve()} has none yet")
        return known
    if unfinished:
        raise ActionstreamError(f"{path} is a run without a checkpoint: it has not come to the end of an epoch")
    near = ", ".join(get_close_matches(text, [*packaged(), *PUBLISHED], n=4, cutoff=0))
    raise ActionstreamError(
        f"no model {text!r}: give the path of a checkpoint, or a name of `actionstream models`; nearest are {near}"
    )


def find(name: str | os.PathLike[str]) -> Path:
    """The file of a checkpoint, see `resolve`; ValueError for one that is published, too."""
    found = resolve(name)
    if isinstance(found, str):
        raise ActionstreamError(
            f"{name} has no card of its own: it is published by others, and downloaded when it is loaded"
        )
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
        raise ActionstreamError(f"{path} cannot be read as a safetensors file: {error}") from error
    if KEY not in metadata:
        raise ActionstreamError(f"{path} is a safetensors file, but not a checkpoint of actionstream: it has no card")
    return Card.from_json(metadata[KEY], f"the card in {path}")


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
