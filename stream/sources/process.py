"""Live sources in a process of their own.

A library that waits for a camera or a server can hang where no timeout applies (a name server, a driver, the closing
of a connection to a peer that is gone), and a corrupt stream can crash a decoder. A process can be killed.
"""

from __future__ import annotations

import json
import os
import pickle
import select
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from multiprocessing import Pipe
from multiprocessing.connection import Connection as Wire
from pathlib import Path
from typing import Any

import numpy as np

from actionstream.frame import Frame
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.preprocessing import Preprocessing, Resizable
from actionstream.sources.connection import Connection
from actionstream.sources.fork_server import Ended, ForkServer, environment_now
from actionstream.sources.head import Head, HeadReceiver
from actionstream.sources.shared_memory import SharedMemory
from actionstream.sources.source import AccessRefused, Source, SourceError

GRACE_SECONDS = 1.0  # extra time, so that the library can report its own timeout
LONGEST_POLL_SECONDS = 1e6  # the system counts milliseconds in 32 bits


class ProcessSource(Source):
    """A source that is read by a process, which starts with each iteration and is killed at its end.

    The iteration ends with a SourceError, even while the process hangs, when no frame comes for GRACE_SECONDS more than
    `connection.open_seconds` at first, or `stall_seconds` later. Times count from the first frame.

    make     opens the source in the process; it can be pickled
    patient  whether it makes sense to wait for it: it does not help where no camera is attached
    secret   the text that an error may have, and that `name` is to stand for
    """

    live = True

    def __init__(
        self,
        name: str,
        make: Callable[[], Source],
        connection: Connection,
        *,
        patient: bool = True,
        secret: str | None = None,
    ):
        super().__init__(name)
        self.patient = patient
        self._ended_cpu_seconds = 0.0
        self._make = make
        self._secret = name if secret is None else secret
        self._connection = connection
        self._lock = threading.Lock()
        self._reader: _Reader | None = None
        self._stopped = False

    def __iter__(self) -> Iterator[Frame]:
        with self._lock:
            if self._stopped:
                return
            try:
                reader = self._reader = _Reader(self._connection.stall_seconds + GRACE_SECONDS)
            except OSError as error:
                raise SourceError(f"{self.name}: {error}") from error
        try:
            yield from self._receive(reader)
        except (EOFError, OSError):
            if not self._stopped:
                raise SourceError(f"{self.name}: its reader died with exit code {reader.end().code}") from None
        finally:
            used = reader.end().cpu_seconds
            with self._lock:
                self._ended_cpu_seconds += used
                self._reader = None
            reader.close()

    @property
    def cpu_seconds(self) -> float:
        with self._lock:
            now = 0.0 if self._reader is None else cpu_seconds_of(self._reader.pid)
            return self._ended_cpu_seconds + now

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            if self._reader is not None:
                self._reader.end()

    def _receive(self, reader: _Reader) -> Iterator[Frame]:
        before = self.lost.copy()
        several = reader.num_running > (os.cpu_count() or 1)
        order = {
            "make": self._make,
            "name": self.name,
            "secret": self._secret,
            "packets": self.with_packets,
            "images": self.with_images,
            "several": several,
        }
        reader.wire.send_bytes(pickle.dumps(order))
        unpack = HeadReceiver()
        limit, missing = self._connection.open_seconds, "does not answer: no frame"
        poll = _poll(reader.wire)
        while True:
            if not poll(limit + GRACE_SECONDS):
                raise SourceError(f"{self.name} {missing} for {limit:g} s")
            if not (message := reader.wire.recv_bytes()):
                break
            head = unpack(message)
            self.live, self.rate, self.lost = head.live, head.rate, before + head.lost
            self._warn(head.warnings)
            picture = RemotePicture(reader, head.index, head.size, made=reader.take(head), of=self.name)
            yield Frame(
                stream=self.name,
                index=head.index,
                time_seconds=head.time_seconds,
                picture=picture,
                available=head.available,
                packets=head.packets,
            )
            reader.go_on(tuple(picture.asked))  # at once: other threads may ask for more
            limit, missing = self._connection.stall_seconds, "stalled: no frame"
        last = json.loads(reader.wire.recv_bytes())
        self.live, self.lost = last["live"], before + Counter(last["lost"])
        self._warn(last["warnings"])
        if last["error"] is not None:
            raise AccessRefused(last["error"]) if last["refused"] else SourceError(last["error"])

    def _warn(self, warnings: Sequence[str]) -> None:
        """Keep what is new: another connection to the same source says the same again."""
        self.warnings += [warning for warning in warnings if warning not in self.warnings]


