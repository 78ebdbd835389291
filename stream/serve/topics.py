"""Topics of MQTT: their names, and what the retained ones say.

    <base>/available                            online | stopped | offline (the will of the connection)
    <base>/events                               each record as JSON; not retained, as all that has "events" in its name
    <base>/topics                               what this process retains, as JSON: the next one removes what it has not
    <base>/<camera>/status                      connecting | live | disconnected | ... | stopped
    <base>/<camera>/enabled/state               ON | OFF
    <base>/<camera>/enabled/set                 ON | OFF, from others
    <base>/<camera>/events                      each record of type new, with the label as "event_type"
    <base>/<camera>[/<region>]/label            name of the current label, or none
    <base>/<camera>[/<region>]/labels/<label>   JSON: {"state": "ON" | "OFF", "camera": ., "region": ., "label": .}
    <base>/<camera>[/<region>]/snapshot         JPEG of the start of the last event

The names of cameras, regions and labels in topics are slugs. A label's state is JSON, so that the name as it was given
comes with the state in one message; a topic of its own for the name could be read before or after it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actionstream.serve.board import Fact
from actionstream.serve.slugs import slugs

NO_LABEL = "none"


@dataclass(frozen=True, slots=True)
class CameraTopics:
    """What there is to say of a camera.

    labels   names of the labels that are told
    regions  names of the regions; None among them is the whole picture, which is all there is without regions
    """

    labels: tuple[str, ...]
    regions: tuple[str | None, ...] = ()

    @property
    def places(self) -> tuple[str | None, ...]:
        return self.regions or (None,)


class Topics:
    """The topics of cameras below a base.

    cameras  what there is to say of each camera, by its name
    facts    the retained topic of each fact
    """

    def __init__(self, base: str, cameras: Mapping[str, CameraTopics]):
        self.cameras = dict(cameras)
        self.available = f"{base}/available"
        self.events = f"{base}/events"
        self.topics = f"{base}/topics"
        self.any_set = f"{base}/+/enabled/set"
        self._folders: dict[tuple[str, str | None], str] = {}
        self._set: dict[str, str] = {}
        self.facts: dict[Fact, str] = {}
        for camera, name in slugs(self.cameras).items():
            self._add(camera, f"{base}/{name}", self.cameras[camera])

    def _add(self, camera: str, folder: str, has: CameraTopics) -> None:
        self._folders[camera, None] = folder
        self._set[f"{folder}/enabled/set"] = camera
        self.facts[Fact("status", camera)] = f"{folder}/status"
        self.facts[Fact("enabled", camera)] = f"{folder}/enabled/state"
        regions = slugs(region for region in has.regions if region is not None)
        labels = slugs(has.labels)
        for region in has.places:
            place = folder if region is None else f"{folder}/{regions[region]}"
            self._folders[camera, region] = place
            self.facts[Fact("label", camera, region)] = f"{place}/label"
            for label, name in labels.items():
                self.facts[Fact("on", camera, region, label)] = f"{place}/labels/{name}"

    def folder(self, camera: str, region: str | None = None) -> str:
        """Where the topics of a camera, or of a region in it, are; KeyError where there is no such camera or region."""
        return self._folders[camera, region]

    def snapshot(self, camera: str, region: str | None) -> str | None:
        """The topic of pictures; None where there is no such camera or region."""
        return f"{self._folders[camera, region]}/snapshot" if (camera, region) in self._folders else None

    @property
    def snapshots(self) -> list[str]:
        """All topics of pictures."""
        return [
            f"{self.folder(camera, place)}/snapshot" for camera, has in self.cameras.items() for place in has.places
        ]

    def camera_set(self, topic: str) -> str | None:
        """The camera that a topic switches on and off."""
        return self._set.get(topic)

    def message(self, fact: Fact, value: Any) -> tuple[str, str] | None:
        """The retained topic and the payload of a fact; value None means that it is not set any more.

        None where the fact has no topic. An empty payload removes a topic.
        """
        topic = self.facts.get(fact)
        return None if topic is None else (topic, _payload(fact, value))

    def messages(self, facts: Mapping[Fact, Any]) -> dict[str, str]:
        """All that is true now: topics and payloads. What nothing is known of is off; a status has to be known."""
        told = {topic: _payload(fact, facts.get(fact)) for fact, topic in self.facts.items()}
        return {topic: payload for topic, payload in told.items() if payload}


def _payload(fact: Fact, value: Any) -> str:
    if fact.kind == "status":
        return "" if value is None else value[0]
    if fact.kind == "enabled":
        return "" if value is None else _switch(value)
    if fact.kind == "label":
        return value or NO_LABEL
    names = {"camera": fact.camera, "region": fact.region, "label": fact.label}
    return json.dumps({"state": _switch(value), **names}, ensure_ascii=False)


def _switch(value: bool | None) -> str:
    return "ON" if value else "OFF"
