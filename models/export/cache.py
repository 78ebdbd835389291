"""Exports that are kept in the user's cache, made once for each checkpoint."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from actionstream.models.cache import cache_folder
from actionstream.models.errors import ActionstreamError
from actionstream.models.processes import leave_with_parent
from actionstream.models.weights.checkpoint import PACKAGED, resolve
from actionstream.models.weights.loading import load

FORMAT = 1
"""Counted up when an export of the same checkpoint is to be made anew."""


def key(model: str | os.PathLike[str], **loading: Any) -> str:
    """What a checkpoint, loaded with these arguments of `models.load`, is known by: a hash of what it depends on."""
    digest = hashlib.sha256()
    name, weights = os.fspath(model), loading.get("weights")
    file = resolve(name) if weights is None else Path(weights)
    if isinstance(file, Path):
        digest.update(file.read_bytes())
        name = "" if weights is None else name
    rest = {word: value for word, value in loading.items() if word != "weights" and value is not None}
    digest.update(json.dumps([FORMAT, name, rest], sort_keys=True).encode())
    return digest.hexdigest()[:32]


def find_export(model: str | os.PathLike[str], **loading: Any) -> Path | None:
    """The .onnx file of a checkpoint, the one that comes with the package or one in the cache; None where none is."""
    try:
        path = None if loading else resolve(model)
        if isinstance(path, Path) and path.parent == PACKAGED:
            path = path.with_suffix(".onnx")
        else:
            path = _place(key(model, **loading))
    except (ValueError, OSError):  # there is no such model, as `actionstream.models.load` will say better
        return None
    return path if path.is_file() else None


def make_export(model: str | os.PathLike[str], **loading: Any) -> Path:
    """The same, made if there is none. A second process waits for the first, and does not make it again."""
    there = find_export(model, **loading)
    if there is not None:
        return there
    from filelock import FileLock

    from actionstream.models.export.files import export

    of = key(model, **loading)
    path = _place(of)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not path.is_file():
                network, card = load(model, **loading)
                if not network.streams:
                    raise ActionstreamError(
                        f"{model} needs whole clips; live it runs in a window, with --runtime torch"
                    )
                export(network, card, path, checkpoint=of)
    except OSError as error:
        raise ActionstreamError(
            f"{path} cannot be written ({error}); ACTIONSTREAM_CACHE names another folder"
        ) from error
    return path


def _place(of: str) -> Path:
    return cache_folder() / "exports" / f"{of}.onnx"


if __name__ == "__main__":  # in a process of its own, beside one that labels
    if hasattr(os, "nice"):
        os.nice(10)
    leave_with_parent()
    name, arguments = json.loads(sys.argv[1])
    make_export(name, **arguments)
