"""Which files and folders are videos, by their names: one rule for training, `frames`, `label` and live."""

from __future__ import annotations

import re
from pathlib import Path

from actionstream.models.video.pictures import WRONG, open_picture

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".flv", ".mkv", ".webm", ".avi", ".divx", ".wmv", ".asf"),
    *(".mpg", ".mpeg", ".m2v", ".vob", ".ts", ".mts", ".m2ts", ".mxf", ".dv", ".ogv", ".ogg", ".ogm", ".rm", ".rmvb"),
    *(".nut", ".ivf", ".y4m", ".h264", ".264", ".h265", ".265", ".hevc", ".mjpeg", ".mjpg", ".gif"),
)
PICTURE_SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".jfif",
    ".jpe",
    ".png",
    ".apng",
    ".bmp",
    ".webp",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
    ".pnm",
)
ANIMATED_SUFFIXES = (".png", ".apng", ".webp", ".tif", ".tiff")
"""Suffixes of pictures that may have several frames or pages."""
NOTES = (".txt", ".md", ".json", ".csv", ".xml", ".yaml", ".yml", ".toml", ".pdf", ".html")
"""Suffixes of files with notes, which may lie beside videos."""
FEATURES = ".npy"
"""Suffix of files that `actionstream features` writes, a map for each segment of a video: float (T, D, h, w)."""


def is_hidden(path: Path) -> bool:
    """Whether a name begins with a dot: ._clip.mp4 and .DS_Store of macOS, and files that are still being written."""
    return path.name.startswith(".")


def by_number(path: Path) -> list[tuple[int, str]]:
    """A key that sorts 2.png before 10.png."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder in the order of the numbers in their names."""
    files = (path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES and not is_hidden(path))
    return sorted(files, key=by_number)


def passed_over(folder: Path) -> str | None:
    """A warning where a folder of pictures has other files, except notes and hidden files; else None."""
    known = (*PICTURE_SUFFIXES, *NOTES)
    others = [path for path in folder.iterdir() if path.is_file() and path.suffix.lower() not in known]
    names = sorted(path.name for path in others if not is_hidden(path) and path.name != "Thumbs.db")
    if not names:
        return None
    return f"{folder} has files that are no pictures by their suffix: {len(names)} ({', '.join(names[:3])})"


def is_video(path: Path) -> bool:
    """Whether a path is a video: a file of VIDEO_SUFFIXES, an animated picture, or a folder of pictures."""
    if is_hidden(path):
        return False
    if path.is_dir():
        return bool(pictures_in(path))
    return path.suffix.lower() in VIDEO_SUFFIXES or (path.suffix.lower() in ANIMATED_SUFFIXES and is_animated(path))


def is_animated(path: Path) -> bool:
    """Whether a picture has several frames or pages; False where it cannot be read."""
    try:
        with open_picture(path) as picture:
            return getattr(picture, "n_frames", 1) > 1
    except WRONG:
        return False
