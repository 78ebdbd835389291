"""JSON of files, plain or with gzip, where what is wrong with one is said in a line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from actionstream.models.errors import ActionstreamError
from actionstream.models.files import read_text, whole


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
        raise ActionstreamError(f"{path} is no whole JSON file{cut}: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get(key), dict):
        raise ActionstreamError(f"{path} has no object {key!r}, which ActivityNet's layout asks for")
    return data
