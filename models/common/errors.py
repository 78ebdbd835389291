"""Errors and warnings for the user: mistakes in one line, warnings once, and the place of a bug in our code."""

from __future__ import annotations

import errno
import traceback
import warnings
from functools import cache
from pathlib import Path
from types import FrameType

PACKAGE = "actionstream"
FOLDERS_BY_NAME = (["kernels"], ["models"], ["demos"])
"""Folders of the repository that are packages of the same name; all other packages are in stream/."""
NO_MEMORY = (
    *("can't allocate memory", "cannot allocate memory", "not enough memory", "out of memory", "bad_alloc"),
    *("insufficient memory", "failed to allocate memory", "unable to mmap", "can't start new thread"),
    "failed to map segment",
)
"""What torch, ONNX Runtime, OpenVINO and OpenCV say in errors of other classes where memory runs out."""
LESS = "a smaller video, network or batch, or fewer streams"


class ActionstreamError(ValueError):
    """A mistake that the user can correct: the message says what is given, what is allowed, and what to do.

    The command line prints it in one line. OSError is from files, networks and devices; any other exception is a bug in
    the program.
    """


def is_mistake(error: BaseException) -> bool:
    """Whether the user can correct an error; else it is a bug in the program."""
    return isinstance(error, ActionstreamError | OSError)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or the one that it was raised from, says that memory ran out."""
    if error is None:
        return False
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno in (errno.ENOMEM, errno.EAGAIN):  # EAGAIN: of a new thread or process
        return True
    says_so = not isinstance(error, ActionstreamError) and any(words in str(error).lower() for words in NO_MEMORY)
    return says_so or is_out_of_memory(error.__cause__)


def in_a_line(error: BaseException) -> str:
    """What the user is told of an error: what to do where that helps, and where to look where it is a fault of ours."""
    if is_out_of_memory(error):
        what = " ".join(str(error).split())[:300]
        return f"there is too little memory{what and ': '}{what}; take {LESS}"
    if is_mistake(error):
        if isinstance(error, OSError) and error.strerror and error.filename is None:
            return " ".join(error.strerror.split())
        return " ".join(str(error).split())
    place = f" in {where(error)}" if where(error) else ""
    return f"a fault in actionstream{place}, please report it: " + " ".join(f"{type(error).__name__}: {error}".split())


def where(error: BaseException) -> str:
    """The last line of our code in an error's traceback, such as "stream/cli/main.py, line 7"; empty where none is.

    The file is named as in the repository, wherever the package is installed.
    """
    lines = [
        f"{_file_of(frame)}, line {number}"
        for frame, number in traceback.walk_tb(error.__traceback__)
        if _package_of(frame)[0] == PACKAGE
    ]
    return lines[-1] if lines else ""


def _file_of(frame: FrameType) -> str:
    folders = _package_of(frame)[1:]
    if folders[:1] not in FOLDERS_BY_NAME:
        folders = ["stream", *folders]
    return "/".join([*folders, Path(frame.f_code.co_filename).name])


def _package_of(frame: FrameType) -> list[str]:
    return (frame.f_globals.get("__package__") or "").split(".")


@cache
def warn_once(message: str) -> None:
    """Show a warning only once in the process; Python's warning filter may show it again."""
    warnings.warn(message, RuntimeWarning, stacklevel=3)
