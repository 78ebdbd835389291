"""Exports in the user's cache, made once for each checkpoint."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from actionstream.models.common.cache import cache_folder
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.extras import needs
from actionstream.models.common.processes import leave_with_parent
from actionstream.models.locate import CHECKPOINTS, Located, Model, locate
from actionstream.models.weights.loading import load

FORMAT = 1
"""Increase it when cached exports must be made again."""


def key(model: Model, *, weights: str | os.PathLike[str] | None = None, **loading: Any) -> str:
    """The cache key of a model that is loaded with these arguments of `models.load`: a hash of all it depends on."""
    digest = hashlib.sha256()
    found = locate(model, weights=weights)
    file = found.file(*CHECKPOINTS, "published", "network")
    if found.kind != "published":  # the name of a published model identifies it; its file may not be here
        digest.update(file.read_bytes())
    name = found.name if found.kind in ("published", "network") else ""
    rest = {word: value for word, value in loading.items() if value is not None}
    digest.update(json.dumps([FORMAT, name, rest], sort_keys=True).encode())
    return digest.hexdigest()[:32]


def find_export(model: Model, **loading: Any) -> Path | None:
    """The .onnx file of a model, from the package or the cache; None where there is none.

    Raises ActionstreamError for a model that does not exist or cannot be exported.
    """
    found = locate(model, weights=loading.pop("weights", None))
    is_shipped = found.kind == "packaged" and not loading
    path = found.file("packaged").with_suffix(".onnx") if is_shipped else _place(key(found, **loading))
    return path if path.is_file() else None


def make_export(model: Model, **loading: Any) -> Path:
    """`find_export`, but makes a missing file. A second process waits for the first, and uses its file."""
    found = locate(model, weights=loading.pop("weights", None))
    there = find_export(found, **loading)
    if there is not None:
        return there
    needs("export", instead=f"export {found} where it is, and run the file")
    from filelock import FileLock

    from actionstream.models.export.files import export

    of = key(found, **loading)
    path = _place(of)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not path.is_file():
                network, card = load(found, **loading)
                if not network.streams:
                    raise ActionstreamError(
                        f"{found} needs whole clips; live it runs in a window, with --runtime torch"
                    )
                export(network, card, path, checkpoint=of)
    except OSError as error:
        raise ActionstreamError(
            f"{path} cannot be written ({error}); ACTIONSTREAM_CACHE names another folder"
        ) from error
    return path


def _place(of: str) -> Path:
    return cache_folder() / "exports" / f"{of}.onnx"


if __name__ == "__main__":  # in the background, as a child of the process that labels
    if hasattr(os, "nice"):
        os.nice(10)
    leave_with_parent()
    located, arguments = json.loads(sys.argv[1])
    try:
        make_export(Located(**{**located, "path": Path(located["path"])}), **arguments)
    except (ActionstreamError, OSError) as error:
        sys.exit(str(error))
