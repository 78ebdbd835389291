"""Folders of videos: finds videos by class, by side and by name, and names the files that are no videos."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath

from actionstream.models.annotations.subsets import Side, side_of
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.training.datasets import NOT_THERE, Listing
from actionstream.models.training.left_out import LeftOut
from actionstream.models.video import FEATURES, NOTES, PICTURE_SUFFIXES, VIDEO_SUFFIXES, is_hidden, is_video

TOO_DEEP = "videos in folders that are deeper than CLASS/VIDEO"


def find_sides(root: Path) -> dict[Side, Path]:
    """The folders of the sides of a data set; none where it has no folder for training.

    Raises ValueError where two folders are the same side.
    """
    sides: dict[Side, Path] = {}
    for folder in _folders(root):
        side = side_of(folder.name)
        if side in sides:
            raise ActionstreamError(f"{sides[side]} and {folder} are both for {side}; give one of them another name")
        if side is not None:
            sides[side] = folder
    # a single folder "train" that has no folders of videos in it is a class of that name
    is_class = len(sides) == 1 and not any(_has_videos(inside) for inside in _folders(next(iter(sides.values()))))
    return sides if "training" in sides and not is_class else {}


def folder_tree(root: Path) -> Listing:
    """A folder for each class, with its videos or folders of frames: UCF101, HMDB51, and trees of 00001.jpg."""
    listing = Listing()
    left_out = listing.left_out
    for path in sorted(root.iterdir()):
        if not path.is_dir() and not is_hidden(path) and path.suffix.lower() not in NOTES:
            what = "videos" if _is_clip(path) else "files"
            left_out.add(f"{what} beside the folders of the classes", _name(path, root))
    for folder in _folders(root):
        before = len(listing)
        for path in sorted(folder.iterdir()):
            name = _name(path, root)
            if path.is_dir() and not is_hidden(path):
                if inside := list(videos_under(path, LeftOut())):
                    left_out.add(TOO_DEEP, *(_name(video, root) for video in inside))
                elif is_video(path):
                    listing.add(path, name, [folder.name], group=_group(path))
                else:
                    left_out.add("folders without a video", name)
            elif _is_clip(path):
                listing.add(path, name, [folder.name], group=_group(path))
            elif path.suffix.lower() in PICTURE_SUFFIXES and not is_hidden(path):
                left_out.add("pictures that are not in a folder of frames", name)
            else:
                _leave_out(left_out, path, name)
        if len(listing) == before:
            left_out.add("folders of classes without a clip", _name(folder, root))
    if not listing.clips:
        why = "; ".join(left_out.lines())
        raise ActionstreamError(f"{root} has no folder with videos or folders of frames in it{why and f' ({why})'}")
    return listing


def videos_under(root: Path, left_out: LeftOut) -> Iterator[Path]:
    """The videos in a folder and its subfolders, in order: files, files of features, and folders of pictures.

    Other files are left out by name. A folder of pictures is a video where no other video is in it.
    """
    return _videos_under(root, root, left_out)


def _has_videos(folder: Path) -> bool:
    """Whether a folder has videos in it, and not only frames."""
    return next(videos_under(folder, LeftOut()), None) is not None


def _videos_under(folder: Path, root: Path, left_out: LeftOut) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if _is_clip(path):
            yield path
        elif not path.is_dir():
            if path.suffix.lower() not in PICTURE_SUFFIXES:
                _leave_out(left_out, path, _name(path, root))
        elif not is_hidden(path) and not (path.is_symlink() and folder.resolve().is_relative_to(path.resolve())):
            inside = list(_videos_under(path, root, left_out))
            yield from inside or ([path] if is_video(path) else [])


def _leave_out(left_out: LeftOut, path: Path, name: str) -> None:
    """Name a file that is no video; a hidden file only where it has the suffix of a video."""
    if not is_hidden(path):
        left_out.add("files that are no videos by their suffix", name)
    elif path.suffix.lower() in VIDEO_SUFFIXES:
        left_out.add("hidden files", name)


def _name(path: Path, root: Path) -> str:
    """The name to show: the folder that was given, and the path in it."""
    return path.relative_to(root.parent).as_posix()


def _is_clip(path: Path) -> bool:
    """Whether a file is a video or has the features of one."""
    return not is_hidden(path) and path.is_file() and (path.suffix == FEATURES or is_video(path))


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not is_hidden(path))


def _group(path: Path) -> str:
    """What clips of one recording share: v_Archery_g07_c02.avi is of v_Archery_g07. Empty for other names."""
    named = re.fullmatch(r"(.+)_c\d+", path.stem)
    return named[1] if named else ""


def stem_of(name: str) -> str:
    """The name of a video without its video suffix."""
    before, dot, suffix = name.rpartition(".")
    return before if before and f"{dot}{suffix}".lower() in (*VIDEO_SUFFIXES, FEATURES) else name


class Videos:
    """The videos of a folder by the names that lists give them; each folder is read once.

    left_out  files that are no videos, once videos were looked for in folders of any depth
    """

    def __init__(self, root: Path):
        self.root = root
        self.left_out = LeftOut()
        self._known: dict[Path, dict[str, Path]] = {}

    def find(self, name: str) -> Path | None:
        """A video by its path in the folder, with its suffix or without; None where it is not there.

        Folders of frames and files of features are found by the names of their videos; v_ may stand before a name, as
        in ActivityNet, and backslashes are read as slashes.
        """
        for spelling in dict.fromkeys((name, name.replace("\\", "/"))):
            path = self.root / spelling
            known = self._in(path.parent)
            for wanted in (path.name, stem_of(path.name)):
                found = known.get(wanted) or known.get(f"v_{wanted}")
                if found is not None and (found.is_file() or is_video(found)):
                    return found
        return None

    def find_anywhere(self, name: str, folder: str = "") -> Path | None:
        """A video by its name in folders of any depth; a folder that is called `folder` comes first."""
        found = self.find(name)
        if found is not None:
            return found
        places = self.everywhere.get(name) or self.everywhere.get(f"v_{name}") or []
        return next((path for path in places if path.parent.name == folder), places[0] if places else None)

    def find_all(self, name: str) -> list[Path]:
        """All videos of a name in folders of any depth, except files of features: NAME.mp4 and the like, v_NAME.mp4.

        A name may have folders before it, and a suffix, which says nothing where the video has another one.
        """
        wanted = PurePosixPath(name.replace("\\", "/"))
        stem, folders = stem_of(wanted.name), wanted.parent.parts
        places = [*self.everywhere.get(stem, []), *self.everywhere.get(f"v_{stem}", [])]
        found = [
            path
            for path in places
            if path.suffix != FEATURES and path.parent.parts[len(path.parent.parts) - len(folders) :] == folders
        ]
        return [path for path in found if path.name == wanted.name] or found

    def _in(self, folder: Path) -> dict[str, Path]:
        """The entries of a folder, by name and by name without suffix; folders win over files."""
        if folder not in self._known:
            paths = sorted(folder.iterdir(), key=lambda path: (not path.is_dir(), path)) if folder.is_dir() else []
            known: dict[str, Path] = {path.name: path for path in paths if not is_hidden(path)}
            for path in list(known.values()):
                known.setdefault(stem_of(path.name), path)
            self._known[folder] = known
        return self._known[folder]

    @cached_property
    def everywhere(self) -> dict[str, list[Path]]:
        """All videos in folders of any depth, by name without suffix."""
        found: dict[str, list[Path]] = {}
        for path in videos_under(self.root, self.left_out):
            found.setdefault(path.name if path.is_dir() else path.stem, []).append(path)
        return found


def find_videos(videos: Videos, names: Iterable[str], left_out: LeftOut) -> dict[str, Path]:
    """The videos of these names that are there; those that are not are added to `left_out`.

    ValueError where two videos have one name.
    """
    found: dict[str, Path] = {}
    for name in names:
        paths = videos.find_all(name)
        if len(paths) > 1:
            raise ActionstreamError(f"the video {name} is there twice, {paths[0]} and {paths[1]}; remove one")
        if paths:
            found[name] = paths[0]
        else:
            left_out.add(NOT_THERE, name)
    return found
