"""One connection to an MQTT broker."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from socket import SHUT_RDWR
from typing import TYPE_CHECKING, Any

from actionstream.models.common.errors import ActionstreamError, in_a_line

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessage

IN_FLIGHT = 100
"""The most messages that wait for the broker's acknowledgement at one time."""
CLOSE_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Broker:
    """How a broker is reached; see `serve`'s settings.

    Raises ActionstreamError where the file of certificates cannot be used.
    """

    host: str
    port: int
    user: str | None
    password: str | None
    tls: bool
    ca_file: Path | None
    client_id: str
    keepalive_seconds: int

    def __str__(self) -> str:
        return f"the broker {self.host}:{self.port}"

    def tls_context(self) -> ssl.SSLContext | None:
        try:
            return ssl.create_default_context(cafile=self.ca_file) if self.tls else None
        except OSError as error:
            raise ActionstreamError(f"the file of certificates {self.ca_file} cannot be used: {error}") from error


class ConnectionFailed(Exception):
    """The broker cannot be reached, or does not take this client."""


class BrokerConnection:
    """A connection to a broker with a persistent session, MQTT 3.1.1, QoS 1; once it is lost, it stays lost.

    Each connection has a client of paho-mqtt of its own. A client that connects again sends again what it holds, while
    another thread publishes: then messages arrive in another order than they were published in.

    will        topic and payload that the broker publishes, retained, when this connection is lost; None: the broker
                keeps no session either
    on_message  gets all messages, in the thread of the network: it must not wait
    on_lost     is called once, in any thread

    Raises ConnectionFailed.
    """

    def __init__(
        self,
        broker: Broker,
        context: ssl.SSLContext | None,
        *,
        will: tuple[str, str] | None,
        on_message: Callable[[MQTTMessage], None],
        on_lost: Callable[[], None],
    ):
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self.lost = False
        self._patience_seconds = broker.keepalive_seconds
        self._on_lost = on_lost
        self._changed = threading.Condition()
        self._refusal: str | None = None
        self._connected = False
        self._acknowledged: set[int] = set()
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=broker.client_id,
            clean_session=will is None,
            reconnect_on_failure=False,
        )
        if broker.user is not None:
            self._client.username_pw_set(broker.user, broker.password)
        if context is not None:
            self._client.tls_set_context(context)
        if will is not None:
            self._client.will_set(*will, qos=1, retain=True)
        self._client.max_inflight_messages_set(IN_FLIGHT)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_message = lambda _client, _data, message: on_message(message)
        try:
            self._client.connect(broker.host, broker.port, keepalive=broker.keepalive_seconds)
        except (OSError, ValueError) as error:  # ValueError: an address that cannot be one
            raise ConnectionFailed(f"{broker} cannot be reached: {in_a_line(error)}") from error
        self._client.loop_start()
        with self._changed:
            self._changed.wait_for(lambda: self._connected or self.lost, self._patience_seconds)
        if not self._connected or self.lost:
            self.close()
            raise ConnectionFailed(f"{broker} {self._refusal or 'does not answer'}")

    def subscribe(self, topics: Iterable[tuple[str, int]]) -> None:
        """Subscribe to topics, each with its QoS."""
        self._client.subscribe(list(topics))

    def publish(self, topic: str, payload: str | bytes, *, retain: bool) -> int:
        """Send a message with QoS 1; returns its number for `acknowledged`. It is lost with the connection."""
        return self._client.publish(topic, payload, qos=1, retain=retain).mid

    def acknowledged(self, numbers: Sequence[int]) -> int:
        """Wait until the broker has acknowledged messages; returns how many, from the first one on without a gap.

        They are fewer only where the connection is lost: one with a broker that says nothing for the time of
        `keepalive_seconds` is ended here.
        """
        for done, number in enumerate(numbers):
            with self._changed:
                while number not in self._acknowledged:
                    if self.lost:
                        return done
                    if not self._changed.wait(self._patience_seconds):
                        self._lose()
                self._acknowledged.discard(number)
        return len(numbers)

    def close(self) -> None:
        """Take leave of the broker, so that it does not publish the will, and end the thread."""
        self._client.disconnect()
        with self._changed:
            self._changed.wait_for(lambda: self.lost, CLOSE_SECONDS)
        self._lose()
        self._client.loop_stop()
        self._client.on_connect = self._client.on_disconnect = self._client.on_publish = self._client.on_message = None

    def _lose(self) -> None:
        connected: Any = self._client.socket()
        if connected is not None:
            with suppress(OSError):
                connected.shutdown(SHUT_RDWR)
        self._end()

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        with self._changed:
            self._connected = not reason.is_failure
            self._refusal = f"refuses the connection: {reason}" if reason.is_failure else None
            self._changed.notify_all()

    def _on_disconnect(self, *_: Any) -> None:
        self._end()

    def _end(self) -> None:
        with self._changed:
            was, self.lost = self.lost, True
            self._changed.notify_all()
        if not was:
            self._on_lost()

    def _on_publish(self, _client: Any, _data: Any, number: int, _reason: Any, _properties: Any) -> None:
        with self._changed:
            self._acknowledged.add(number)
            self._changed.notify_all()
