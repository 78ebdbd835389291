"""Text and JSON of files, plain or with gzip, where what is wrong with one is said in a line."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

from models.files import whole


def read_text(path: Path) -> str:
    """The text of a file; ValueError when it is not there, is cut short, or is no text in UTF-8."""
    if not path.is_file():
        raise ValueError(f"no file {path}")
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is no whole gzip file, it may have been cut short: {error}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8: {error}") from error


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all, with gzip if it is called so."""
    data = text.encode()
    with whole(path) as file:
        file.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def read_json(path: Path, *, key: str) -> dict[str, Any]:
    """The object in a JSON file, which has `key`; ValueError for anything else."""
    text = read_text(path)
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        cut = (
            ", it may have been cut short"
            if error.pos >= len(text.rstrip()) - 1 or "Unterminated" in str(error)
            else ""
        )
        raise ValueError(f"{path} is no whole JSON file{cut}: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get(key), dict):
        raise ValueError(f"{path} has no object {key!r}, which ActivityNet's layout asks for")
    return data
