"""Torch with one program for the whole step: compiled here, or read from an exported .pt2 file."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from actionstream.models.card import Card
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.export.exported import KEY, Exported
from actionstream.models.export.step import Leaves, Step, describe
from actionstream.models.network import Network
from actionstream.models.networks.folding import fold_batch_norms
from actionstream.runtimes.plans import Plan
from actionstream.runtimes.pool import PoolRuntime, Run

MAX_BATCH = 8
"""Streams of a run. Nothing is tried here: torch.compile takes a minute for each size."""
Program = Callable[[Tensor, Leaves], tuple[Tensor, Leaves]]


class FunctionalRuntime(PoolRuntime):
    """Runs a torch program on a CPU; it maps pixels and state to scores and new state."""

    software = "torch"

    def __init__(self, program: Program, exported: Exported):
        super().__init__(exported, lambda _: [Plan(threads=torch.get_num_threads(), lanes=1, size=MAX_BATCH)])
        self._program = program

    @classmethod
    def compile(cls, network: Network, card: Card) -> FunctionalRuntime:
        """The step of a network with torch.compile; each new batch size is compiled, in about a minute."""
        size = card.preprocessing
        folded = fold_batch_norms(network, (1, 1, size.in_channels, size.height, size.width))
        step = Step(folded, size, "pixels").eval()
        compiled = cls(torch.compile(step, dynamic=False), describe(network, card))
        compiled.software = "compile"
        return compiled

    @classmethod
    def from_file(cls, path: Path) -> FunctionalRuntime:
        """An exported .pt2 file."""
        if not _is_program(path):  # torch would log a traceback
            raise ActionstreamError(
                f"{path} cannot be read as a program of torch.export: it is corrupt or no .pt2 file"
            )
        extra = {KEY: ""}
        try:
            program = torch.export.load(path, extra_files=extra)
        except Exception as error:  # pickle, zip and torch raise different ones
            raise ActionstreamError(f"{path} cannot be read as a program of torch.export: {error}") from error
        if not extra[KEY]:
            raise ActionstreamError(f"{path} was not written by actionstream; make one with `actionstream export`")
        return cls(program.module(), Exported.from_json(extra[KEY], path))

    def _open_lane(self, plan: Plan, number: int) -> Run:
        return self._run

    def _run(self, pixels: np.ndarray, slots: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            state = tuple(torch.from_numpy(leaf[self._rows[slots]]) for leaf in self._pool)
            scores, new_state = self._program(torch.from_numpy(np.ascontiguousarray(pixels)), state)
        for leaf, rows in zip(self._pool, new_state, strict=True):
            leaf[self._rows[slots]] = rows.numpy()
        return scores.numpy()


def _is_program(path: Path) -> bool:
    """Whether a file is a zip archive with the mark of torch.export."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(Path(name).name == "archive_format" for name in archive.namelist())
