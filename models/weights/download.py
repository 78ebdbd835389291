"""Downloads of published files into the user's cache, once each, with an atomic write."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from actionstream.models.common.cache import cached_file
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.limits import max_weights_bytes

ATTEMPTS = 3
TIMEOUT_SECONDS = 20.0
CHUNK_BYTES = 1 << 16


def fetch(address: str, *, sha256: str = "", check: Callable[[Path], object] | None = None) -> Path:
    """The file of an address, from the cache or downloaded into it; an interrupted download is resumed.

    sha256  its hash or the first digits of it, where known
    check   raises ValueError for a wrong file, which is then removed

    Raises ValueError, with a remedy, when the download fails or gives another file than the published one.
    """
    path = cached_file(address)
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=0):
            if not path.is_file():  # another process may have been quicker
                _download(address, path, sha256, check)
    except Timeout:
        raise ActionstreamError(f"another process is downloading {path}; try again when it is done") from None
    except OSError as error:
        raise ActionstreamError(
            f"{path} cannot be written ({error}); ACTIONSTREAM_CACHE names another folder"
        ) from error
    return path


def _download(address: str, path: Path, sha256: str, check: Callable[[Path], object] | None) -> None:
    partial = path.with_name(f"{path.name}.partial")
    instead = f"Get it in another way, and put it at {path}"
    why = ""
    for _ in range(ATTEMPTS):
        try:
            _append(address, partial)
            break
        except urllib.error.HTTPError as error:
            why = f"the server says {error.code} {error.reason}"
            if error.code == 416:  # the partial file is not shorter than the server's file
                _discard(partial)
            elif error.code < 500:
                raise ActionstreamError(f"{address} cannot be downloaded: {why}. {instead}") from error
        except (OSError, http.client.HTTPException) as error:
            why = str(getattr(error, "reason", error)) or type(error).__name__
    else:
        raise ActionstreamError(f"{address} cannot be downloaded: {why}. {instead}")
    try:
        if not _sha256(partial).startswith(sha256):
            raise ActionstreamError(f"its SHA-256 does not begin with {sha256}")
        if check is not None:
            check(partial)
    except ActionstreamError as error:
        _discard(partial)
        raise ActionstreamError(f"{address} gave another file than was published: {error}. {instead}") from error
    os.replace(partial, path)
    _discard(partial)


def _append(address: str, partial: Path) -> None:
    """Download the missing part of a file; OSError when it is truncated.

    A download is resumed only where the server says that its file has not changed (ETag or date).
    """
    version = partial.with_name(f"{partial.name}.version")
    have = partial.stat().st_size if partial.exists() and version.exists() else 0
    headers = {"User-Agent": "actionstream"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": version.read_text()}
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=TIMEOUT_SECONDS) as response:
        if response.status != 206 or not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            if response.status == 206:
                _discard(partial)
                raise OSError("the server sent another part than was asked for")
            have = 0
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdigit() else None
        most = max_weights_bytes()
        if (total or 0) > most or (total or 0) - have > shutil.disk_usage(partial.parent).free:
            raise ActionstreamError(
                f"{address} has {total:,} bytes, too many for {partial.parent}, or for weights at all"
            )
        if tag := response.headers.get("ETag") or response.headers.get("Last-Modified"):
            version.write_text(tag)
        columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
        with (
            partial.open("ab" if have else "wb") as file,
            Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress,
        ):
            task = progress.add_task(partial.stem, total=total, completed=have)
            while chunk := response.read(CHUNK_BYTES):
                file.write(chunk)
                have += len(chunk)
                progress.update(task, completed=have)
                if have > most:
                    raise ActionstreamError(f"{address} has no end, or more than {most:,} bytes")
    if total is not None and have != total:
        raise OSError(f"it broke off after {have:,} of {total:,} bytes")


def _discard(partial: Path) -> None:
    partial.unlink(missing_ok=True)
    partial.with_name(f"{partial.name}.version").unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
