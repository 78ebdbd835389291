"""A text file whose writer never waits for its reader."""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from tempfile import TemporaryFile
from typing import BinaryIO, Protocol

MEMORY_BYTES = 4 << 20
DISK_BYTES = 256 << 20
PIECE_BYTES = 4096
"""A pipe takes as many bytes as a whole or not at all, so that no line is cut when the program is killed."""
LIMITED_SECONDS = 0.3
"""How long what waits may still take, when an error or a signal ends the program."""


class Encoded(Protocol):
    """What `SpooledText` asks of a text file; and `flush`, `fileno` and `isatty` where it has a descriptor."""

    @property
    def encoding(self) -> str: ...

    @property
    def errors(self) -> str | None: ...


class SpooledText:
    """Text for a file, which a thread writes: `write` does not wait, however slow the reader of the file is.

    Text that waits is in memory, up to `memory_bytes`, and then in a temporary file, up to `disk_bytes`; the order
    stays. Where both are full, or the disk has no room, whole texts are dropped until half of what waits is written;
    `say` tells when that begins, and how many there were when it ends.

    An error of the file, such as BrokenPipeError, is raised by the next `write`, or by `close`. It takes the place of
    sys.stdout, also for rich's Console. As a context it closes: at an error or a signal within LIMITED_SECONDS.

    name   of the file, for messages
    write  writes bytes to the file; default: by its descriptor
    """

    def __init__(
        self,
        file: Encoded,
        *,
        name: str,
        say: Callable[[str], None],
        write: Callable[[bytes], None] | None = None,
        memory_bytes: int = MEMORY_BYTES,
        disk_bytes: int = DISK_BYTES,
    ):
        self._file = file
        self.encoding, self.errors = file.encoding, file.errors or "strict"
        self._name = name
        self._say = say
        if write is None:
            file.flush()  # type: ignore[attr-defined]
            write = partial(write_all, self.fileno())
        self._write = write
        self._memory: deque[bytes] = deque()
        self._memory_bytes = memory_bytes
        self._disk = DiskQueue(disk_bytes)
        self._waiting = 0  # bytes, with those that are just written
        self._num_dropped = 0  # texts, since the dropping began
        self._go_on_at = 0  # bytes that may wait when the dropping ends
        self._error: OSError | None = None
        self._told = False  # whether a caller has seen the error
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"writer of {name}", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Let a text be written soon; returns its length."""
        data = text.encode(self.encoding, self.errors)
        news = None
        with self._changed:
            self._raise_error()
            if self._num_dropped and self._waiting <= self._go_on_at:
                news, self._num_dropped = self._went_on(), 0
            if self._num_dropped == 0 and self._keep(data):
                self._waiting += len(data)
                self._changed.notify_all()
            else:
                if not self._num_dropped:
                    self._go_on_at = self._waiting // 2
                    news = f"{self._name} is stalled: {self._waiting:,} bytes wait, and what comes now is dropped"
                self._num_dropped += 1
        if news is not None:
            self._say(news)
        return len(text)

    def flush(self) -> None:
        """Nothing to do: the thread writes what it gets at once."""

    def isatty(self) -> bool:
        return self._file.isatty()  # type: ignore[attr-defined]

    def fileno(self) -> int:
        return self._file.fileno()  # type: ignore[attr-defined]

    def close(self, seconds: float | None = None) -> None:
        """Wait until all is written, for a number of seconds or without limit, and end the thread."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting == 0 or self._closed, seconds)
            if self._num_dropped:
                self._say(self._went_on())
            if self._waiting and not self._closed:
                self._say(f"{self._name} is stalled: {self._waiting:,} bytes that waited are lost")
            self._num_dropped = 0
            self._closed = True
            self._disk.close()
            self._changed.notify_all()
            if not self._told:
                self._raise_error()

    def __enter__(self) -> SpooledText:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            with suppress(OSError):  # the first error is the one to tell
                self.close(LIMITED_SECONDS)

    def _raise_error(self) -> None:
        if self._error is not None:
            self._told = True
            raise self._error

    def _went_on(self) -> str:
        return f"{self._name} goes on; {self._num_dropped:,} lines were dropped"

    def _keep(self, data: bytes) -> bool:
        """Put data behind all that waits; returns whether there is room."""
        if len(self._disk) == 0 and self._waiting + len(data) <= self._memory_bytes:
            self._memory.append(data)
            return True
        return self._disk.put(data)

    def _run(self) -> None:
        while True:
            data = b""
            error: OSError | None = None
            try:
                with self._changed:
                    self._changed.wait_for(lambda: self._memory or len(self._disk) or self._closed)
                    if self._closed:
                        return
                    data = self._memory.popleft() if self._memory else self._disk.take(PIECE_BYTES)
                self._write(data)
            except OSError as failure:  # of the file, or of the disk with what waits
                error = failure
            with self._changed:
                self._waiting = 0 if error else self._waiting - len(data)
                self._error = error
                self._closed = self._closed or error is not None
                self._changed.notify_all()


class DiskQueue:
    """Lines in a temporary file without a name, first in, first out; the file has at most `size` bytes."""

    def __init__(self, size: int):
        self._size = size
        self._file: BinaryIO | None = None
        self._begin = self._end = 0  # counted on and on; the place in the file is the rest of a division by the size

    def __len__(self) -> int:
        return self._end - self._begin

    def put(self, data: bytes) -> bool:
        """Add data; returns whether there was room for all of it, else nothing is added."""
        if len(self) + len(data) > self._size:
            return False
        at = self._end % self._size
        parts = (data[: self._size - at], at), (data[self._size - at :], 0)
        try:
            if self._file is None:
                self._file = TemporaryFile(buffering=0)  # noqa: SIM115  open until it is empty
            whole = all(os.pwrite(self._file.fileno(), part, place) == len(part) for part, place in parts if part)
        except OSError:  # the disk is full, or there is none
            return False
        if whole:
            self._end += len(data)
        return whole

    def take(self, count: int) -> bytes:
        """Remove and return the first lines: about `count` bytes, but always whole lines."""
        data = self._read(count)
        while b"\n" not in data and len(data) < len(self):
            count *= 2
            data = self._read(count)
        data = data[: data.rfind(b"\n") + 1] or data
        self._begin += len(data)
        if len(self) == 0:
            self.close()
        return data

    def close(self) -> None:
        """Give the disk back, with what waits there."""
        self._begin = self._end
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self, count: int) -> bytes:
        assert self._file is not None
        count = min(count, len(self))
        at = self._begin % self._size
        before_end = min(count, self._size - at)
        number = self._file.fileno()
        return os.pread(number, before_end, at) + os.pread(number, count - before_end, 0)


def write_all(number: int, data: bytes) -> None:
    """Write to a descriptor past all buffers: a buffer's lock, held while the reader stalls, would abort the exit."""
    while data:
        try:
            data = data[os.write(number, data) :]
        except BlockingIOError:  # the descriptor is one that does not wait
            select.select([], [number], [])
