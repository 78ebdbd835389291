"""Outages: does every event reach every sink, once and in order, whatever is killed meanwhile?

A real Mosquitto, a webhook receiver that fails every second call (of those, every second one after it has taken the
record), and a service that is killed at random (SIGKILL) while it watches files in a loop. Needs the program
`mosquitto`.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from actionstream.benchmarks.alternation import Done, nobody
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.extras import needs
from actionstream.serve.store import FILE

CAMERAS = """
[server]
http = "127.0.0.1:{http}"
state_folder = "state"

[mqtt]
host = "127.0.0.1"
port = {broker}
keepalive_seconds = 5

[webhooks.receiver]
url = "http://127.0.0.1:{webhook}/events"
timeout_seconds = 2

[defaults]
source = "sample"
loop = true
threshold = 0.4
update_seconds = 0.5
"""
SETTLE_SECONDS = 120.0
START_SECONDS = 60.0


class Arrivals:
    """The records that a sink got, by their keys in order of first arrival, and how many came again."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.num_again = 0
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def take(self, body: bytes) -> None:
        record = json.loads(body)
        key = f"{record['id']}-{record['type']}-{record['seq']}"
        with self._lock:
            if key in self._known:
                self.num_again += 1
                return
            self._known.add(key)
            self.keys.append(key)


def measure_outages(
    folder: Path,
    *,
    seconds: float,
    num_kills: int,
    away_seconds: float,
    num_cameras: int,
    done: Done = nobody,
) -> dict[str, Any]:
    """Serve for some time, with kills and without the broker for a part of it; then compare what arrived.

    The broker is there for a fifth of `away_seconds`, then away for `away_seconds`. The process is killed from the
    middle of the absence on: before, frames a second are counted with and without the broker.
    """
    needs("serve")
    if shutil.which("mosquitto", path=_path()) is None:
        raise ActionstreamError("the program mosquitto is not here; install it (Debian: apt install mosquitto)")
    http, broker_port = _free_port(), _free_port()
    by_mqtt, by_webhook = Arrivals(), Arrivals()
    begin = time.monotonic()

    def wait_until(passed: float) -> None:
        while (now := time.monotonic() - begin) < passed:
            done(min(now / seconds, 1.0))
            time.sleep(min(0.5, passed - now))

    with ExitStack() as stack:
        webhook = stack.enter_context(_receiver(by_webhook))
        subscribed = stack.enter_context(_subscriber(broker_port, by_mqtt))
        settings = folder / "cameras.toml"
        text = CAMERAS.format(http=http, broker=broker_port, webhook=webhook)
        cameras = "".join(f"\n[cameras.camera{n}]\n" for n in range(num_cameras))
        settings.write_text(text + cameras)
        broker = _Broker(folder, broker_port)
        stack.callback(broker.stop)
        service = _Service(settings)
        stack.callback(service.stop)
        broker.start()
        subscribed.wait(START_SECONDS)
        service.start()
        service.wait(http)
        with_broker = _frames_a_second(http, away_seconds / 5)
        broker.stop()
        without_broker = _frames_a_second(http, away_seconds / 2)
        first_kill, back = time.monotonic() - begin, time.monotonic() - begin + away_seconds / 2
        moments = sorted(random.uniform(first_kill, seconds) for _ in range(num_kills))
        for moment in sorted([*moments, back]):
            wait_until(moment)
            if moment == back:
                broker.start()
            else:
                service.kill()
                service.start()
        wait_until(seconds)
        service.wait(http)
        service.stop()
        settings.write_text(text + cameras.replace("]\n", ']\nschedule = { hours = "00:00-00:01", days = "mon" }\n'))
        service.start()  # it has no events of its own, and tells what waits
        _settle(folder / "state" / FILE, by_mqtt)
        service.stop()
    records = _records(folder / "state" / FILE)
    return {
        "seconds": seconds,
        "cameras": num_cameras,
        "kills": num_kills,
        "broker_away_seconds": away_seconds,
        "events": len({record["id"] for record in records}),
        "ended_by_restart": sum(record["reason"] == "restart" for record in records),
        "unpaired": len(_unpaired(records)),
        "frames_a_second": {
            "with_broker": with_broker,
            "without_broker": without_broker,
            "ratio": without_broker / with_broker,
        },
        "sinks": {
            name: _compared(records, arrivals) for name, arrivals in (("mqtt", by_mqtt), ("webhook", by_webhook))
        },
    }


