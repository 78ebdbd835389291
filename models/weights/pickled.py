"""Checks of a pickle without unpickling it: the names that it imports, and its size when it is expanded.

A pickle stores an object once and may use it many times, so 300 bytes can hold a nested tuple of 2^40 elements. It
loads at once, but to hash, compare or print it never ends.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from actionstream.models.common.errors import ActionstreamError

MAX_VALUES = 5_000_000
"""The most values of a pickle. A value counts at each use, and again in each object around it; a tensor has 180."""
MAX_DEPTH = 100
GETS = ("GET", "BINGET", "LONG_BINGET")
PUTS = ("PUT", "BINPUT", "LONG_BINPUT")
ADDS = ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD")


@dataclass(slots=True, eq=False)
class _Value:
    size: int = 1
    depth: int = 1
    used: bool = False  # as a part of another value


def asked_for(file: IO[bytes]) -> Iterator[str]:
    """The names that a pickle would import, as "module name"; nothing is run.

    ActionstreamError where it is too large or too deep, or of a kind that torch.save does not write.
    """
    stack: list[_Value] = []
    marks: list[int] = []
    memo: dict[Any, _Value] = {}
    total = 0
    for code, argument, _ in pickletools.genops(file):
        if code.name == "GLOBAL":
            yield str(argument)
        elif code.name in ("STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"):  # torch.save writes none of them
            raise ActionstreamError("it is a pickle of something else than tensors and plain values")
        if code.name in GETS:
            stack.append(memo[argument])
        elif code.name in PUTS:
            memo[argument] = stack[-1]
        elif code.name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif code.name == "DUP":
            stack.append(stack[-1])
        elif code.name == "MARK":
            marks.append(len(stack))
        else:
            parts = _taken(code, stack, marks)
            if code.name in ADDS:
                value = stack[-1]
                if value.used or value in parts:
                    raise ActionstreamError("it changes an object after another one has taken it")
            else:
                value = _Value()
                stack += [value] * len(code.stack_after)
            added = sum(part.size for part in parts)
            value.size += added
            value.depth = max([value.depth, *(1 + part.depth for part in parts)])
            for part in parts:
                part.used = True
            total += added
            if value.depth > MAX_DEPTH:
                raise ActionstreamError(f"it has objects in one another, deeper than {MAX_DEPTH}")
        total += 1
        if total > MAX_VALUES:
            raise ActionstreamError(f"it has more than {MAX_VALUES:,} values, when each is counted wherever it is used")


def _taken(code: pickletools.OpcodeInfo, stack: list[_Value], marks: list[int]) -> list[_Value]:
    """Pop the values that an opcode takes from the stack, without the object that it adds to."""
    marked = pickletools.markobject in code.stack_before
    begin = marks.pop() if marked else len(stack) - len(code.stack_before) + (code.name in ADDS)
    taken = stack[begin:]
    del stack[begin:]
    return taken
