"""Figures for TensorBoard: an event file for each time that a run is started or resumed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Board:
    """Writes figures into a folder; a context manager. The first figures create the event file."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._writer: SummaryWriter | None = None

    def add(self, figures: Mapping[str, float], *, epoch: int) -> None:
        """Write the figures of an epoch to disk; OSError where they cannot be written.

        TensorBoard then hides what an earlier file has of this epoch and later ones: a run that was killed and resumed
        writes them again.
        """
        from torch.utils.tensorboard import SummaryWriter

        with _thread_is_quiet():
            if self._writer is None:
                self._writer = SummaryWriter(str(self._folder), purge_step=epoch)
            for name, value in figures.items():
                self._writer.add_scalar(name, value, epoch)
            self._writer.flush()

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is None:
            return
        with _thread_is_quiet():
            try:
                self._writer.close()
            except OSError:
                if error is None:
                    raise


@contextmanager
def _thread_is_quiet() -> Iterator[None]:
    """Silence errors of TensorBoard's thread: a flush raises them again in this one."""
    hook, threading.excepthook = threading.excepthook, lambda _: None
    try:
        yield
    finally:
        threading.excepthook = hook
