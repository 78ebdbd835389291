"""Limits the threads of torch while other threads work."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def core_left_free() -> Generator[None]:
    """In this context torch has one thread less than there are cores, so that another thread can decode.

    The threads of an operator spin until the slowest one is done: if one has no core, all are slow. Without torch
    imported, this does nothing.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(before, (os.cpu_count() or 2) - 1)))
    try:
        yield
    finally:
        torch.set_num_threads(before)
