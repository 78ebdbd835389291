"""The sinks of a service, as its settings name them, each with its delivery."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic

from pydantic import SecretStr

from actionstream.models.common.errors import ActionstreamError
from actionstream.serve.board import Board
from actionstream.serve.delivery import Delivery, EventSink
from actionstream.serve.json_file import JsonFileSink
from actionstream.serve.model_labels import labels_of
from actionstream.serve.mqtt import MqttSink
from actionstream.serve.settings import Camera, JsonFile, Mqtt, Settings, Webhook
from actionstream.serve.store import Store
from actionstream.serve.topics import CameraTopics
from actionstream.serve.webhook import WebhookSink

STOP_SECONDS = 3.0
"""How long sinks may take for what waits, when they are stopped."""


class Sinks:
    """Opens and closes sinks as settings come; a sink whose settings stay goes on. All calls belong to one thread.

    enable  switches a camera on or off; called by the threads of sinks
    """

    def __init__(
        self,
        store: Store,
        board: Board,
        *,
        enable: Callable[[str, bool], None],
        say: Callable[[str], None],
        clock: Callable[[], float],
    ):
        self._store = store
        self._board = board
        self._enable = enable
        self._say = say
        self._clock = clock
        self._wanted: dict[str, Mqtt | Webhook | JsonFile] = {}
        self._are_stored = False  # whether the wanted ones have their places in the store
        self._cameras: dict[str, CameraTopics] = {}
        self._settings: dict[str, Mqtt | Webhook | JsonFile] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._failures: dict[str, str] = {}

    def set(self, settings: Settings) -> None:
        """Take new settings."""
        wanted: dict[str, Mqtt | Webhook | JsonFile] = {
            f"webhook {name}": each for name, each in settings.webhooks.items()
        }
        if settings.mqtt is not None:
            wanted["mqtt"] = settings.mqtt
        if settings.json_file is not None:
            wanted["json"] = settings.json_file
        for name, each in list(self._settings.items()):
            if wanted.get(name) != each:
                del self._settings[name]
                self._deliveries.pop(name).stop(STOP_SECONDS)
        self._wanted, self._are_stored, self._failures = wanted, False, {}
        self._cameras = {name: _topics(camera) for name, camera in settings.cameras.items()}
        self.open()
        for delivery in self._deliveries.values():
            if isinstance(delivery.sink, MqttSink):
                delivery.sink.set_cameras(self._cameras)

    def open(self) -> None:
        """Open the sinks that are not open yet. What cannot be opened is said once; its records wait in the store."""
        if not self._are_stored:
            try:
                self._store.set_sinks(list(self._wanted))
            except sqlite3.Error as error:
                return self._fail("the state folder", f"no sink can be added: {error}")
            self._are_stored = True
        for name, each in self._wanted.items():
            if name in self._settings:
                continue
            try:
                sink = self._open(name, each, self._cameras)
            except ActionstreamError as error:
                self._fail(name, f"{error}; its records wait in the store")
                continue
            self._settings[name] = each
            self._deliveries[name] = Delivery(sink, self._store, self._say)
            self._deliveries[name].start()
            if self._failures.pop(name, None) is not None:
                self._say(f"{name} is open now")

    def _fail(self, name: str, text: str) -> None:
        if self._failures.get(name) != text:
            self._say(f"{name}: {text}")
        self._failures[name] = text

    def deliveries(self) -> list[Delivery]:
        """The deliveries to the sinks that are open. Any thread may call this."""
        return list(self._deliveries.values())

    def stop(self) -> None:
        """Send what waits, for some seconds, and close all sinks."""
        end = monotonic() + STOP_SECONDS
        for delivery in self._deliveries.values():
            delivery.stop(max(end - monotonic(), 0.0))
        self._deliveries.clear()

    def _open(self, name: str, settings: Mqtt | Webhook | JsonFile, cameras: Mapping[str, CameraTopics]) -> EventSink:
        match settings:
            case Mqtt():
                sink = MqttSink(
                    board=self._board,
                    cameras=cameras,
                    set_enabled=self._enable,
                    say=self._say,
                    **{**dict(settings), "password": _revealed(settings.password)},
                )
                sink.start()
                return sink
            case Webhook():
                return WebhookSink(
                    name.removeprefix("webhook "),
                    settings.url.get_secret_value(),
                    secret=_revealed(settings.secret),
                    timeout_seconds=settings.timeout_seconds,
                    headers={header: value.get_secret_value() for header, value in settings.headers.items()},
                    say=self._say,
                )
            case JsonFile():
                return JsonFileSink(
                    settings.path,
                    max_bytes=settings.max_megabytes * 1e6,
                    max_seconds=settings.max_hours * 3600,
                    keep=settings.keep,
                    clock=self._clock,
                )


def _topics(camera: Camera) -> CameraTopics:
    """The labels and the regions of a camera that are told."""
    labels, _ = labels_of(camera.model, Path())
    return CameraTopics(labels=camera.labels_told(labels), regions=tuple(camera.regions))


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
