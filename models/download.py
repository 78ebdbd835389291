"""Files of publishers, fetched once into the user's cache: whole or absent."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from models.published import cached_file
from models.weight_file import LARGEST_BYTES

ATTEMPTS = 3
TIMEOUT_SECONDS = 20.0
CHUNK_BYTES = 1 << 16


def fetch(address: str, *, sha256: str = "") -> Path:
    """The file of an address, from the cache or downloaded into it; a download that broke off is gone on with.

    sha256  its hash, or the beginning of it, where that is known

    Raises ValueError when it cannot be had, with what to do, or when it is not the file that was published.
    """
    path = cached_file(address)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(f"{path}.lock", timeout=0):
                _download(address, path)
        except Timeout:
            raise ValueError(f"another process is downloading {path}; try again when it has") from None
    if not _sha256(path).startswith(sha256):
        path.unlink()
        raise ValueError(f"{address} gave another file than was published (SHA-256 {sha256}...); it was deleted")
    return path


def _download(address: str, path: Path) -> None:
    partial = path.with_name(f"{path.name}.partial")
    for _ in range(ATTEMPTS):
        try:
            _append(address, partial)
            os.replace(partial, path)
            return
        except urllib.error.HTTPError as error:
            why = f"the server says {error.code} {error.reason}"
            if error.code == 416:  # what is here is no beginning of what is there
                partial.unlink()
            elif error.code < 500:
                break
        except (OSError, http.client.HTTPException) as error:
            why = str(getattr(error, "reason", error)) or type(error).__name__
    raise ValueError(f"{address} cannot be downloaded: {why}. Get it in another way, and put it at {path}")


def _append(address: str, partial: Path) -> None:
    """Read what is missing; OSError when it ends before its time."""
    have = partial.stat().st_size if partial.exists() else 0
    headers = {"User-Agent": "actionstream", **({"Range": f"bytes={have}-"} if have else {})}
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=TIMEOUT_SECONDS) as response:
        if response.status != 206:  # from the beginning
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        if (total or 0) > LARGEST_BYTES or (total or 0) - have > shutil.disk_usage(partial.parent).free:
            raise ValueError(f"{address} has {total:,} bytes, too many for {partial.parent}, or for weights at all")
        columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
        with (
            partial.open("ab" if have else "wb") as file,
            Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress,
        ):
            task = progress.add_task(partial.stem, total=total, completed=have)
            while have <= LARGEST_BYTES and (chunk := response.read(CHUNK_BYTES)):
                file.write(chunk)
                have += len(chunk)
                progress.update(task, completed=have)
    if total is not None and have != total:
        raise OSError(f"it broke off after {have:,} of {total:,} bytes")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
