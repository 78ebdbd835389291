"""Files of weights that strangers wrote: read without running what is in them, or refused in one line."""

from __future__ import annotations

import os
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

LARGEST_BYTES = 4 << 30
"""Of a file: VGG16 with the state of its optimizer has 1.6 GB, and nothing in the catalogue has more."""
WRAPPERS = ("state_dict", "model_state")


def read_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a file, by its names: safetensors, or what torch.save wrote.

    They may be wrapped as "state_dict" or "model_state" beside other plain values. ValueError for anything else: a
    pickle that asks for more than tensors and plain values, a file that unpacks to more than it is, a broken one.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no file {path}")
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        raise ValueError(
            f"{path} has {size / 2**30:.1f} GiB; files of weights with more than {LARGEST_BYTES >> 30} are not read"
        )
    try:
        return unwrapped(_read(path))
    except Exception as error:  # a broken file breaks its reader in any way
        raise ValueError(f"{path} cannot be read as weights: {_why(error)}") from error


def unwrapped(weights: Any) -> dict[str, Tensor]:
    """The tensors of what a file held; ValueError where it held something else."""
    for wrapper in WRAPPERS:
        if isinstance(weights, Mapping) and isinstance(inner := weights.get(wrapper), Mapping):
            weights = inner
    if not isinstance(weights, Mapping) or not weights:
        raise ValueError(f"it holds {type(weights).__name__ if weights else 'nothing'}, not weights by name")
    for key, tensor in weights.items():
        if not isinstance(key, str) or not isinstance(tensor, Tensor) or tensor.layout is not torch.strided:
            raise ValueError(f"it holds no weights by name: {key!r} is {type(tensor).__name__}")
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise ValueError(f"{key} says that it has {tensor.numel():,} values, which are not in the file")
    return dict(weights)


def _read(path: Path) -> Any:
    from safetensors.torch import load_file

    if path.suffix == ".safetensors":
        return load_file(path)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(part.file_size for part in archive.infolist()) > path.stat().st_size:
                raise ValueError("it unpacks to more than it is, which no file of torch.save does")
    with warnings.catch_warnings(action="ignore"):  # of pickle protocols
        return torch.load(path, map_location="cpu", weights_only=True)


def _why(error: Exception) -> str:
    message = str(error) or "it is empty"
    if "Weights only load failed" in message:  # and then advice to run what is in it
        asked = re.search(r"GLOBAL (\S+) was not an allowed global", message)
        what = f"it asks for {asked[1]}" if asked else "it is a pickle of something else"
        return f"{what}, and nothing but tensors and plain values is taken from a file"
    return message.splitlines()[0]