def _compared(records: Sequence[dict[str, Any]], arrivals: Arrivals) -> dict[str, Any]:
    """Records of the store beside those that arrived."""
    expected = [f"{record['id']}-{record['type']}-{record['seq']}" for record in records]
    missing = set(expected) - set(arrivals.keys)
    unknown = set(arrivals.keys) - set(expected)
    return {
        "records": len(expected),
        "missing": len(missing),
        "unknown": len(unknown),
        "came_again": arrivals.num_again,
        "in_order": arrivals.keys == [key for key in expected if key not in missing],
    }


def _unpaired(records: Sequence[dict[str, Any]]) -> list[str]:
    """Events whose records are not: new, updates by their numbers, one end."""
    by_id: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        by_id.setdefault(record["id"], []).append(record)
    return [
        event
        for event, told in by_id.items()
        if [each["type"] for each in told] != ["new", *["update"] * (len(told) - 2), "end"]
        or [each["seq"] for each in told] != list(range(len(told)))
    ]


def _records(database: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(database)) as connection:
        return [json.loads(body) for (body,) in connection.execute("SELECT body FROM records ORDER BY number")]


def _settle(database: Path, arrivals: Arrivals) -> None:
    """Wait until all sinks have taken all records, and the broker has passed them on."""
    end = time.monotonic() + SETTLE_SECONDS
    query = "SELECT count(*) FROM cursors WHERE number < (SELECT max(number) FROM records)"
    before = -1
    while time.monotonic() < end:
        with closing(sqlite3.connect(database)) as connection:
            taken = connection.execute(query).fetchone() == (0,)
        if taken and len(arrivals.keys) == before:
            return
        before = len(arrivals.keys)
        time.sleep(1.0)


class _Service:
    """The command `serve` in a process of its own."""

    def __init__(self, settings: Path):
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "actionstream", "serve", str(self._settings)]
        with open(self._settings.with_name("serve.log"), "ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def wait(self, http: int) -> None:
        """Wait until it labels frames; ActionstreamError where it does not."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if _labelled(http) > 0:
                return
            time.sleep(0.2)
        log = self._settings.with_name("serve.log").read_text(errors="replace")
        raise ActionstreamError(f"the service labels nothing: {log[-500:]}")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(30)
            self.kill()


class _Broker:
    """Mosquitto, which keeps what a subscriber has not taken over its own restarts."""

    def __init__(self, folder: Path, port: int):
        self._port = port
        self._settings = folder / "mosquitto.conf"
        self._settings.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\n"
            "max_queued_messages 0\nlog_dest none\n" + (f"user {_user_name()}\n" if os.geteuid() == 0 else "")
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [str(shutil.which("mosquitto", path=_path())), "-c", str(self._settings)], stderr=subprocess.DEVNULL
        )
        for _ in range(100):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
                return
            time.sleep(0.1)
        raise ActionstreamError("mosquitto does not start")

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()
            self._process = None


def _user_name() -> str:
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])


@contextmanager
def _subscriber(port: int, arrivals: Arrivals) -> Iterator[threading.Event]:
    """A client with a persistent session that takes all records; gives an event that is set when it has subscribed."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2, client_id="receiver", clean_session=False)
    client.reconnect_delay_set(1, 1)

    def subscribe(*_: Any) -> None:
        client.subscribe("actionstream/events", qos=1)

    subscribed = threading.Event()
    client.on_connect = subscribe
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = lambda _client, _data, message: arrivals.take(bytes(message.payload))
    client.connect_async("127.0.0.1", port, keepalive=5)
    client.loop_start()
    try:
        yield subscribed
    finally:
        client.disconnect()
        client.loop_stop()


@contextmanager
def _receiver(arrivals: Arrivals) -> Iterator[int]:
    """A webhook receiver that fails every second call; gives its port."""
    turns = cycle(range(4))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            turn = next(turns)
            if turn == 1:
                self.send_error(503)
                return
            arrivals.take(body)
            if turn == 3:  # it was taken, and the sender does not learn that
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def _frames_a_second(http: int, seconds: float) -> float:
    """Labelled frames of all cameras a second."""
    began, before = time.monotonic(), _labelled(http)
    time.sleep(seconds)
    return (_labelled(http) - before) / (time.monotonic() - began)


def _labelled(http: int) -> float:
    """Labelled frames of all cameras so far; 0 while the service does not answer."""
    with suppress(OSError), urlopen(f"http://127.0.0.1:{http}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("actionstream_frames_labelled_total"))
    return 0.0


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]
