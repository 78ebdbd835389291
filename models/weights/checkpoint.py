"""Checkpoints: one safetensors file with everything that is needed to run it.

The tensors are the network's state dict; the file's metadata has one entry, "actionstream", the card as
JSON. Nothing is unpickled.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from actionstream.models.card import Card
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import atomic_write
from actionstream.models.locate import CHECKPOINTS, Model, locate

if TYPE_CHECKING:
    from torch import Tensor

    from actionstream.models.network import Network

KEY = "actionstream"


def is_checkpoint(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a checkpoint of ours."""
    try:
        with safe_open(path, framework="numpy") as file:
            return KEY in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def read_card(model: Model) -> Card:
    """The card of a checkpoint or of a run, without its weights."""
    path = locate(model).file(*CHECKPOINTS)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ActionstreamError(f"{path} cannot be read as a safetensors file: {error}") from error
    if KEY not in metadata:
        raise ActionstreamError(f"{path} is a safetensors file, but not a checkpoint of actionstream: it has no card")
    return Card.from_json(metadata[KEY], f"the card in {path}")


def save(path: str | os.PathLike[str], network: Network, card: Card, *, half: bool = False) -> None:
    """Write a checkpoint (atomic write), with `half` in float16."""
    tensors = {
        name: (tensor.half() if half and tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
    }
    _write(path, tensors, card)


def save_card(path: str | os.PathLike[str], card: Card) -> None:
    """Replace the card of a checkpoint; its tensors do not change."""
    from safetensors.torch import load_file

    _write(path, load_file(path), card)


def _write(path: str | os.PathLike[str], tensors: dict[str, Tensor], card: Card) -> None:
    from safetensors.torch import save_file

    with atomic_write(Path(path)) as file:
        try:
            save_file(tensors, file, metadata={KEY: card.to_json()})
        except SafetensorError as error:
            raise OSError(str(error).removeprefix("Error while serializing: I/O error: ")) from error
