"""The process that reads one live source: it sends heads of frames, and pictures where they are asked for.

A head goes out for each frame, and the reader goes on when the program asks for the next one. Pictures stay here: the
program asks for the image of a frame, or for the input of a network, and finds it in memory that both share.
"""

from __future__ import annotations

import json
import os
import pickle
import threading
from collections import deque
from multiprocessing.connection import Connection as Wire
from typing import Any

from actionstream.frame import Frame
from actionstream.models.common.errors import in_a_line, is_mistake
from actionstream.models.preprocessing import Preprocessing
from actionstream.sources.camera import CameraSource
from actionstream.sources.network import NetworkSource
from actionstream.sources.packet_message import PacketSender
from actionstream.sources.shared_memory import SharedMemory
from actionstream.sources.source import AccessRefused, Source, SourceError, reason

__all__ = ["CameraSource", "NetworkSource", "read"]  # the sources are here so that the server has loaded them

KEPT = 8
KEPT_BYTES = 16 << 20
"""The last frames whose pictures can be asked for: so many, and of several no more than this."""


def read(wire_descriptor: int, desk_descriptor: int, memory_descriptor: int) -> None:
    """Read a source, whose order comes through the wire, until it or the program ends."""
    wire = Wire(wire_descriptor)
    make, name, with_packets, several, secret = pickle.loads(wire.recv_bytes())
    desk = _Desk(Wire(desk_descriptor), memory_descriptor)
    threading.Thread(target=desk.serve, daemon=True).start()
    source = Source("")
    pack = PacketSender()
    error, refused = None, False
    try:
        source = make()
        source.with_packets, source.one_of_several = with_packets, several
        for frame in source:
            desk.keep(frame)
            message: dict[str, Any] = {
                "frame": {"index": frame.index, "time_seconds": frame.time_seconds, "available": frame.available},
                "size": frame.size,
                "live": source.live,
                "rate": source.rate,
                "lost": source.lost,
            }
            message["tracks"], parts = pack(frame.packets)
            wire.send_bytes(b"".join((json.dumps(message).encode(), b"\n", *parts)))
            wire.recv_bytes()  # the program asks for the next frame
    except EOFError:
        return
    except SourceError as failure:
        error, refused = str(failure), isinstance(failure, AccessRefused)
    except Exception as failure:  # noqa: BLE001  the program reports it
        what = reason(failure) if is_mistake(failure) else in_a_line(failure)
        error = f"{name} failed: {what.replace(secret, name)}"
    last: dict[str, Any] = {"warnings": source.warnings, "lost": source.lost, "live": source.live}
    last |= {"error": error, "refused": refused}
    wire.send_bytes(json.dumps(last).encode() + b"\n")


class _Desk:
    """Gives out the pictures of the last frames, in a thread: the source may hang."""

    def __init__(self, wire: Wire, memory: int):
        self._wire = wire
        self._memory = SharedMemory(memory)
        self._kept: deque[Frame] = deque()
        self._known: list[Preprocessing] = []

    def keep(self, frame: Frame) -> None:
        self._kept.append(frame)
        while len(self._kept) > KEPT or (len(self._kept) > 1 and len(self._kept) * frame.num_bytes > KEPT_BYTES):
            self._kept.popleft()

    def serve(self) -> None:
        """Answer requests; leave when the program closes the wire, even while a library hangs."""
        try:
            while True:
                request = json.loads(self._wire.recv_bytes())
                try:
                    answer = self._answer(request)
                except Exception as failure:  # noqa: BLE001  the program reports it
                    answer = {"error": reason(failure) if is_mistake(failure) else in_a_line(failure)}
                self._wire.send_bytes(json.dumps(answer).encode())
        finally:
            os._exit(0)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if "wanted" in request:
            self._known.append(Preprocessing(**request["wanted"]))
        kept = list(self._kept)  # at once: the source goes on
        frame = next((each for each in kept if each.index == request["frame"]), None)
        if frame is None:
            return {"gone": True}
        made = frame.image if request["as"] is None else self._known[request["as"]].resize(frame.picture)
        self._memory.put(made)
        return {"shape": made.shape}
