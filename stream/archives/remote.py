"""Videos in object stores and on other file systems, such as s3://bucket/videos: whatever pyarrow or fsspec opens."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.training.left_out import LeftOut
from actionstream.models.video import VIDEO_SUFFIXES, SourceError
from actionstream.sources.address import masked

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

CHUNK_BYTES = 4 << 20
NO_VIDEOS = "files that are no videos"
LEADS_OUT = "names that lead out of the folder"


def is_remote(video: str) -> bool:
    """Whether a text is an address, and no path."""
    return "://" in video


def list_remote(address: str, left_out: LeftOut) -> list[tuple[str, str]]:
    """The videos at an address, each with its name: of one in a folder its path there, without suffix.

    What stands behind a question mark, such as s3://bucket/videos?region=eu-west-1, goes on to each video. Names of
    objects are any text: one with .. in it would have its results outside the folder of the results, and is left out.
    """
    from pyarrow.fs import FileSelector, FileType

    place, _, query = address.partition("?")
    try:
        system, path = _open(address)
        if system.get_file_info(path).type == FileType.File:
            return [(PurePosixPath(path).stem, address)]
        found = [each for each in system.get_file_info(FileSelector(path, recursive=True)) if each.is_file]
    except (OSError, ValueError) as error:
        raise ActionstreamError(f"{masked(address)} cannot be listed: {' '.join(str(error).split())}") from error
    named = []
    for each in sorted(found, key=lambda file: file.path):
        inside = PurePosixPath(each.path).relative_to(PurePosixPath(path))
        if ".." in inside.parts:
            left_out.add(LEADS_OUT, inside.as_posix())
        elif inside.suffix.lower() in VIDEO_SUFFIXES:
            video = f"{place.rstrip('/')}/{quote(inside.as_posix())}" + (f"?{query}" if query else "")
            named.append((inside.with_suffix("").as_posix(), video))
        else:
            left_out.add(NO_VIDEOS, inside.as_posix())
    if not named:
        raise ActionstreamError(
            f"{masked(address)} has no videos; their names end in {', '.join(sorted(VIDEO_SUFFIXES))}"
        )
    return named


@contextmanager
def fetched(video: str, tell: Callable[[float], object]) -> Generator[str]:
    """The path of a video: its own, or that of a copy, which is removed afterwards; SourceError where it is not there.

    tell  is called while the copy is made
    """
    if not is_remote(video):
        yield video
        return
    with tempfile.TemporaryDirectory(prefix="actionstream-") as folder:
        try:
            system, path = _open(video)
            copy = Path(folder) / PurePosixPath(path).name
            with system.open_input_stream(path) as stream, copy.open("wb") as file:
                while chunk := stream.read(CHUNK_BYTES):
                    file.write(chunk)
                    tell(0.0)
        except (OSError, ValueError) as error:
            raise SourceError(f"{masked(video)} cannot be read: {' '.join(str(error).split())}") from error
        yield str(copy)


def _open(address: str) -> tuple[FileSystem, str]:
    """The file system of an address, and the path there; characters may be percent-encoded, such as %20 for a space."""
    from pyarrow import ArrowInvalid
    from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem

    place, mark, query = address.partition("?")
    try:
        return FileSystem.from_uri(quote(place, safe="/:@%[]+,;=&$!*'()~") + mark + query)
    except ArrowInvalid as error:
        if "Unrecognized filesystem" not in str(error):
            raise
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(unquote(place))
    except ImportError as error:
        raise ValueError(str(error)) from error
    return PyFileSystem(FSSpecHandler(system)), path
