"""The limits on visitors: each is an option of `actionstream demo`, and a row of the table in README.md beside this."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from actionstream.models.common.checked import checked
from actionstream.teaching.looking import MOST_SECONDS

Count = Annotated[int, Field(ge=1, le=100_000)]
Seconds = Annotated[float, Field(gt=0, le=1e6)]
Kilobytes = Annotated[float, Field(ge=1, le=1e6)]
Megabytes = Annotated[float, Field(gt=0, le=1e6)]


@checked
class Limits:
    """The limits on visitors; see `actionstream demo --help`."""

    max_megabytes: Megabytes = 200.0
    max_minutes: Annotated[float, Field(gt=0, le=1e5)] = 10.0
    max_height: Annotated[int, Field(ge=1, le=16_384)] = 1440
    max_stored_megabytes: Annotated[float, Field(gt=0, le=1e9)] = 4000.0
    max_uploads_per_client: Count = 8
    min_upload_kilobytes: Kilobytes = 8.0
    upload_seconds: Seconds = 60.0
    max_model_megabytes: Megabytes = 500.0
    max_snapshot_megabytes: Megabytes = 300.0
    max_checkpoints: Count = 3
    max_models: Count = 12
    max_pages: Count = 128
    max_pages_per_client: Count = 16
    idle_seconds: Seconds = 5.0
    max_streams: Count = 32
    max_streams_per_client: Count = 8
    silent_seconds: Seconds = 20.0
    max_labels: Count = 30
    max_examples: Count = 100
    max_examples_megabytes: Megabytes = 16.0
    max_example_seconds: Annotated[float, Field(ge=1, le=MOST_SECONDS)] = 20.0
    max_lessons: Count = 64
    max_lessons_per_client: Count = 8
    lesson_seconds: Seconds = 600.0
    max_annotations_kilobytes: Kilobytes = 2000.0
    max_frame_kilobytes: Kilobytes = 1000.0
    max_frame_pixels: Annotated[int, Field(ge=1, le=100_000_000)] = 1280 * 1280
    max_call_kilobytes: Kilobytes = 64.0
    max_calls_per_page: Count = 16
    max_waiting_calls: Count = 64
    max_connections: Count = 512
    max_connections_per_client: Count = 64
    max_requests_per_client: Count = 64
    max_head_kilobytes: Kilobytes = 16.0
    head_seconds: Seconds = 10.0
    body_seconds: Seconds = 10.0
    stalled_seconds: Seconds = 60.0
    allow_private: bool = False
