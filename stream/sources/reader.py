"""The process that reads one live source: it sends heads of frames, and pictures where they are asked for.

A head goes out for each frame, and the reader goes on when the program wants the next one. Pictures stay here, see
`Desk`: the program asks for the image of a frame, or for the input of a network, and finds it in shared memory.
"""

from __future__ import annotations

import json
import pickle
import threading
from multiprocessing.connection import Connection as Wire
from typing import Any

from actionstream.models.common.errors import in_a_line, is_mistake
from actionstream.sources.camera import CameraSource
from actionstream.sources.desk import Desk
from actionstream.sources.head import HeadSender
from actionstream.sources.network import NetworkSource
from actionstream.sources.shared_memory import SharedMemory
from actionstream.sources.source import AccessRefused, Source, SourceError, reason

__all__ = ["CameraSource", "NetworkSource", "read"]  # the sources are here so that the server has loaded them


def read(wire_descriptor: int, desk_descriptor: int, *memory: int) -> None:
    """Read a source, whose order comes through the wire, until it or the program ends."""
    wire = Wire(wire_descriptor)
    order = pickle.loads(wire.recv_bytes())
    name, secret = order["name"], order["secret"]
    desk = Desk(Wire(desk_descriptor), *map(SharedMemory, memory), images=order["images"])
    threading.Thread(target=desk.serve, daemon=True).start()
    source = Source("")
    error, refused = None, False
    try:
        source = order["make"]()
        source.with_packets, source.one_of_several = order["packets"], order["several"]
        pack = HeadSender(source)
        for frame in source:
            wire.send_bytes(pack(frame, desk.keep(frame)))
            desk.asked(frame, wire.recv_bytes())  # the program wants the next frame
    except EOFError:
        return
    except SourceError as failure:
        error, refused = str(failure), isinstance(failure, AccessRefused)
    except Exception as failure:  # noqa: BLE001  the program reports it
        what = reason(failure) if is_mistake(failure) else in_a_line(failure)
        error = f"{name} failed: {what.replace(secret, name)}"
    last: dict[str, Any] = {"warnings": source.warnings, "lost": source.lost, "live": source.live}
    last |= {"error": error, "refused": refused}
    wire.send_bytes(b"")  # no more heads
    wire.send_bytes(json.dumps(last).encode())
