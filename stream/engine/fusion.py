"""The scorer of a model: of one network, or of a file that lists networks to fuse."""

from __future__ import annotations

import os
from typing import Any

from actionstream.engine.fusion_file import read_networks
from actionstream.engine.scorer import Scorer
from actionstream.models.locate import Model, locate
from actionstream.runtimes.opening import open_runtime


def open_scorer(
    model: Model,
    *,
    weights: str | os.PathLike[str] | None = None,
    gap_seconds: float | None = None,
    **opening: Any,
) -> Scorer:
    """The scorer of a model: a model for `open_runtime`, or a file NAME.toml that lists networks to fuse.

        [[network]]
        model = "rgb.safetensors"
        weight = 1

        [[network]]
        model = "flow.safetensors"
        weight = 1.5

    Paths are relative to the file. `opening` goes to `open_runtime`.
    """
    found = locate(model, weights=weights)
    if found.kind != "fusion":
        return Scorer(open_runtime(found, **opening), gap_seconds=gap_seconds)
    models, shares = read_networks(found.file("fusion"))
    return Scorer(*(open_runtime(each, **opening) for each in models), weights=shares, gap_seconds=gap_seconds)
