"""Names of clips: <camera>/<date>/<time>_<label>_<id>.mp4, and the files beside it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from actionstream.records import EventRecord

MOST_BYTES = 80  # of a part of a name: a name may have 255
PARTIAL = ".partial"
_FILE = re.compile(
    r"(?P<stem>\d\d-\d\d-\d\d_.+_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})(_\d+)?(\.partial)?\.(mp4|jpg|json)"
)


def file_part(text: str) -> str:
    """A text as a part of a file name: letters, digits, "_", "-" and "."; never empty, and it begins with none of these
    signs but "_"."""
    safe = re.sub(r"[^\w.-]+", "-", text).strip(".-")
    return safe.encode()[:MOST_BYTES].decode(errors="ignore").rstrip(".-") or "unnamed"


def stem_of(record: EventRecord) -> PurePosixPath:
    """The path of an event's clip in the folder of clips, without a suffix; date and time are in UTC."""
    start = datetime.fromtimestamp(record.start_wall, UTC)
    name = f"{start:%H-%M-%S}_{file_part(record.label)}_{record.id}"
    return PurePosixPath(file_part(record.camera), f"{start:%Y-%m-%d}", name)


def part_of(stem: Path, number: int) -> Path:
    """The file of a part of a clip; the parts are counted from 1."""
    return stem.with_name(f"{stem.name}.mp4" if number == 1 else f"{stem.name}_{number}.mp4")


def partial(path: Path) -> Path:
    """Where a file is written before it is whole."""
    return path.with_name(f"{path.stem}{PARTIAL}{path.suffix}")


def stem_of_file(path: Path) -> Path | None:
    """The stem of the clip that a file belongs to; None for a file that is not of a clip."""
    match = _FILE.fullmatch(path.name)
    if match is None:
        return None
    stem = path.with_name(match["stem"])
    try:
        start_of(stem)
    except ValueError:  # 99-99-99 is no time
        return None
    return stem


def start_of(stem: Path) -> float:
    """The start of a clip's event in seconds since 1970, to the second."""
    return datetime.strptime(f"{stem.parent.name} {stem.name[:8]} +0000", "%Y-%m-%d %H-%M-%S %z").timestamp()
