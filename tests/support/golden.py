"""The outputs of public reference code, and the files of weights that they were computed with."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import torch
from helpers import shared

AGREEMENT = 2e-5
"""Of a network in float32 with the reference in float64. Rounding alone gives a twentieth of it, another network a
thousand times as much (see README.md beside the shared data)."""


class Golden:
    """A folder of the shared golden data: one network as its project publishes it."""

    def __init__(self, folder: str):
        path = shared("golden", folder)
        spec = importlib.util.spec_from_file_location("fill", shared("golden", "fill.py"))
        self.fill = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.fill)
        self.manifest = json.loads((path / "manifest.json").read_text())
        self.arrays = None
        if (path / "golden.npz").exists():
            with np.load(path / "golden.npz") as arrays:
                self.arrays = dict(arrays)

    def file(self, path: Path) -> Path:
        """The weights as a user has them: wrapped, prefixed, pickled."""
        if self.arrays is None:  # it has to load, no more
            weights = {key: np.zeros(shape, dtype) for key, shape, dtype in self.manifest["keys"]}
        else:
            weights = self.fill.state(self.manifest["keys"], self.manifest["fill_scale"])
        contents = {key: torch.from_numpy(np.asarray(value)) for key, value in weights.items()}
        for wrapper, what in (self.manifest["checkpoint_wrapper"] or {}).items():
            if what == "<keys>":
                contents = {"epoch": 1, wrapper: contents, "meta": {"name": "run"}}
        torch.save(contents, path)
        return path

    def keys(self) -> dict[str, torch.Tensor]:
        return {key: torch.empty(shape, device="meta") for key, shape, _ in self.manifest["keys"]}

    def suffixes(self) -> list[str]:
        """Of its inputs and outputs: the full size, and small ones."""
        return ["", *(case["suffix"] for case in self.manifest["extra_cases"])]

    def clips(self, suffix: str) -> torch.Tensor:
        """The inputs as (B, T, C, H, W)."""
        shapes = {case["suffix"]: case["input_shape"] for case in self.manifest["extra_cases"]}
        shape = shapes.get(suffix, self.manifest["input_shape"])
        given = torch.from_numpy(self.fill.inputs(self.manifest["input_seed"], shape))
        layout = self.manifest["input_layout"]
        if given.dim() == 5:
            return given.transpose(1, 2)
        num_snippets = int(re.search(r"T=(\d+)", layout)[1])
        return given.unflatten(1, (-1, 3)) if "(T*C)" in layout else given.unflatten(0, (-1, num_snippets))
