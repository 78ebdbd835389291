"""The state of an unfinished training: a file with an atomic write, checked when it is read."""

from __future__ import annotations

import hashlib
import os
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import AllowInfNan, Field, InstanceOf

from actionstream.models.common.checked import ShortText, checked
from actionstream.models.common.errors import ActionstreamError, is_out_of_memory
from actionstream.models.common.files import atomic_write

MARK = b"actionstream sha256 "
END_OF_ZIP, END_OF_ZIP_BYTES = b"PK\5\6", 22
"""The record at the end of what torch.save writes."""
Tensors = InstanceOf[dict]
"""What a `state_dict` gives; `load_state_dict` checks it."""
Figure = Annotated[float, AllowInfNan(True)]


@checked
class _TrainingState:
    """What the file of a state holds.

    step, loss                        steps done, and the mean loss since the state before
    network, optimiser, scaler, mean  see actionstream.models.training.loop.train; `mean` where one is kept
    rows, broken, untested            of a run: figures of each epoch, errors of training and validation videos
    command                           of a recipe: the command that resumes it
    """

    step: Annotated[int, Field(ge=0)]
    loss: Figure
    network: Tensors
    optimiser: Tensors
    scaler: Tensors
    mean: Tensors | None = None
    rows: list[dict[str, Figure]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    untested: list[str] = field(default_factory=list)
    command: ShortText = ""


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write the state of a training by an atomic write; OSError where it cannot be written.

    The file is what torch.save writes, then MARK and the SHA-256 of all before it: torch checks only a part of a file.
    """
    with atomic_write(path) as partial, partial.open("w+b") as file:
        torch.save(state, file)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").digest()
        file.write(MARK + digest)


def read_state(path: Path) -> dict[str, Any] | None:
    """What `save_state` wrote; None where there is no file. ActionstreamError where the file is damaged."""
    if not path.is_file():
        return None
    try:
        _check_digest(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        _TrainingState(**state)
    except Exception as error:  # torch may raise anything for a corrupt file
        if is_out_of_memory(error):
            raise
        why = (str(error) or "it is empty").splitlines()[0][:200]
        raise ActionstreamError(f"{path} is damaged, and no training can go on from it: {why}") from error
    return state


def _check_digest(path: Path) -> None:
    """Raise ActionstreamError where a file has another digest than it says; a file of an old version says none."""
    whole = hashlib.sha256()
    with path.open("rb") as file:
        begin = file.seek(0, os.SEEK_END) - len(MARK) - whole.digest_size
        file.seek(0)
        while part := file.read(min(1 << 20, max(begin - file.tell(), 0))):
            whole.update(part)
        end = file.read()
    is_old = end[-END_OF_ZIP_BYTES:].startswith(END_OF_ZIP)
    if not is_old and end != MARK + whole.digest():
        raise ActionstreamError("its checksum is wrong, or it has been cut short")
