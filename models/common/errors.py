"""What goes wrong, told to the user: mistakes in one line, oddities once, and where a fault of ours was."""

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
    """Something that the user can put right: the message says what is given, what is allowed, and what to do.

    The command line prints it in one line. Any other exception but OSError, which is of files, networks and devices, is
    a fault of the program.
    """


def is_mistake(error: BaseException) -> bool:
    """Whether an error tells the user what to do otherwise."""
    return isinstance(error, ActionstreamError | OSError)


def where(error: BaseException) -> str:
    """The last line of ours that an error passed, such as "stream/cli/main.py, line 7"; empty where there is none.

    The file is the one of the repository, wherever the package is installed.
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
    """Warn once, though many ask: the filter of warnings forgets what it has shown."""
    warnings.warn(message, RuntimeWarning, stacklevel=3)
