"""Whose an error is: a mistake of the user, who is told in a line, or a fault of the program, which is to be mended."""

from __future__ import annotations

import dis
import traceback
from pathlib import Path
from types import FrameType

PACKAGES = ("kernels", "models", "stream", "demos")


def is_mistake(error: BaseException) -> bool:
    """Whether an error tells the user what to do otherwise.

    A ValueError or ArithmeticError does where code of ours raises it, in so many words. One that a library raises, or
    Python itself, as for arrays whose shapes do not fit, says what this code did to it, and is a fault. An OSError is
    of files, networks and devices, whoever raises it.
    """
    if isinstance(error, OSError):
        return True
    if not isinstance(error, ValueError | ArithmeticError) or error.__traceback__ is None:
        return False
    last = error.__traceback__
    while last.tb_next is not None:
        last = last.tb_next
    instruction = dis.opname[last.tb_frame.f_code.co_code[last.tb_lasti]]
    return _is_ours(last.tb_frame) and instruction == "RAISE_VARARGS"


def where(error: BaseException) -> str:
    """The last line of ours that an error has passed, such as "stream/cli.py, line 7"; empty where there is none."""
    lines = [
        f"{frame.f_globals['__package__'].replace('.', '/')}/{Path(frame.f_code.co_filename).name}, line {number}"
        for frame, number in traceback.walk_tb(error.__traceback__)
        if _is_ours(frame)
    ]
    return lines[-1] if lines else ""


def _is_ours(frame: FrameType) -> bool:
    package = frame.f_globals.get("__package__") or ""
    return package.partition(".")[0] in PACKAGES
