"""Live sources in a process of their own.

A library that waits for a camera or a server can hang where no timeout applies (a name server, a driver, the closing
of a connection to a peer that is gone), and a corrupt stream can crash a decoder. A process can be killed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from multiprocessing import Pipe
from multiprocessing.connection import Connection as Wire
from typing import Any, Literal

import numpy as np

from actionstream.frame import Frame
from actionstream.models.common.errors import in_a_line, is_mistake
from actionstream.models.common.extras import needs
from actionstream.sources.address import masked
from actionstream.sources.camera import CameraSource, camera_name
from actionstream.sources.connection import Connection
from actionstream.sources.network import NetworkSource
from actionstream.sources.packet_message import PacketReceiver, PacketSender
from actionstream.sources.source import AccessRefused, Source, SourceError, reason

GRACE_SECONDS = 1.0  # extra time, so that the library can report its own timeout
LONGEST_POLL_SECONDS = 1e6  # the system counts milliseconds in 32 bits


class ProcessSource(Source):
    """A camera or an address, read by a process that starts with each iteration and is killed at its end.

    The iteration ends with a SourceError, even while the process hangs, when no frame comes for GRACE_SECONDS more than
    `connection.open_seconds` at first, or `stall_seconds` later. Times count from the first frame.
    """

    live = True

    def __init__(self, kind: Literal["camera", "network"], target: str, connection: Connection):
        super().__init__(camera_name(target) if kind == "camera" else masked(target))
        if kind == "camera":
            needs("camera")  # raise the error here, and not in the process
        self.patient = kind == "network"  # waiting does not help where no camera is attached
        self._order = {"kind": kind, "target": target, "connection": asdict(connection)}
        self._connection = connection
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def __iter__(self) -> Iterator[Frame]:
        ours, theirs = Pipe()
        with ours:
            with theirs, self._lock:
                if self._stopped:
                    return
                process = self._process = _start(theirs)
            try:
                yield from self._receive(ours)
            except (EOFError, OSError):
                if not self._stopped:
                    raise SourceError(f"{self.name}: its reader died with exit code {process.wait()}") from None
            finally:
                process.kill()
                with suppress(subprocess.TimeoutExpired):  # a driver can hold it
                    process.wait(1.0)

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill()

    def _receive(self, wire: Wire) -> Iterator[Frame]:
        before = self.lost.copy()
        wire.send_bytes(json.dumps({**self._order, "with_packets": self.with_packets}).encode())
        unpack = PacketReceiver()
        limit, missing = self._connection.open_seconds, "does not answer: no frame"

        def receive() -> bytes:
            if not wire.poll(min(limit + GRACE_SECONDS, LONGEST_POLL_SECONDS)):
                raise SourceError(f"{self.name} {missing} for {limit:g} s")
            return wire.recv_bytes()

        while True:
            data = receive()
            begin = data.index(b"\n") + 1
            message = json.loads(data[:begin])
            self.lost = before + Counter(message["lost"])
            self.live = message["live"]
            if "frame" not in message:
                self.warnings += message["warnings"]
                if message["error"] is not None:
                    raise AccessRefused(message["error"]) if message["refused"] else SourceError(message["error"])
                return
            self.rate = message["rate"]
            image = np.frombuffer(receive(), np.uint8).reshape(message["shape"])
            packets = unpack(message["tracks"], memoryview(data)[begin:])
            yield Frame(stream=self.name, image=image, packets=packets, **message["frame"])
            limit, missing = self._connection.stall_seconds, "stalled: no frame"


def _start(wire: Wire) -> subprocess.Popen[bytes]:
    """Start the process; it gets its order through the wire, since all users can see a command line."""
    descriptor = wire.fileno()
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "actionstream.sources.process", str(descriptor)],
        pass_fds=[descriptor],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C goes to the parent process only
    )


def _main(descriptor: int) -> None:
    """The main function of the process: send the frames of one source through the wire, until either ends."""
    wire = Wire(descriptor)
    order = json.loads(wire.recv_bytes())
    threading.Thread(target=_leave_with, args=[wire], daemon=True).start()
    source: Source
    if order["kind"] == "camera":
        source = CameraSource(order["target"])
    else:
        source = NetworkSource(order["target"], Connection(**order["connection"]))
    source.with_packets = order["with_packets"]
    pack = PacketSender()
    error, refused = None, False
    try:
        for frame in source:
            message: dict[str, Any] = {
                "frame": {name: getattr(frame, name) for name in ("index", "time_seconds", "available")},
                "shape": frame.image.shape,
                "live": source.live,
                "rate": source.rate,
                "lost": source.lost,
            }
            message["tracks"], parts = pack(frame.packets)
            wire.send_bytes(b"".join((json.dumps(message).encode(), b"\n", *parts)))
            wire.send_bytes(np.ascontiguousarray(frame.image).data.cast("B"))
    except SourceError as failure:
        error, refused = str(failure), isinstance(failure, AccessRefused)
    except Exception as failure:  # noqa: BLE001  the parent process reports it
        what = reason(failure) if is_mistake(failure) else in_a_line(failure)
        error = f"{source.name} failed: {what.replace(order['target'], source.name)}"
    last: dict[str, Any] = {"warnings": source.warnings, "lost": source.lost, "live": source.live}
    last |= {"error": error, "refused": refused}
    wire.send_bytes(json.dumps(last).encode() + b"\n")


def _leave_with(wire: Wire) -> None:
    """Exit when the parent process closes the wire, even while a library hangs."""
    try:
        wire.recv_bytes()
    finally:
        os._exit(0)


if __name__ == "__main__":
    _main(int(sys.argv[1]))
