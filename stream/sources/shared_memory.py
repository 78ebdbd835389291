"""Memory that a program shares with a process of its own."""

from __future__ import annotations

import mmap
import os
import tempfile

import numpy as np


class SharedMemory:
    """Memory that two processes share, for one array at a time; it has no name, so that none is left behind."""

    def __init__(self, descriptor: int | None = None):
        self.descriptor = _new_memory() if descriptor is None else descriptor
        self._map: mmap.mmap | None = None

    def put(self, array: np.ndarray) -> None:
        if os.fstat(self.descriptor).st_size < array.nbytes:
            os.ftruncate(self.descriptor, array.nbytes)
        self._bytes(array.nbytes)[:] = np.ascontiguousarray(array).reshape(-1)

    def take(self, shape: tuple[int, ...]) -> np.ndarray:
        """A copy of the array of bytes that is there."""
        return self._bytes(int(np.prod(shape))).reshape(shape).copy()

    def close(self) -> None:
        os.close(self.descriptor)

    def _bytes(self, size: int) -> np.ndarray:
        if self._map is None or len(self._map) < size:
            self._map = mmap.mmap(self.descriptor, os.fstat(self.descriptor).st_size)
        return np.frombuffer(self._map, np.uint8, size)


def _new_memory() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("actionstream")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
