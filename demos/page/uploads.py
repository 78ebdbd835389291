"""What a visitor uploads: room for it, and the check of each file before it is taken.

Its format is checked when it is opened (`models/video/containers.py`), its length and height in `clips.py`, what a
checkpoint costs in `cost.py`, and the request that brings it in `guard.py`.
"""

from __future__ import annotations

import secrets
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from actionstream.models.common.errors import ActionstreamError


def take(
    upload: str, uploads: Path, folder: Path, suffixes: Sequence[str], *, max_megabytes: float
) -> tuple[Path, str]:
    """Move a file that Gradio has received in `uploads` into `folder`, under a name of ours.

    Returns where it is, and what it was called. The text came from the page, or from anybody: ActionstreamError where
    it is no file that was uploaded, is too large, or ends in none of the suffixes.
    """
    path = Path(upload)
    try:
        known = path.resolve(strict=True).is_relative_to(uploads.resolve())
        known = known and path.is_file() and not path.is_symlink()
    except (OSError, ValueError):  # no file, or no name of one
        known = False
    if not known:
        raise ActionstreamError("that is no file that was uploaded here; choose one again")
    if path.stat().st_size > max_megabytes * 1e6:
        path.unlink()
        raise ActionstreamError(f"{path.name} is larger than {max_megabytes:g} MB, which is the most")
    suffix = path.suffix.lower()
    if suffix not in suffixes:
        path.unlink()
        kind = f"a file of type {path.suffix}" if path.suffix else "a file without a suffix"
        raise ActionstreamError(f"{path.name} is {kind}; expected {', '.join(suffixes)}; choose another one")
    kept = folder / f"{secrets.token_hex(8)}{suffix}"
    shutil.move(path, kept)
    return kept, path.name


class Room:
    """The bytes that all files of a server take, those that are being received included."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._lock = threading.Lock()
        self._reserved = 0

    @contextmanager
    def reserve(self, num_bytes: int, *, most: float) -> Iterator[None]:
        """Room for so many bytes in here; ActionstreamError where all would be more than `most`."""
        with self._lock:
            there = sum(file.stat().st_size for file in self._folder.rglob("*") if file.is_file())
            if there + self._reserved + num_bytes > most:
                raise ActionstreamError("the server has no room for more videos; try again later")
            self._reserved += num_bytes
        try:
            yield
        finally:
            with self._lock:
                self._reserved -= num_bytes
