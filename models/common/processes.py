"""Processes: whether one runs, and child processes that end with their parent."""

from __future__ import annotations

import os
import threading
import time


def is_running(pid: int) -> bool:
    """Whether a process of this machine runs; True where the system does not tell."""
    if os.name == "nt":  # where signal 0 is Ctrl-C
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def leave_with_parent() -> None:
    """End this process within seconds after its parent ends, even if the parent is killed."""
    parent = os.getppid()

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=look, name="leave with parent", daemon=True).start()
