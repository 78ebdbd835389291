"""What goes wrong, told to the user: mistakes in one line, oddities once, and where a fault of ours was."""

from __future__ import annotations

import traceback
import warnings
from functools import cache
from pathlib import Path
from types import FrameType

PACKAGE = "actionstream"


class ActionstreamError(ValueError):
    """Something that the user can put right: the message says what is given, what is allowed, and what to do.

    The command line prints it in one line. Any other exception but OSError, which is of files, networks and devices, is
    a fault of the program.
    """


def is_mistake(error: BaseException) -> bool:
    """Whether an error tells the user what to do otherwise."""
    return isinstance(error, ActionstreamError | OSError)


def where(error: BaseException) -> str:
    """The last line of ours that an error passed, such as "actionstream/cli/main.py, line 7"; empty where none is."""
    lines = [
        f"{frame.f_globals['__package__'].replace('.', '/')}/{Path(frame.f_code.co_filename).name}, line {number}"
        for frame, number in traceback.walk_tb(error.__traceback__)
        if _is_ours(frame)
    ]
    return lines[-1] if lines else ""


def _is_ours(frame: FrameType) -> bool:
    package = frame.f_globals.get("__package__") or ""
    return package.partition(".")[0] == PACKAGE


@cache
def warn_once(message: str) -> None:
    """Warn once, though many ask: the filter of warnings forgets what it has shown."""
    warnings.warn(message, RuntimeWarning, stacklevel=3)
