"""The int8 version of an exported file, calibrated on the sample of the package, in the user's cache."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from actionstream.models.card import Card
from actionstream.models.common.cache import cache_folder
from actionstream.models.common.extras import needs
from actionstream.models.modality import open_modality
from actionstream.sampler import Sampler
from actionstream.sources import SAMPLE, open_source

FORMAT = 1
"""Increase it when files must be made again."""


def make_int8(path: Path) -> Path:
    """The int8 version of an exported .onnx file, or the file where it is int8; made at first use, in half a minute.

    A second process waits for the first, and uses its file. A file calibrated on videos of one's own is better:
    `actionstream export --int8 --calibrate`.
    """
    needs("export", instead=f"quantise {path} where it is, and run the file")
    from filelock import FileLock

    from actionstream.models.export.int8 import quantise
    from actionstream.runtimes.onnx import open_session, read_exported

    exported = read_exported(path, open_session(path))
    if exported.precision == "int8":
        return path
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:32]
    made = cache_folder() / "exports" / f"{digest}-int8-{FORMAT}.onnx"
    made.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{made}.lock"):
        if not made.is_file():
            quantise(path, made, [_snippets(exported.card)])
    return made


def _snippets(card: Card) -> Iterator[np.ndarray]:
    """The snippets of the sample, in the rhythm of the network."""
    sampler = Sampler(card.frame_seconds)
    modality = open_modality(card.preprocessing, interval_seconds=card.interval_seconds)
    for frame in open_source(SAMPLE):
        if sampler.push(frame.time_seconds, frame.image.shape[:2]).sampled:
            snippet = modality.push(frame.image, frame.time_seconds)
            if snippet is not None:
                yield snippet
