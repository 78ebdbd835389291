"""A job as the text that goes to the processes that do it."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib import import_module
from typing import Any

from actionstream.archives.jobs import Job
from actionstream.models.common.checked import parse_json
from actionstream.models.common.errors import ActionstreamError

MODULES = {"FeaturesJob": "features_job", "LabelJob": "label_job", "ScoreJob": "score_job"}
"""Of each kind; only one is imported, as labels need no torch where the model is exported."""


def write_job(job: Job) -> str:
    """The name of its class, and JSON."""
    fields: Any = job
    return f"{type(job).__name__} {json.dumps(asdict(fields))}"


def read_job(text: str) -> Job:
    """The job of a text; ActionstreamError where another version has written it."""
    kind, _, fields = text.partition(" ")
    if kind not in MODULES:
        raise ActionstreamError(f"the job is a {kind}; expected {', '.join(MODULES)}, as this version knows them")
    job: Job = parse_json(fields, getattr(import_module(f"actionstream.archives.{MODULES[kind]}"), kind), "the job")
    return job
