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
from dataclasses import dataclass
from glob import escape, glob
from pathlib import Path
from time import perf_counter

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import bytes_of_files


@dataclass
class Upload:
    """A file of a client in a folder of its own; `arrived` is None while it is received."""

    folder: Path
    client: str
    name: str = ""
    arrived: float | None = None

    @property
    def path(self) -> Path:
        return self.folder / "upload"


class Uploads:
    """The uploads that are received, or wait until a session takes them.

    Each has a folder with a random name, also where two visitors send the same bytes: nobody can name, take or remove
    the upload of another.
    """

    def __init__(self, folder: Path, *, max_per_client: int):
        self.folder = folder
        folder.mkdir()
        self._max_per_client = max_per_client
        self._lock = threading.Lock()
        self._all: dict[str, Upload] = {}

    def __contains__(self, path: object) -> bool:
        """Whether this is the path of an upload that has arrived and waits."""
        upload = self._all.get(path) if isinstance(path, str) else None
        return upload is not None and upload.arrived is not None

    @contextmanager
    def receive(self, client: str) -> Iterator[Upload]:
        """A place for an upload, which waits from the end of the block on; an error in the block removes it.

        ActionstreamError where the client has too many.
        """
        upload = Upload(self.folder / secrets.token_hex(16), client)
        with self._lock:
            if sum(each.client == client for each in self._all.values()) >= self._max_per_client:
                raise ActionstreamError(
                    f"{self._max_per_client} uploads wait, which is the most; try again in a minute"
                )
            self._all[str(upload.path)] = upload
        try:
            upload.folder.mkdir(mode=0o700)
            yield upload
        except BaseException:  # any: also a request that breaks off leaves nothing
            self._remove(upload)
            raise
        upload.arrived = perf_counter()

    def take(self, path: str, folder: Path, suffixes: Sequence[str], *, max_megabytes: float) -> tuple[Path, str]:
        """Move an upload into `folder`, under a name of ours.

        Returns where it is, and what it was called. The path came from the page, or from anybody: ActionstreamError
        where it is no upload that waits, is too large, or ends in none of the suffixes.
        """
        with self._lock:
            upload = self._all.pop(path) if path in self else None
        if upload is None:
            raise ActionstreamError("that is no file that was uploaded here; choose one again")
        try:
            if upload.path.stat().st_size > max_megabytes * 1e6:
                raise ActionstreamError(f"{upload.name} is larger than {max_megabytes:g} MB, which is the most")
            suffix = Path(upload.name).suffix
            if suffix.lower() not in suffixes:
                kind = f"a file of type {suffix}" if suffix else "a file without a suffix"
                raise ActionstreamError(f"{upload.name} is {kind}; expected {', '.join(suffixes)}; choose another one")
            kept = folder / f"{secrets.token_hex(8)}{suffix.lower()}"
            upload.path.rename(kept)
            return kept, upload.name
        finally:
            self._remove(upload)

    def remove_forgotten(self, seconds: float) -> None:
        """Remove the uploads that have waited so long."""
        now = perf_counter()
        with self._lock:
            old = [each for each in self._all.values() if each.arrived is not None and now - each.arrived > seconds]
        for each in old:
            self._remove(each)

    def _remove(self, upload: Upload) -> None:
        with self._lock:
            self._all.pop(str(upload.path), None)
        shutil.rmtree(upload.folder, ignore_errors=True)


class Progress:
    """How much of each upload has come since the page last asked, for uploads that are received now.

    Gradio's parser calls `append` and `set_done`. Gradio's own class keeps each identifier that anybody asks for.
    """

    def __init__(self) -> None:
        self._new: dict[str, tuple[str, int]] = {}

    def __contains__(self, upload_id: str) -> bool:
        return upload_id in self._new

    @contextmanager
    def track(self, upload_id: str) -> Iterator[None]:
        self._new[upload_id] = "", 0
        try:
            yield
        finally:
            self._new.pop(upload_id, None)

    def append(self, upload_id: str, name: str, data: bytes) -> None:
        self._new[upload_id] = name, self._new.get(upload_id, ("", 0))[1] + len(data)

    def set_done(self, upload_id: str) -> None:
        """The end of `track` says it."""

    def pop(self, upload_id: str) -> tuple[str, int]:
        """The name of the file, and the bytes since the last call."""
        name, num_bytes = self._new.get(upload_id, ("", 0))
        if upload_id in self._new:
            self._new[upload_id] = name, 0
        return name, num_bytes


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
            there = bytes_of_files(glob(f"{escape(str(self._folder))}/**", recursive=True, include_hidden=True))
            if there + self._reserved + num_bytes > most:
                raise ActionstreamError("the server has no room for more videos; try again later")
            self._reserved += num_bytes
        try:
            yield
        finally:
            with self._lock:
                self._reserved -= num_bytes
