"""A model as the engine takes it: one network, or a file that says which ones to fuse."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from actionstream.engine.scorer import Scorer
from actionstream.models.errors import ActionstreamError
from actionstream.models.weights.checkpoint import find_local
from actionstream.runtimes import open_runtime


def open_scorer(model: str | os.PathLike[str], *, gap_seconds: float | None = None, **opening: Any) -> Scorer:
    """The scorer of a model: of what `open_runtime` takes, or of a file NAME.toml of networks to fuse.

        [[network]]
        model = "rgb.safetensors"
        weight = 1

        [[network]]
        model = "flow.safetensors"
        weight = 1.5

    Paths are relative to the file. `opening` goes to `open_runtime`.
    """
    path = Path(model)
    if path.suffix != ".toml":
        return Scorer(open_runtime(model, **opening), gap_seconds=gap_seconds)
    models, weights = _read_networks(path)
    return Scorer(*(open_runtime(each, **opening) for each in models), weights=weights, gap_seconds=gap_seconds)


def _read_networks(path: Path) -> tuple[list[str], list[float]]:
    """Models, each a name or a path, and their weights."""
    if not path.is_file():
        raise ActionstreamError(f"no file {path}")
    try:
        contents = tomllib.loads(path.read_text(encoding="utf-8"))
        networks = contents["network"]
        if not networks or not isinstance(networks, list):
            raise ActionstreamError("there is none, or one without its double brackets")
        keys = {key for each in networks for key in each} - {"model", "weight"} | contents.keys() - {"network"}
        if keys:
            raise ActionstreamError(f"nobody knows {', '.join(sorted(keys))}")
        found = [(path.parent / each["model"], each["model"], float(each.get("weight", 1))) for each in networks]
    except (KeyError, TypeError, ValueError) as error:
        raise ActionstreamError(
            f"{path} does not list networks to fuse: {error}; it has [[network]] with model = and weight = for each"
        ) from error
    return [str(near) if find_local(near) else name for near, name, _ in found], [weight for *_, weight in found]
