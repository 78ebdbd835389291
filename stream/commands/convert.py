"""The command `convert`: another project's weights become a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.checkpoint import save
from models.labels import read_labels
from models.weights import load_weights


def convert_file(file: Path, output: Path, *, labels: str | None, **loading: Any) -> None:
    """Write the checkpoint of a file, and say what the file was; `loading` as models.weights.load_weights takes it."""
    if output.suffix != ".safetensors":
        raise ValueError(f"{output}: a checkpoint is a safetensors file; call it {output.with_suffix('.safetensors')}")
    if output.exists() and file.exists() and output.samefile(file):
        raise ValueError(f"{output} is the file to be converted; write the checkpoint to another one")
    if not output.parent.is_dir():
        raise ValueError(f"no folder {output.parent}")
    names = None if labels is None else read_labels(labels)
    network, card, found = load_weights(file, labels=names, **loading)
    save(output, network, card)
    trained = f", trained with shift {found.shift}" if found.shift else ""
    print(
        f"{file}: {found.network} in the layout {found.layout}{trained}, {len(card.labels)} classes, "
        f"{card.preprocessing.modality}; wrote {output}"
    )
