"""The videos of an archive, by the names of their results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from actionstream.archives.remote import is_remote, list_remote
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.training.folders import videos_under
from actionstream.models.training.left_out import LeftOut
from actionstream.models.video import FEATURES

SAMPLE = "sample"


def list_videos(sources: Sequence[str], left_out: LeftOut) -> dict[str, str]:
    """The videos of files, folders of pictures, folders of videos and addresses, by name.

    A video in a folder of videos has its path there as its name, without suffix, such as "june/monday"; the name of
    another one has no folder. Files in a folder that are no videos are left out by name.

    Raises ActionstreamError where two videos would have one name.
    """
    found: dict[str, str] = {}
    for source in sources:
        for name, video in _named(source, left_out):
            if name in found:
                raise ActionstreamError(
                    f"the results of {found[name]} and {video} would both be named {name}; give them other names, or "
                    "take them one by one"
                )
            found[name] = video
    return found


def _named(source: str, left_out: LeftOut) -> list[tuple[str, str]]:
    if is_remote(source):
        return list_remote(source, left_out)
    path = Path(source)
    inside = [each for each in videos_under(path, left_out) if each.suffix != FEATURES] if path.is_dir() else []
    if not inside:
        return [(path.resolve().name if path.is_dir() else path.stem, source)]
    return [
        (each.relative_to(path).with_name(each.name if each.is_dir() else each.stem).as_posix(), str(each))
        for each in inside
    ]
