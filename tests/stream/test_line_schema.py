"""The JSON Schema is true: every kind of line has its place in it, and no field is missing."""

import json
from collections import Counter

import pytest
from jsonschema import Draft202012Validator

from actionstream.records import EventRecord
from actionstream.results import Counts, Notice
from actionstream.sinks.json_lines import SCHEMA_FILE

SCHEMA = json.loads(SCHEMA_FILE.read_text())
LINE = Draft202012Validator(SCHEMA)
OF_ONE_KIND = {
    name: Draft202012Validator({"$defs": SCHEMA["$defs"], "$ref": f"#/$defs/{name}"})
    for name in (each["$ref"].split("/")[-1] for each in SCHEMA["oneOf"])
}


def kind(value):
    """The kind of a line, of which it has all fields and no others."""
    LINE.validate(value)
    (name,) = [name for name, validator in OF_ONE_KIND.items() if validator.is_valid(value)]
    properties = SCHEMA["$defs"][name]["properties"]
    assert list(value) == list(properties), name
    return name


def record(**options):
    return EventRecord(
        id="0197b5f5-5a2e-7c31-a1d2-0123456789ab",
        camera="door",
        region=None,
        label="wave",
        model="motion",
        best_score=0.9,
        start_seconds=1.0,
        start_wall=1.8e9,
        **options,
    )


def test_it_is_a_schema_and_says_what_each_field_is():
    Draft202012Validator.check_schema(SCHEMA)
    for name in OF_ONE_KIND:
        definition = SCHEMA["$defs"][name]
        assert definition["description"]
        assert definition["required"] == list(definition["properties"])
        assert definition["additionalProperties"] is False
    plain = [each for name in OF_ONE_KIND for each in SCHEMA["$defs"][name]["properties"].values()]
    assert all("description" in each or "enum" in each or "$ref" in each for each in plain)


def test_lines_of_the_sample(run):
    _, out, _ = run("watch", "sample", "--json", "--timeline")
    kinds = Counter(kind(json.loads(line)) for line in out.splitlines())
    assert set(kinds) == {"prediction", "event", "segment", "video", "close"}
    assert kinds["prediction"] == 330
    _, out, _ = run("watch", "sample", "--json", "--events")
    assert {kind(json.loads(line)) for line in out.splitlines()} == {"event", "close"}


@pytest.mark.parametrize("event", ["connect", "disconnect", "retry", "reconnect", "warning"])
def test_notices(event):
    assert kind(Notice(stream="a", event=event, time_seconds=1.0, reason="why").to_dict()) == "notice"


def test_a_close_that_came_too_early():
    counts = Counts(received=3, labelled=1, dropped={"late": 2})
    notice = Notice(stream="a", event="close", time_seconds=1.0, reason="why", counts=counts, warnings=("slow",))
    assert kind(notice.to_dict()) == "close"


def test_records():
    values = [
        record(type="new", seq=0, score=0.6),
        record(type="update", seq=1, score=0.9, clip="door/a.mp4", snapshot="door/a.jpg"),
        record(type="end", seq=2, score=0.2, end_seconds=2.0, end_wall=1.8e9 + 1, reason="restart"),
    ]
    assert [kind(value.to_dict()) for value in values] == ["record"] * 3


@pytest.mark.parametrize(
    "change",
    [{"schema": "other/1"}, {"event": "begin"}, {"score": 2}, {"wall_time": "yesterday"}, {"more": 1}, {"label": None}],
)
def test_what_is_wrong_is_found(change):
    right = {
        "schema": "actionstream/1",
        "stream": "a",
        "event": "start",
        "id": "0197b5f5-5a2e-7c31-a1d2-0123456789ab",
        "label": "wave",
        "time_seconds": 1.0,
        "wall_time": "2026-11-26T00:00:00.000Z",
        "score": 0.7,
    }
    assert LINE.is_valid(right)
    assert not LINE.is_valid(right | change)


def test_it_is_printed(run):
    code, out, err = run("watch", "--json-schema")
    assert (code, json.loads(out), err) == (0, SCHEMA, "")
