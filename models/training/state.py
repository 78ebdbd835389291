"""The state of an unfinished training: a file with an atomic write, checked when it is read."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import AllowInfNan, Field, InstanceOf

from actionstream.models.common.checked import ShortText, checked
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import atomic_write

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
    """Write the state of a training by an atomic write; OSError where it cannot be written."""
    with atomic_write(path) as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # torch raises it when the disk is full
            raise OSError(f"{path} cannot be written: is the disk full?") from error


def read_state(path: Path) -> dict[str, Any] | None:
    """What `save_state` wrote; None where there is no file. ActionstreamError where the file is damaged."""
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        _TrainingState(**state)
    except Exception as error:  # torch may raise anything for a corrupt file
        why = (str(error) or "it is empty").splitlines()[0][:200]
        raise ActionstreamError(f"{path} is damaged, and no training can go on from it: {why}") from error
    return state
