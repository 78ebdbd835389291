"""Errors and warnings for the user: mistakes in one line, warnings once, and the place of a bug in our code."""

from __future__ import annotations

import traceback
import warnings
from functools import cache
from pathlib import Path
from types import FrameType

PACKAGE = "actionstream"
FOLDERS_BY_NAME = (["kernels"], ["models"], ["demos"])
"""Folders of the repository that are packages of the same name; all other packages are in stream/."""


class ActionstreamError(ValueError):
    """A mistake that the user can correct: the message says what is given, what is allowed, and what to do.

    The command line prints it in one line. OSError is from files, networks and devices; any other exception is a bug in
    the program.
    """


def is_mistake(error: BaseException) -> bool:
    """Whether the user can correct an error; else it is a bug in the program."""
    return isinstance(error, ActionstreamError | OSError)


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
