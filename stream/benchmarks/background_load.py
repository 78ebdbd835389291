"""Background load: processes that compete for the CPU."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import TracebackType

from actionstream.models.common.errors import ActionstreamError

BURN = "while True: pass"


class BackgroundLoad:
    """Processes that only compute; they are stopped until `busy(True)`.

    with BackgroundLoad(2) as neighbours:
        neighbours.busy(True)
    """

    def __init__(self, count: int):
        if count and not hasattr(signal, "SIGSTOP"):
            raise ActionstreamError("busy neighbours need a system that can hold processes still, such as Linux")
        self.count = count
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def share_left(self) -> float:
        """The share of the CPU that is left to a program with a thread for each core, if the scheduler is fair."""
        cores = os.cpu_count() or 1
        return cores / (cores + self.count)

    def busy(self, on: bool) -> None:
        """Let the processes compute, or stop them."""
        for process in self._processes:
            process.send_signal(signal.SIGCONT if on else signal.SIGSTOP)

    def __enter__(self) -> BackgroundLoad:
        for _ in range(self.count):
            self._processes.append(subprocess.Popen([sys.executable, "-c", BURN]))
        self.busy(False)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        self._processes.clear()
