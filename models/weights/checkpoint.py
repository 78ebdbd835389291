"""Checkpoints: one safetensors file with everything that is needed to run it.

The tensors are the network's state dict; the file's metadata has one entry, "actionstream", the card as
JSON. Nothing is unpickled.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
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
ATTACHED = "attached."
"""The begin of the keys of tensors that are not the network's."""


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


def save(
    path: str | os.PathLike[str],
    network: Network,
    card: Card,
    *,
    half: bool = False,
    attached: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a checkpoint (atomic write).

    half      whether its weights are in float16; statistics of batch norm stay as they are
    attached  tensors that are not the network's, by name, for `read_attached`
    """
    in_half = {name for name, _ in network.named_parameters()} if half else ()
    tensors = {
        name: (tensor.half() if name in in_half else tensor).detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
    }
    _write(path, tensors | {f"{ATTACHED}{name}": tensor for name, tensor in (attached or {}).items()}, card)


def read_attached(model: Model) -> dict[str, Tensor]:
    """The tensors that were attached to a checkpoint, by name, in the order of the names."""
    with safe_open(locate(model).file(*CHECKPOINTS), framework="pt") as file:
        keys = sorted(key for key in file.keys() if key.startswith(ATTACHED))  # noqa: SIM118  it is no mapping
        return {key.removeprefix(ATTACHED): file.get_tensor(key) for key in keys}


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
