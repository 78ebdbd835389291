"""Memory that a program shares with a process of its own."""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from collections.abc import Iterable, Sequence

import numpy as np


class SharedMemory:
    """Memory that two processes share, for arrays one after the other; it has no name, so that none is left behind."""

    def __init__(self, descriptor: int | None = None):
        self.descriptor = _new_memory() if descriptor is None else descriptor
        self._size = 0  # of what was put
        self._map: mmap.mmap | None = None
        self._views: dict[tuple[int, tuple[int, ...]], np.ndarray] = {}

    def put(self, arrays: Sequence[np.ndarray]) -> None:
        """Replace what is there by these arrays, uint8."""
        size = sum(each.nbytes for each in arrays)
        if size > self._size:
            os.ftruncate(self.descriptor, size)
            self._size = size
        begin = 0
        for each in arrays:
            self._bytes(begin, each.shape)[:] = each
            begin += each.nbytes

    def take(self, shapes: Iterable[tuple[int, ...]]) -> list[np.ndarray]:
        """Copies of the arrays that are there, of these shapes."""
        begin, taken = 0, []
        for shape in shapes:
            taken.append(self._bytes(begin, shape).copy())
            begin += taken[-1].nbytes
        return taken

    def close(self) -> None:
        os.close(self.descriptor)

    def _bytes(self, begin: int, shape: tuple[int, ...]) -> np.ndarray:
        size = math.prod(shape)
        if self._map is None or len(self._map) < begin + size:
            self._map = mmap.mmap(self.descriptor, os.fstat(self.descriptor).st_size)
            self._views.clear()
        if (begin, shape) not in self._views:
            self._views[begin, shape] = np.frombuffer(self._map, np.uint8, size, begin).reshape(shape)
        return self._views[begin, shape]


def _new_memory() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("actionstream")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
