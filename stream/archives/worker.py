"""The process that does videos of an archive, one after the other; see `Apart`."""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
from multiprocessing.connection import Connection as Wire
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import Any

from actionstream.archives.job_text import read_job
from actionstream.archives.remote import fetched
from actionstream.models.common.errors import ActionstreamError, in_a_line, is_mistake
from actionstream.sources.address import masked
from actionstream.sources.source import reason

TELL_SECONDS = 0.5


def main() -> None:
    """Take the job from the wire whose number is the first argument, and then videos, until the wire is closed."""
    wire = Wire(int(sys.argv[1]))
    folder, most_bytes = Path(sys.argv[2]), int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))
    orders: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_receive, args=(wire, orders), daemon=True).start()
    told = Teller(wire)
    try:
        do = read_job(orders.get().decode()).open()
    except Exception as error:  # noqa: BLE001  the program reports it
        told(kind="refused", reason=in_a_line(error))
        return
    told(kind="opened")
    while True:
        order = json.loads(orders.get())
        try:
            with fetched(order["video"], told.progress) as video:
                remarks = do(video, folder, order["name"], told.progress)
        except Exception as error:  # noqa: BLE001  the program reports it
            what = reason(error) if is_mistake(error) else in_a_line(error)
            said = what if isinstance(error, ActionstreamError) else f"{masked(order['video'])}: {what}"
            told(kind="failed", reason=said, seconds=told.seconds)
        else:
            told(kind="done", remarks=remarks, seconds=told.seconds)


def _receive(wire: Wire, orders: SimpleQueue[bytes]) -> None:
    """Take what comes in; leave when the program has ended, even while a library hangs."""
    try:
        while True:
            orders.put(wire.recv_bytes())
    except (EOFError, OSError):
        os._exit(1)


class Teller:
    """Tells the program what happens. seconds  of the present video that are done"""

    def __init__(self, wire: Wire):
        self.seconds = 0.0
        self._wire = wire
        self._told_at = 0.0

    def __call__(self, **message: Any) -> None:
        self._wire.send_bytes(json.dumps(message).encode())
        self.seconds = 0.0

    def progress(self, seconds: float) -> None:
        self.seconds = seconds
        if monotonic() >= self._told_at + TELL_SECONDS:
            self._told_at = monotonic()
            self._wire.send_bytes(json.dumps({"kind": "goes on"}).encode())


if __name__ == "__main__":
    main()
