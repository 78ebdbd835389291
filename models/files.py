"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file to write, which takes the place of `path` when it is whole, and is gone when it cannot be."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def check_target(path: Path) -> None:
    """Make the folder of a file that is to be written when long work is done; ValueError where it could not be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK) or path.is_dir():
        raise ValueError(f"{path} cannot be written; give the path of a file in a folder of yours")


def write_text(path: Path, text: str) -> None:
    """Write a file of text in UTF-8, in a folder that is made where it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as file:
        file.write_text(text, encoding="utf-8")
