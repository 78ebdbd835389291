"""Device discovery of Home Assistant over MQTT (2024.11 and later): one device for each camera.

https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from actionstream.serve.board import Fact
from actionstream.serve.topics import Topics


def devices(topics: Topics, *, prefix: str, snapshots: bool) -> dict[str, dict[str, Any]]:
    """The topic and the payload of the discovery of each camera.

    prefix     the discovery prefix in Home Assistant's settings
    snapshots  whether pictures are published
    """
    found = {}
    for camera in topics.cameras:
        ident = re.sub("[^A-Za-z0-9_-]", "-", topics.folder(camera))
        parts = _components(topics, camera, snapshots)
        found[f"{prefix}/device/{ident}/config"] = {
            "dev": {
                "ids": [ident],
                "name": camera,
                "mf": "actionstream",
                "mdl": "camera with action recognition",
                "sw": version("actionstream"),
            },
            "o": {"name": "actionstream", "sw": version("actionstream")},
            "cmps": {key: {**part, "unique_id": f"{ident}-{key}"} for key, part in parts.items()},
        }
    return found


def without(device: Mapping[str, Any], gone: Mapping[str, str]) -> dict[str, Any]:
    """The payload that removes components from a device: they have only their platform in it.

    gone  the platforms of the components by their keys
    """
    stubs = {key: {"p": platform} for key, platform in gone.items()}
    return {**device, "cmps": {**device["cmps"], **stubs}}


def _components(topics: Topics, camera: str, snapshots: bool) -> dict[str, dict[str, Any]]:
    has, folder = topics.cameras[camera], topics.folder(camera)
    status = topics.facts[Fact("status", camera)]
    online = {"topic": topics.available, "value_template": _only("online")}
    here: dict[str, Any] = {"availability": [online]}
    live = {"availability": [online, {"topic": status, "value_template": _only("live")}], "availability_mode": "all"}
    parts: dict[str, dict[str, Any]] = {
        "enabled": {
            "p": "switch",
            "name": "Enabled",
            "state_topic": topics.facts[Fact("enabled", camera)],
            "command_topic": f"{folder}/enabled/set",
            "payload_on": "ON",
            "payload_off": "OFF",
            "qos": 1,
            "entity_category": "config",
            **here,
        },
        "status": {"p": "sensor", "name": "Status", "state_topic": status, "entity_category": "diagnostic", **here},
        "events": {
            "p": "event",
            "name": "Event",
            "state_topic": f"{folder}/events",
            "event_types": list(has.labels),
            "qos": 1,
            **here,
        },
    }
    for region in has.places:
        place = topics.folder(camera, region)
        before = f"{region} " if region is not None else ""
        key = place.removeprefix(folder).strip("/")
        key = f"{key}-" if key else ""
        parts[f"{key}label"] = {
            "p": "sensor",
            "name": f"{before}label" if before else "Label",
            "state_topic": topics.facts[Fact("label", camera, region)],
            **live,
        }
        for label in has.labels:
            topic = topics.facts[Fact("on", camera, region, label)]
            parts[f"{key}labels-{topic.rpartition('/')[2]}"] = {
                "p": "binary_sensor",
                "name": f"{before}{label}",
                "state_topic": topic,
                "value_template": "{{ value_json.state }}",
                "json_attributes_topic": topic,
                "payload_on": "ON",
                "payload_off": "OFF",
                **live,
            }
        if snapshots:
            parts[f"{key}snapshot"] = {
                "p": "image",
                "name": f"{before}snapshot" if before else "Snapshot",
                "image_topic": f"{place}/snapshot",
                "content_type": "image/jpeg",
                **here,
            }
    return parts


def _only(value: str) -> str:
    """A template that gives "online" for one payload, "offline" for all others."""
    return "{{ 'online' if value == '" + value + "' else 'offline' }}"
