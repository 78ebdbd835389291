"""The command `convert`: another project's weights become a checkpoint."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.labels import read_labels
from actionstream.models.weights.checkpoint import is_checkpoint, save
from actionstream.models.weights.convert import load_weights


def convert_file(file: Path, output: Path, *, labels: str | None, **loading: Any) -> None:
    """Convert a file to a checkpoint and describe it; `loading` is for `weights.convert.load_weights`."""
    if output.suffix != ".safetensors":
        raise ActionstreamError(
            f"{output}: a checkpoint is a safetensors file; call it {output.with_suffix('.safetensors')}"
        )
    if output.exists() and file.exists() and output.samefile(file):
        raise ActionstreamError(f"{output} is the file to be converted; write the checkpoint to another one")
    if not output.parent.is_dir():
        raise ActionstreamError(f"no folder {output.parent}")
    if is_checkpoint(file):
        raise ActionstreamError(f"{file} is a checkpoint already; `watch --model` takes it as it is")
    if not os.access(output.parent, os.W_OK):
        raise ActionstreamError(f"{output.parent} cannot be written to")
    names = None if labels is None else read_labels(labels)
    network, card, found = load_weights(file, labels=names, **loading)
    save(output, network, card)
    trained = f", trained with shift {found.shift}" if found.shift else ""
    classes = f"{len(card.labels)} classes ({card.activation})"
    rhythm = f"a frame each {card.interval_seconds:.3g} s"
    if card.num_frames > 1:
        rhythm = f"clips of {card.num_frames} frames {card.interval_seconds:.3g} s apart"
    print(
        f"{file}: {found.network} in the layout {found.layout}{trained}; {classes}, "
        f"{card.preprocessing.modality}, {rhythm}; wrote {output}"
    )
