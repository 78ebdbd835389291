"""The memory of a service goes back to the system."""

import ctypes
import sys

import pytest

from actionstream.benchmarks.memory import resident_megabytes
from actionstream.serve.memory import give_back

SIZE, COUNT = 64_000, 3000


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has such an allocator")
def test_pages_between_what_is_in_use_go_back():
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    blocks = [libc.malloc(SIZE) for _ in range(COUNT)]
    for block in blocks:
        ctypes.memset(block, 1, SIZE)
    used = [block for number, block in enumerate(blocks) if number % 10 == 9]
    for number, block in enumerate(blocks):
        if number % 10 != 9:
            libc.free(block)
    before = resident_megabytes()
    give_back()
    assert resident_megabytes() < before - SIZE * COUNT / 2e6
    for block in used:
        libc.free(block)
