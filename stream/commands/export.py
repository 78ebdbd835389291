"""The command `export`: a checkpoint as a file for other runtimes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from rich.console import Console

from actionstream.engine.sampling import Sampling
from actionstream.models.card import Card
from actionstream.models.common.choices import ExportTarget, LiveMode, Takes
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import check_target
from actionstream.models.export.cache import key
from actionstream.models.export.exported import Exported
from actionstream.models.export.files import export
from actionstream.models.locate import locate
from actionstream.models.weights.loading import load
from actionstream.sources import open_source


def export_checkpoint(
    model: str,
    output: Path,
    *,
    to: ExportTarget,
    takes: Takes,
    chunk: int,
    int8: bool,
    calibrate: Sequence[str],
    weights: Path | None = None,
    labels: Sequence[str] | None = None,
    streaming: LiveMode | None = None,
) -> None:
    """Export a checkpoint and describe the file; `weights`, `labels` and `streaming` as in actionstream.models.load."""
    if calibrate and not int8:
        raise ActionstreamError("--calibrate is for --int8; give both, or leave it out")
    check_target(output)
    console = Console(stderr=True)
    found = locate(model, weights=weights)
    with console.status(f"exporting {found}"):
        network, card = load(found, labels=labels, streaming=streaming)
        calibration = [snippets(source, card) for source in calibrate or ["sample"]] if int8 else None
        exported = export(
            network,
            card,
            output,
            to=to,
            takes=takes,
            chunk=chunk,
            checkpoint=key(found, labels=labels, streaming=streaming),
            calibration=calibration,
        )
    print(f"{output}: {_description(exported)}; {_size(output)}")


def snippets(source: str, card: Card) -> Iterator[np.ndarray]:
    """The snippets of a video, as in the live engine: uint8 (height, width, channels)."""
    sampling = Sampling(card)
    with closing(open_source(source)) as frames:
        for frame in frames:
            sampled = sampling.push(frame)
            if sampled is not None and sampled.snippet is not None:
                yield sampled.snippet


def _description(exported: Exported) -> str:
    size = exported.card.preprocessing
    shape = {
        "pixels": f"uint8 (B, {exported.chunk}, {size.height}, {size.width}, {size.channels})",
        "pictures": f"uint8 (B, {exported.chunk}, any, any, 3)",
        "frames": f"float32 (B, {exported.chunk}, {size.in_channels}, {size.height}, {size.width})",
    }[exported.takes]
    parts = [f"{exported.card.network}, {exported.precision}, takes {exported.takes} {shape}"]
    if exported.state:
        parts.append(f"{len(exported.state)} leaves of state")
    if exported.precision == "int8":
        found = exported.card.accuracy["int8"]
        parts.append(
            f"the same label as float32 in {100 * found['same_label']:.1f} % of {found['num_scores']} scores, "
            f"probabilities off by {found['difference']:.3f}"
        )
    return "; ".join(parts)


def _size(path: Path) -> str:
    together = sum(os.path.getsize(each) for each in {path, path.with_suffix(".bin")} if each.is_file())
    return f"{together / 1e6:.1f} MB"
