"""How many threads torch takes beside others."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def core_left_free() -> Generator[None]:
    """In here torch has a thread less than there are cores, for where another thread decodes meanwhile.

    The threads of an operator wait for the slowest of them, busily: where one has no core to run on, all are slow.
    Where nothing has imported torch, nothing is to be done.
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
