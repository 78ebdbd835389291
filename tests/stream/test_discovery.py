"""Home Assistant's device discovery: each field against its documents."""

import re
from importlib.metadata import version

import pytest

from actionstream.serve.discovery import devices, without
from actionstream.serve.topics import CameraTopics, Topics

CAMERAS = {
    "Hall / east": CameraTopics(("wave", "a / b"), ("Door", None)),
    "yard": CameraTopics(("wave", "sit down")),
}
TOPICS = Topics("home/cams", CAMERAS)
FIELDS = {
    "binary_sensor": {"state_topic", "value_template", "json_attributes_topic", "payload_on", "payload_off"},
    "event": {"state_topic", "event_types", "qos"},
    "sensor": {"state_topic"},
    "switch": {"state_topic", "command_topic", "payload_on", "payload_off", "qos", "entity_category"},
    "image": {"image_topic", "content_type"},
}
"""The fields of each platform beside those of all; `entity_category` is another of the sensor of the status."""
COMMON = {"p", "name", "unique_id", "availability", "availability_mode"}


@pytest.fixture(scope="module")
def found():
    return devices(TOPICS, prefix="homeassistant", snapshots=True)


def test_a_device_for_each_camera(found):
    east, yard = "homeassistant/device/home-cams-hall_east/config", "homeassistant/device/home-cams-yard/config"
    assert list(found) == [east, yard]
    for topic, ident, name in ((east, "home-cams-hall_east", "Hall / east"), (yard, "home-cams-yard", "yard")):
        device = found[topic]
        assert set(device) == {"dev", "o", "cmps"}
        assert set(device["dev"]) == {"ids", "name", "mf", "mdl", "sw"}
        assert device["dev"]["ids"] == [ident]
        assert device["dev"]["name"] == name
        assert device["o"] == {"name": "actionstream", "sw": version("actionstream")}
        assert re.fullmatch(r"homeassistant/device/[a-zA-Z0-9_-]+/config", topic)


def test_components_have_the_fields_of_their_platforms(found):
    for device in found.values():
        for part in device["cmps"].values():
            assert set(part) - COMMON - {"entity_category"} == FIELDS[part["p"]] - {"entity_category"}
            assert COMMON - {"availability_mode"} <= set(part)


def test_components_of_a_camera(found):
    east, yard = (device["cmps"] for device in found.values())
    assert {key: part["p"] for key, part in yard.items()} == {
        "enabled": "switch",
        "status": "sensor",
        "events": "event",
        "label": "sensor",
        "labels-wave": "binary_sensor",
        "labels-sit_down": "binary_sensor",
        "snapshot": "image",
    }
    places = {"door-label", "door-labels-wave", "door-labels-a_b", "door-snapshot"}
    places |= {"label", "labels-wave", "labels-a_b", "snapshot"}
    assert set(east) == places | {"enabled", "status", "events"}
    assert east["door-labels-a_b"]["name"] == "Door a / b"
    assert east["labels-a_b"]["name"] == "a / b"
    assert east["events"]["event_types"] == ["wave", "a / b"]


def test_unique_ids_are_unique_and_stay(found):
    ids = [part["unique_id"] for device in found.values() for part in device["cmps"].values()]
    assert len(set(ids)) == len(ids)
    fewer = devices(Topics("home/cams", {"yard": CameraTopics(("sit down",))}), prefix="ha", snapshots=False)
    assert {part["unique_id"] for device in fewer.values() for part in device["cmps"].values()} < set(ids)
    assert list(fewer) == ["ha/device/home-cams-yard/config"]
    elsewhere = devices(Topics("home", CAMERAS), prefix="homeassistant", snapshots=True)
    assert not {part["unique_id"] for device in elsewhere.values() for part in device["cmps"].values()} & set(ids)


def test_topics_are_those_that_are_published(found):
    published = {*TOPICS.facts.values(), *TOPICS.snapshots, *(f"{TOPICS.folder(each)}/events" for each in CAMERAS)}
    named = set()
    for camera, device in zip(CAMERAS, found.values(), strict=True):
        for part in device["cmps"].values():
            named |= {part[field] for field in ("state_topic", "json_attributes_topic", "image_topic") if field in part}
        assert TOPICS.camera_set(device["cmps"]["enabled"]["command_topic"]) == camera
    assert named == published


def test_states_are_known_while_the_service_and_the_camera_are(found):
    online = {"topic": "home/cams/available", "value_template": "{{ 'online' if value == 'online' else 'offline' }}"}
    live = {"topic": "home/cams/yard/status", "value_template": "{{ 'online' if value == 'live' else 'offline' }}"}
    parts = found["homeassistant/device/home-cams-yard/config"]["cmps"]
    for key, part in parts.items():
        if key.startswith("label"):
            assert part["availability"] == [online, live]
            assert part["availability_mode"] == "all"
        else:
            assert part["availability"] == [online]


def test_components_that_go_have_only_their_platform(found):
    device = found["homeassistant/device/home-cams-yard/config"]
    told = without(device, {"labels-jump": "binary_sensor"})
    assert told["cmps"].pop("labels-jump") == {"p": "binary_sensor"}
    assert told == device
