"""The sink for MQTT: records in order, and what is true now in retained topics."""

from __future__ import annotations

import json
import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actionstream.live.reconnect import LONGEST_WAIT_SECONDS, wait_seconds
from actionstream.models.common.errors import ActionstreamError, in_a_line
from actionstream.models.common.extras import needs
from actionstream.serve.board import Board, Fact
from actionstream.serve.broker import Broker, BrokerConnection, ConnectionFailed
from actionstream.serve.delivery import SinkError
from actionstream.serve.discovery import devices, without
from actionstream.serve.store import Stored
from actionstream.serve.topics import CameraTopics, Topics

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessage

MOST_WAITING = 10_000
"""The most changes that wait; more of them are dropped, and all that is true is published afresh."""
AT_ONCE = 100
PATIENCE_SECONDS = 5.0

Message = tuple[str, str | bytes]
Retained = Mapping[str, Any]
"""What a process retains at the broker: "topics", and "components" of Home Assistant's devices with their platforms."""


class MqttSink:
    """Publishes records and facts to a broker; see `topics` for the topics. `start` begins.

    Records are published by `send`, from the store. Facts come from the board: while the broker is there, each change
    is published in order; at each connection all that is true is published afresh, so that a broker without a memory
    is right, too. What an earlier process retained and this one does not is removed.

    cameras      what there is to say of each camera, by its name
    set_enabled  is called with a camera and whether it is to be on, in the thread of this sink
    say          gets what a user is to know
    other ones   see `serve`'s settings

    Raises ActionstreamError where paho-mqtt is not installed, or a setting cannot be.
    """

    name = "mqtt"

    def __init__(
        self,
        *,
        board: Board,
        cameras: Mapping[str, CameraTopics],
        set_enabled: Callable[[str, bool], None],
        say: Callable[[str], None],
        host: str,
        port: int = 1883,
        user: str | None = None,
        password: str | None = None,
        tls: bool = False,
        ca_file: Path | None = None,
        client_id: str = "actionstream",
        base_topic: str = "actionstream",
        home_assistant: bool = True,
        discovery_prefix: str = "homeassistant",
        snapshots: bool = True,
        keepalive_seconds: int = 30,
    ):
        needs("serve")
        for topic in (base_topic, discovery_prefix):
            if not topic.strip("/") or any(letter in topic for letter in "+#\0") or topic.startswith("$"):
                raise ActionstreamError(f"the topic is {topic!r}; expected one without + and #, and no $ in front")
        self._broker = Broker(
            host=host,
            port=port,
            user=user,
            password=password,
            tls=tls,
            ca_file=ca_file,
            client_id=client_id,
            keepalive_seconds=keepalive_seconds,
        )
        self._context = self._broker.tls_context()
        self._board, self._set_enabled, self._say = board, set_enabled, say
        self._base, self._snapshots = base_topic.strip("/"), snapshots
        self._home_assistant, self._prefix = home_assistant, discovery_prefix.strip("/")
        self._lock = threading.Lock()  # never held while the board is asked: the board calls `_change` with its own
        self._topics = Topics(self._base, cameras)
        self._connection: BrokerConnection | None = None
        self._failure = "there was no connection to the broker yet"
        self._live = False
        self._afresh = False
        self._waiting: deque[Message] = deque()
        self._retained_before: list[Retained] = []
        self._commands: deque[tuple[str, bool]] = deque()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._tried = threading.Event()
        """The first connection is made, or has failed: until then nothing is away."""
        self._failures = 0
        self._lost_text = f"the connection to {self._broker} is lost (is there another client {client_id!r}?)"
        self._connected_text = f"connected to {self._broker}"
        self._told: set[str] = set()
        self._stop_listening = board.listen(self._change)
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    def start(self) -> None:
        """Connect, again and again, until `close`."""
        self._thread.start()

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    def send(self, batch: Sequence[Stored]) -> int:
        """Publish records and their pictures; returns how many of them the broker has acknowledged, from the first one.

        Raises SinkError where none has arrived: nothing waits here for a broker that is away.
        """
        self._tried.wait(PATIENCE_SECONDS)
        connection = self._connection
        if connection is None:
            raise SinkError(self._failure)
        numbers: list[int] = []
        ends: list[int] = []
        for stored in batch:
            messages = self._record_messages(stored)
            numbers += [connection.publish(*message, retain=retain) for message, retain in messages]
            ends.append(len(numbers))
        taken = bisect_right(ends, connection.acknowledged(numbers))
        if not taken:
            raise SinkError(self._lost_text)
        return taken

    def _record_messages(self, stored: Stored) -> list[tuple[Message, bool]]:
        """The messages of a record, and whether each is retained."""
        topics, record = self._topics, stored.record
        values = record.to_dict()
        messages: list[tuple[Message, bool]] = [((topics.events, _json(values)), False)]
        if record.type == "new" and (topic := topics.snapshot(record.camera, record.region)) is not None:
            if self._snapshots and stored.picture is not None:
                messages.insert(0, ((topic, stored.picture), True))
            messages.append(
                ((f"{topics.folder(record.camera)}/events", _json({"event_type": record.label, **values})), False)
            )
        return messages

    def set_cameras(self, cameras: Mapping[str, CameraTopics]) -> None:
        """Publish these cameras from now on; what is retained of others is removed."""
        with self._lock:
            self._retained_before.append(self._retained(self._topics, self._devices(self._topics)))
            self._topics = Topics(self._base, cameras)
            self._afresh = True
        self._wake.set()

    def close(self) -> None:
        """Publish the changes that wait and that all has stopped, and disconnect; for some seconds at most."""
        self._stop_listening()
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(PATIENCE_SECONDS)

    def _change(self, fact: Fact, value: Any) -> None:
        """A fact has changed."""
        with self._lock:
            message = self._topics.message(fact, value)
            if not self._live or message is None:
                return
            self._waiting.append(message)
            if len(self._waiting) > MOST_WAITING:
                self._afresh = True
                self._waiting.clear()
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._failure = self._connect()
            except ConnectionFailed as error:
                self._failure = str(error)
            except Exception as error:  # noqa: BLE001  the sink goes on afresh; a fault is told as one
                self._failure = in_a_line(error)
            self._tried.set()
            if not self._stopping.is_set():
                self._failures += 1
                self._say_once(self._failure)
                self._stopping.wait(wait_seconds(self._failures))

    def _connect(self) -> str:
        """Connect and publish until the connection is lost; returns what has happened to it."""
        available = self._topics.available
        connection = BrokerConnection(
            self._broker,
            self._context,
            will=(available, "offline"),
            on_message=self._receive,
            on_lost=self._wake.set,
        )
        begun = time.monotonic()
        try:
            with self._lock:
                self._live = self._afresh = True
            subscriptions = [(self._topics.topics, 0), (available, 0), (self._topics.any_set, 1)]
            if self._home_assistant:
                subscriptions.append((f"{self._prefix}/status", 0))
            connection.subscribe(subscriptions)
            if self._publish(connection):
                self._say_once(self._connected_text)
                self._connection = connection
                self._tried.set()
            while not self._stopping.is_set() and self._publish(connection):
                self._switch()
                self._wake.wait(1.0)
                self._wake.clear()
                if time.monotonic() - begun > LONGEST_WAIT_SECONDS:  # no other client takes the connection away
                    self._failures = 0
                    self._told = {self._connected_text}
            if self._publish(connection):  # what came before the stop
                self._publish_end(connection)
        finally:
            self._connection = None
            with self._lock:
                self._live = False
                self._waiting.clear()
            connection.close()
        return self._lost_text

    def _publish(self, connection: BrokerConnection) -> bool:
        """Publish all that waits, retained; returns whether the connection is still there."""
        while not connection.lost:
            if self._afresh:
                self._refill()
            with self._lock:
                batch = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
                if not batch and not self._afresh:
                    self._retained_before.clear()  # the broker has removed it
                    return True
            numbers = [connection.publish(*message, retain=True) for message in batch]
            connection.acknowledged(numbers)
        return False

    def _publish_end(self, connection: BrokerConnection) -> None:
        """Publish that the cameras and the service have stopped."""
        statuses = [topic for fact, topic in self._topics.facts.items() if fact.kind == "status"]
        ends = [*statuses, self._topics.available]
        connection.acknowledged([connection.publish(topic, "stopped", retain=True) for topic in ends])

    def _refill(self) -> None:
        """Let all that is true wait, before the changes that come from now on."""
        with self._lock:
            self._afresh = False
            self._waiting.clear()
            topics, before = self._topics, list(self._retained_before)
        facts = self._board.facts()
        found = self._devices(topics)
        retained = self._retained(topics, found)
        messages: list[Message] = [(topics.available, "online")]
        for old in before:
            messages += _removals(old, retained, found)
        messages += [(topic, _json(device)) for topic, device in found.items()]
        messages += topics.messages(facts).items()
        messages.append((topics.topics, _json(retained)))
        with self._lock:
            self._waiting.extendleft(reversed(messages))

    def _devices(self, topics: Topics) -> dict[str, dict[str, Any]]:
        return devices(topics, prefix=self._prefix, snapshots=self._snapshots) if self._home_assistant else {}

    def _retained(self, topics: Topics, found: Mapping[str, Mapping[str, Any]]) -> Retained:
        return {
            "topics": [*topics.facts.values(), *(topics.snapshots if self._snapshots else ()), *found],
            "components": {
                topic: {key: part["p"] for key, part in device["cmps"].items()} for topic, device in found.items()
            },
        }

    def _receive(self, message: MQTTMessage) -> None:
        """A message from the broker, in the thread of the network.

        A retained one says what was so before this connection: the topics of an earlier process are of use.
        """
        topics, topic = self._topics, message.topic
        if (camera := topics.camera_set(topic)) is not None:
            if not message.retain and (value := message.payload.strip().upper()) in (b"ON", b"OFF"):
                self._commands.append((camera, value == b"ON"))
        elif message.retain:
            if topic == topics.topics and (old := self._read_retained(message.payload)) is not None:
                with self._lock:
                    self._retained_before.append(old)
                    self._afresh = True
        else:
            is_online = message.payload == b"online"
            is_late_will = topic == topics.available and not is_online  # of the connection before
            if is_late_will or (topic == f"{self._prefix}/status" and is_online):  # Home Assistant has started
                self._afresh = True
        self._wake.set()

    def _read_retained(self, payload: bytes | bytearray) -> Retained | None:
        """What an earlier process retained; None where this one retains all of it, or the payload is from elsewhere."""
        try:
            values = json.loads(payload)
            ours = (f"{self._base}/", f"{self._prefix}/device/")
            topics = [topic for topic in values["topics"] if topic.startswith(ours) and not set(topic) & set("+#")]
            components = {topic: {**parts} for topic, parts in values["components"].items()}
        except (ValueError, TypeError, KeyError, AttributeError):
            return None
        now = self._retained(self._topics, self._devices(self._topics))
        same = set(topics) <= set(now["topics"]) and components == now["components"]
        return None if same else {"topics": topics, "components": components}

    def _switch(self) -> None:
        """Do what was asked for at the topics `enabled/set`."""
        while self._commands:
            camera, enabled = self._commands.popleft()
            try:
                self._set_enabled(camera, enabled)
            except Exception as error:  # noqa: BLE001  the sink goes on; a fault is told as one
                self._say(f"mqtt: camera {camera} cannot be switched: {in_a_line(error)}")

    def _say_once(self, text: str) -> None:
        """Say what has not been said since the connection was good for the last time."""
        if text not in self._told:
            self._told.add(text)
            self._say(f"mqtt: {text}")


def _removals(old: Retained, now: Retained, found: Mapping[str, Mapping[str, Any]]) -> list[Message]:
    """The messages that remove what is retained no more: components of devices that stay, devices, then other topics.

    In this order Home Assistant does not read empty payloads as states.
    """
    messages: list[Message] = []
    for topic, device in found.items():
        parts = old["components"].get(topic, {})
        if gone := {key: platform for key, platform in parts.items() if key not in device["cmps"]}:
            messages.append((topic, _json(without(device, gone))))
    gone_topics = [topic for topic in old["topics"] if topic not in now["topics"]]
    gone_topics.sort(key=lambda topic: topic not in old["components"])
    return messages + [(topic, "") for topic in gone_topics]


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False)
