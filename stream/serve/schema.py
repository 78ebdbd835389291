"""The JSON Schema of cameras.toml, with which editors complete and check it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from actionstream.serve.settings import Settings

SCHEMA_FILE = Path(__file__).with_name("cameras.schema.json")
EXAMPLE_FILE = Path(__file__).with_name("cameras.example.toml")


def make_schema() -> str:
    """The text of SCHEMA_FILE."""
    schema = _for_toml(Settings.model_json_schema())
    parts = schema["$defs"]
    camera = parts["Camera"]
    parts["Defaults"] = {key: value for key, value in camera.items() if key != "required"}
    parts["Defaults"]["description"] = "What holds for all cameras that do not say otherwise."
    schema["properties"]["defaults"] = {"$ref": "#/$defs/Defaults"}
    period = {"$ref": "#/$defs/Period"}
    schedule = camera["properties"]["schedule"]
    camera["properties"]["schedule"] = {
        "anyOf": [period, {"type": "array", "items": period}],
        "description": schedule["description"],
    }
    source = camera["properties"]["source"]
    source["anyOf"] = [*source["anyOf"], {"type": "integer", "minimum": 0}]
    region = parts["Region"]
    lists = [region["properties"][key] for key in ("box", "polygon")]
    parts["Region"] = {"anyOf": [*lists, region], "description": region["description"]}
    schema["required"] = ["cameras"]
    schema["properties"]["cameras"]["minProperties"] = 1
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "cameras.toml of actionstream", **schema}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _for_toml(value: Any) -> Any:
    """A schema without what TOML has not, null; and without titles, which are the names again."""
    if isinstance(value, list):
        return [_for_toml(each) for each in value if each != {"type": "null"}]
    if not isinstance(value, dict):
        return value
    kept = {
        key: {name: _for_toml(each) for name, each in inner.items()}
        if key in ("properties", "$defs")
        else _for_toml(inner)
        for key, inner in value.items()
        if key != "title" and not (key == "default" and inner is None)
    }
    if len(kept.get("anyOf", ())) == 1:
        (only,) = kept.pop("anyOf")
        kept = only | kept
    return kept
