"""Files that are written whole or not at all, and text that is read however it was saved."""

from __future__ import annotations

import gzip
import os
import zlib
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


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 with a byte order mark, plain or with gzip (.gz); the mark is left out.

    Lines end in newlines, whatever they end in there.

    Raises ValueError when the file is not there, is cut short, or is other text.
    """
    if not path.is_file():
        raise ValueError(f"{path} is a folder; expected a file" if path.is_dir() else f"no file {path}")
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is no whole gzip file, it may have been cut short: {error}") from error
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        return text.replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path} is not text in UTF-8 (line {line}: {error}); save it as UTF-8") from error
