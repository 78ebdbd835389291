"""A server that starts processes by fork: they are there at once, and share the memory of the libraries it has loaded.

Python's own forkserver runs the program's main module again in each process; this one knows nothing of the program.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

WAIT_SECONDS = 0.5  # for the end of a process that was killed: a driver can hold it
PR_SET_PDEATHSIG = 1


class Ended(NamedTuple):
    """How a process ended: its exit code, None while a driver holds it, and the CPU seconds that it used."""

    code: int | None
    cpu_seconds: float


class ForkServer:
    """The server, for the program that uses it; it ends with the program, and all its processes with it.

    environment  variables and module paths of the server, which its processes have
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.environment = environment_now()
        self._lock = threading.Lock()
        self._socket = ours
        self._answers = ours.makefile("rb")
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "actionstream.sources.fork_server", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C goes to the program only
            )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def start(self, descriptors: Sequence[int]) -> tuple[int, int]:
        """Start a process that gets these files; its number, and how many run then. OSError where that cannot be."""
        answer = self._ask({"start": len(descriptors)}, descriptors)
        return answer["pid"], answer["running"]

    def end(self, pid: int) -> Ended:
        """Kill a process of this server, if it has not ended by itself."""
        try:
            return Ended(**self._ask({"end": pid}))
        except OSError:  # the server is gone, and its processes with it
            return Ended(-signal.SIGKILL, 0.0)

    def __del__(self) -> None:
        """Let the server end, when no process of it is known any more."""
        self._answers.close()
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def _ask(self, request: dict[str, int], descriptors: Sequence[int] = ()) -> dict[str, Any]:
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(request).encode()], descriptors)
            answer = self._answers.readline()
        if not answer:
            raise OSError("the server of readers has ended")
        found: dict[str, Any] = json.loads(answer)
        if "error" in found:
            raise OSError(found["error"])
        return found


def environment_now() -> tuple[object, ...]:
    """What a process inherits: a server with another one is not the right one any more."""
    return os.getpid(), tuple(sys.path), tuple(os.environ.items())


def serve(control: socket.socket, work: Callable[..., None]) -> None:
    """Start and end processes as they are asked for, until the program closes its end.

    work  what a process does; it takes the files that came with the request
    """
    running: set[int] = set()
    gc.collect()
    gc.freeze()  # collections in the processes do not write to what they share
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, 4096, 8)
        if not data:
            break
        request = json.loads(data)
        answer: dict[str, object]
        if "start" in request:
            try:
                pid = os.fork()
            except OSError as error:
                answer = {"error": f"no process can be started: {error.strerror}"}
            else:
                if pid == 0:
                    _be_a_process(control, work, descriptors)
                running.add(pid)
                answer = {"pid": pid, "running": len(running)}
            for descriptor in descriptors:
                os.close(descriptor)
        else:
            ended = _end(request["end"]) if request["end"] in running else Ended(None, 0.0)
            if ended.code is not None:
                running.discard(request["end"])
            answer = ended._asdict()
        control.sendall(json.dumps(answer).encode() + b"\n")
    for pid in running:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _be_a_process(control: socket.socket, work: Callable[..., None], descriptors: Sequence[int]) -> None:
    code = 1
    try:
        control.close()
        with suppress(OSError, AttributeError):  # of Linux: a server that is killed leaves no process behind
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        work(*descriptors)
        code = 0
    finally:
        os._exit(code)


def _end(pid: int) -> Ended:
    """Kill a child, and wait for it."""
    os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + WAIT_SECONDS
    while True:
        found, status, used = os.wait4(pid, os.WNOHANG)
        if found:
            return Ended(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime)
        if time.monotonic() > until:
            return Ended(None, 0.0)
        time.sleep(0.001)


if __name__ == "__main__":
    from actionstream.sources.reader import read

    serve(socket.socket(fileno=int(sys.argv[1])), read)
