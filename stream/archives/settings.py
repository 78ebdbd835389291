"""What made the results of a folder, kept in it: another run goes on with the same, or is refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from actionstream.archives.jobs import ModelJob
from actionstream.models.common.checked import Plain, ShortText, checked, parse_json, read_json
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import write_text
from actionstream.models.locate import locate

FILE = "job.json"

Job = TypeVar("Job", bound=ModelJob)


@checked
class Settings:
    """asked: the job as the user gave it; pinned: with what a machine chose; digest: SHA-256 of the model's file."""

    asked: Plain
    pinned: Plain
    digest: ShortText


def pin(job: Job, folder: Path, *, num_threads: int) -> Job:
    """The job with all that a machine would choose: as the results in the folder were made, where it has some.

    Raises ActionstreamError where they were made with other settings, or with another file of the model.
    """
    model = locate(job.model)
    digest = hashlib.sha256(model.path.read_bytes()).hexdigest() if model.is_here and model.path else ""
    file = folder / FILE
    if not file.is_file():
        scorer = job.open_scorer()
        pinned = job.pinned(scorer, num_threads=num_threads)
        settings = Settings(asked=asdict(job), pinned=asdict(pinned), digest=digest)
        write_text(file, json.dumps(asdict(settings), indent=1))
        return pinned
    there = read_json(file, Settings)
    asked, pinned = (parse_json(json.dumps(each), type(job), file) for each in (there.asked, there.pinned))
    for name, theirs in asdict(asked).items():
        if (ours := getattr(job, name)) != theirs:
            raise ActionstreamError(
                f"{folder} has results that were made with {name} {theirs}, not {ours}; take another folder"
            )
    if digest != there.digest:
        raise ActionstreamError(f"{folder} has results of another file {job.model}; take another folder")
    return pinned
