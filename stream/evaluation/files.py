"""JSON files, plain or with gzip, with errors of one line."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

from actionstream.models.common.checked import read_json
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import atomic_write


def write_text(path: Path, text: str) -> None:
    """Write a file by an atomic write, with gzip if its name ends in .gz."""
    data = text.encode()
    with atomic_write(path) as file:
        file.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def read_object(path: Path, *, key: str) -> dict[str, Any]:
    """The object in a JSON file, which has the object `key`; ActionstreamError for anything else."""
    data = read_json(path, dict[str, Any])
    if not isinstance(data.get(key), dict):
        raise ActionstreamError(f"{path} has no object {key!r}, which ActivityNet's layout asks for")
    return data