class RemotePicture(Resizable):
    """The picture of a frame, which a reader keeps for a short time; what was asked for once is here to stay.

    made   what the reader has made ahead: the image (None), and inputs of networks
    asked  what was asked for, and given
    """

    def __init__(
        self,
        reader: _Reader,
        index: int,
        size: tuple[int, int],
        *,
        made: dict[Preprocessing | None, np.ndarray],
        of: str,
    ):
        self.height, self.width = size
        self.asked: set[Preprocessing | None] = set()
        self._reader = reader
        self._index = index
        self._source = of
        self._made = made

    def image(self) -> np.ndarray:
        """RGB uint8 (height, width, 3); SourceError where it is gone."""
        return self._get(None)

    def resized(self, wanted: Preprocessing) -> np.ndarray:
        """As the reader makes it; of an image that is here, where it is too late for that."""
        try:
            return self._get(wanted)  # not from the image: scores do not depend on who looks at it
        except SourceError:
            if None not in self._made:
                raise
            return wanted.resize(self._made[None])

    def _get(self, wanted: Preprocessing | None) -> np.ndarray:
        if wanted not in self._made:
            self._made[wanted] = self._ask(wanted)
        self.asked.add(wanted)  # now the reader knows it
        return self._made[wanted]

    def _ask(self, wanted: Preprocessing | None) -> np.ndarray:
        try:
            made = self._reader.ask(self._index, wanted)
        except (EOFError, OSError) as error:
            raise SourceError(f"{self._source} has ended, and its pictures are gone with it") from error
        if made is None:
            raise SourceError(
                f"the picture of frame {self._index} of {self._source} is gone; ask for it sooner, or watch with "
                "images=True"
            )
        return made


class _Reader:
    """A process that reads a source: the wire for heads of frames, and the desk for pictures.

    num_running  readers of this program, when this one began
    """

    def __init__(self, patience_seconds: float):
        self._patience_seconds = patience_seconds
        self._server = _server()
        self._ended: Ended | None = None
        self._ending = threading.Lock()
        self._lock = threading.Lock()  # of the desk
        self._numbers: dict[Preprocessing | None, int] = {None: 0}
        self._memory, self._ahead = SharedMemory(), SharedMemory()
        self.wire, wire = Pipe()
        self._desk, desk = Pipe()
        self._poll = _poll(self._desk)
        with ExitStack() as theirs:
            theirs.enter_context(wire)
            theirs.enter_context(desk)
            files = [wire.fileno(), desk.fileno(), self._memory.descriptor, self._ahead.descriptor]
            self.pid, self.num_running = self._server.start(files)

    def take(self, head: Head) -> dict[Preprocessing | None, np.ndarray]:
        """What the reader has made ahead of the frame whose head has come."""
        if not head.made:
            return {}
        items = list(self._numbers)
        made = [items[number] for number in head.made]
        sizes = [head.size if each is None else (each.height, each.width) for each in made]
        return dict(zip(made, self._ahead.take((*size, 3) for size in sizes), strict=True))

    def go_on(self, asked: Iterable[Preprocessing | None]) -> None:
        """Let the reader go on; what was asked for of this frame tells it what to make ahead of others."""
        self.wire.send_bytes(bytes(self._numbers[each] for each in asked))

    def ask(self, index: int, wanted: Preprocessing | None) -> np.ndarray | None:
        """The image of a frame, or the input of a network; None where the reader has its picture no more."""
        request: dict[str, Any] = {"frame": index}
        with self._lock:
            if wanted is not None and wanted not in self._numbers:
                self._numbers[wanted] = len(self._numbers)
                request["wanted"] = asdict(wanted)
            request["number"] = self._numbers[wanted]
            self._desk.send_bytes(json.dumps(request).encode())
            if not self._poll(self._patience_seconds):
                raise EOFError
            answer = json.loads(self._desk.recv_bytes())
            if "error" in answer:
                raise ActionstreamError(answer["error"])
            return None if "gone" in answer else self._memory.take([tuple(answer["shape"])])[0]

    def end(self) -> Ended:
        """Kill the process, once; any thread may call this."""
        with self._ending:
            if self._ended is None:
                self._ended = self._server.end(self.pid)
            return self._ended

    def close(self) -> None:
        """Close its files, after its end; for the thread that reads the wire."""
        with self._lock:
            self.wire.close()
            self._desk.close()
            self._memory.close()
            self._ahead.close()


def cpu_seconds_of(pid: int) -> float:
    """CPU seconds of a process so far; 0 where it is gone, or the system does not say."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _poll(wire: Wire) -> Callable[[float], bool]:
    """A function that waits so many seconds at most for a message; the wire's own one makes a selector each time."""
    waiting = select.poll()
    waiting.register(wire.fileno(), select.POLLIN)
    return lambda seconds: bool(waiting.poll(1000 * min(seconds, LONGEST_POLL_SECONDS)))


_current: ForkServer | None = None
_starting = threading.Lock()


def _server() -> ForkServer:
    """The server of all readers; a new one where it is gone, or where variables have changed that it has."""
    global _current
    with _starting:
        if _current is None or not _current.alive or _current.environment != environment_now():
            _current = ForkServer()
        return _current
