"""A real MQTT broker (Mosquitto), a client that keeps what it hears, and a proxy that cuts connections."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from helpers import freeze, missing
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from servers import free_port

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait until a condition holds; it fails after some time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


class Mosquitto:
    """Mosquitto in a process of its own, that can be killed, stopped and started again at the same port."""

    def __init__(self, folder: Path, *, persistence: bool = False, lines: str = ""):
        if MOSQUITTO is None:
            missing("the broker Mosquitto (the package mosquitto)")
        self.port = free_port()
        settings = folder / "mosquitto.conf"
        settings.write_text(
            f"listener {self.port} 127.0.0.1\nuser root\npersistence {str(persistence).lower()}\n"
            f"persistence_location {folder}/\nautosave_on_changes true\nautosave_interval 1\nlog_type error\n"
            + (lines or "allow_anonymous true\n")
        )
        self._command = [MOSQUITTO, "-c", str(settings)]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self._listens)

    def _listens(self) -> bool:
        assert self._process.poll() is None, "Mosquitto has ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """It keeps its connections, and says nothing."""
        freeze(self._process.pid)

    def go_on(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)


@contextmanager
def mosquitto(folder: Path, *, persistence: bool = False, lines: str = "") -> Iterator[Mosquitto]:
    broker = Mosquitto(folder, persistence=persistence, lines=lines)
    try:
        yield broker
    finally:
        broker.kill()


class Listener:
    """Subscribes to topics, and keeps what it hears.

    session   the name of its session, which the broker keeps while it is away; else it has none

    heard     topic, payload and whether it was retained, in order
    retained  what a client that comes now would be told, as far as this one has heard
    """

    def __init__(self, port: int, topic: str = "#", session: str = ""):
        self.heard: list[tuple[str, bytes, bool]] = []
        self.retained: dict[str, bytes] = {}
        self._topic = topic
        self._subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=session, clean_session=not session)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(self._topic, qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._subscribed.wait(10)

    def _hear(self, _client, _data, message) -> None:
        self.heard.append((message.topic, message.payload, message.retain))
        self.retained[message.topic] = message.payload

    def payloads(self, topic: str) -> list[str]:
        """All payloads of a topic so far."""
        return [payload.decode() for heard, payload, _ in self.heard if heard == topic]

    def last(self, topic: str) -> str | None:
        payload = self.retained.get(topic)
        return None if payload is None else payload.decode()

    def publish(self, topic: str, payload: str, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client.on_connect = self._client.on_subscribe = self._client.on_message = None


@contextmanager
def listener(port: int, topic: str = "#", session: str = "") -> Iterator[Listener]:
    found = Listener(port, topic, session)
    try:
        yield found
    finally:
        found.close()


def kept_by(port: int) -> dict[str, str]:
    """What the broker retains: what a client that comes now is told before a message of its own comes back."""
    with listener(port) as late:
        late.publish("the/end", "")
        wait_for(lambda: any(topic == "the/end" for topic, _, _ in late.heard))
        return {topic: payload.decode(errors="replace") for topic, payload, retained in late.heard if retained}


class CuttingProxy:
    """Passes a port on to another one, and cuts each connection after a number of bytes from its client.

    cut  gives the number for each connection; None: it is never cut
    """

    def __init__(self, port: int, cut: Callable[[], int | None]):
        self.cuts = 0
        self._target, self._cut = port, cut
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:  # closed
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            threading.Thread(target=self._back, args=(server, client), daemon=True).start()
            threading.Thread(target=self._forth, args=(client, server, self._cut()), daemon=True).start()

    def _forth(self, client: socket.socket, server: socket.socket, left: int | None) -> None:
        with client, server:
            try:
                while data := client.recv(4096):
                    if left is not None:
                        data = data[:left]
                        left -= len(data)
                    server.sendall(data)
                    if left == 0:
                        self.cuts += 1
                        break
            except OSError:
                pass
            for end in (client, server):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _back(server: socket.socket, client: socket.socket) -> None:
        try:
            while data := server.recv(4096):
                client.sendall(data)
        except OSError:
            pass

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()
