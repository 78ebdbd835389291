"""Untrusted files of weights: read without running code in them, or refused with an error of one line."""

from __future__ import annotations

import os
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.limits import WEIGHTS_VARIABLE, max_weights_bytes
from actionstream.models.weights.pickled import asked_for

LONGEST_NAME = 500
WRAPPERS = ("state_dict", "model_state")
NEEDED = re.compile(
    r"collections OrderedDict"
    r"|torch(\.storage)? \w*Storage"
    r"|torch (float16|bfloat16|float32|float64|int64|bool|device|Size)"
    r"|torch\._utils _rebuild_(tensor|tensor_v2|parameter)"
    r"|torch\.nn\.parameter Parameter"
)
"""What a pickle of tensors and plain values may import; torch allows a little more, such as bytes of any size."""


def read_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a file by their names in it: safetensors, or what torch.save wrote.

    They may be under "state_dict" or "model_state", beside other plain values. ValueError for anything else: a pickle
    that imports more than tensors and plain values, a file that unpacks to more than its size, a corrupt file.
    """
    path = Path(path)
    if not path.is_file():
        raise ActionstreamError(f"no file {path}")
    size = path.stat().st_size
    if size > (most := max_weights_bytes()):
        raise ActionstreamError(
            f"{path} has {size:,} bytes; expected {most:,} at most for weights ({WEIGHTS_VARIABLE})"
        )
    try:
        weights = unwrapped(_read(path))
        _check_values(weights)
    except Exception as error:  # a corrupt file may raise anything in its reader
        why = (str(error) or "it is empty").splitlines()[0][:200]
        raise ActionstreamError(f"{path} cannot be read as weights: {why}") from error
    return weights


def unwrapped(weights: Any) -> dict[str, Tensor]:
    """The tensors in the object of a file; ValueError where it is something else."""
    for wrapper in WRAPPERS:
        if isinstance(weights, Mapping) and isinstance(inner := weights.get(wrapper), Mapping):
            weights = inner
    if not isinstance(weights, Mapping) or not weights:
        raise ActionstreamError(f"it holds {type(weights).__name__ if weights else 'nothing'}, not weights by name")
    for key, tensor in weights.items():
        if not isinstance(key, str):
            raise ActionstreamError(f"it holds no weights by name: a name is {type(key).__name__}")
        if len(key) > LONGEST_NAME or not key.isprintable():
            raise ActionstreamError(f"it holds no weights by name: {key[:40]!r} ... has {len(key)} characters")
        if not isinstance(tensor, Tensor) or tensor.layout is not torch.strided or tensor.is_quantized:
            raise ActionstreamError(f"it holds no weights by name: {key!r} is {type(tensor).__name__}")
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise ActionstreamError(f"{key} says that it has {tensor.numel():,} values, which are not in the file")
    size = sum(tensor.numel() * tensor.element_size() for tensor in weights.values())
    if size > max_weights_bytes():  # views of the same values
        raise ActionstreamError(f"its weights have {size / 2**30:.1f} GiB, and it has fewer values than that")
    return dict(weights)


def _check_values(weights: Mapping[str, Tensor]) -> None:
    for key, tensor in weights.items():
        if tensor.device.type != "cpu":
            raise ActionstreamError(f"{key} has no values in the file")
        if not tensor.is_floating_point() and not key.endswith("num_batches_tracked"):
            raise ActionstreamError(f"{key} is of {tensor.dtype}, and weights are floating point numbers")
        if tensor.is_floating_point() and not tensor.float().isfinite().all():
            raise ActionstreamError(f"{key} has values that are no numbers")


def _read(path: Path) -> Any:
    from safetensors.torch import load_file

    with path.open("rb") as file:
        start = file.read(16)
    if start[8:9] == b"{":  # safetensors: eight bytes of length, then JSON
        return load_file(path)
    if not start.startswith((b"PK", b"\x80")):
        raise ActionstreamError("it is neither safetensors nor what torch.save writes")
    for module_and_name in _asked_for(path, zipped=start.startswith(b"PK")):
        if not NEEDED.fullmatch(module_and_name):
            asked = module_and_name.replace(" ", ".")
            raise ActionstreamError(
                f"it asks for {asked}, and nothing but tensors and plain values is taken from a file"
            )
    with warnings.catch_warnings(action="ignore"):  # warnings of pickle protocols
        return torch.load(path, map_location="cpu", weights_only=True)


def _asked_for(path: Path, *, zipped: bool) -> Iterator[str]:
    """The names that the pickles in a file would import, as "module name"; nothing is run."""
    if zipped:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            stored = all(part.compress_type == zipfile.ZIP_STORED for part in parts)
            if not stored or sum(part.file_size for part in parts) > path.stat().st_size:
                raise ActionstreamError("it unpacks to more than it is, which no file of torch.save does")
            for part in parts:
                if part.filename.endswith(".pkl"):
                    with archive.open(part) as file:
                        yield from asked_for(file)
    else:
        with path.open("rb") as file:
            for _ in range(5):  # magic number, protocol, system, the object, names of storages; then come the values
                yield from asked_for(file)
