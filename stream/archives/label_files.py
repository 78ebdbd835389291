"""The files of a labelled video."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from actionstream.evaluation.activitynet import write_results
from actionstream.evaluation.detection_table import write_table
from actionstream.evaluation.segments import SegmentRow, Segments
from actionstream.models.card import Card
from actionstream.models.common.files import atomic_write, write_text
from actionstream.results import Segment
from actionstream.scoring.segments import SURE, sure_segments
from actionstream.videos.label import LabelledVideo
from actionstream.videos.picture import draw_timeline
from actionstream.videos.subtitles import subtitles
from actionstream.videos.thumbnails import Thumbnails


def rows_of(name: str, segments: Iterable[Segment]) -> list[SegmentRow]:
    """The segments of a video as rows, with times to the millisecond."""
    return [
        (name, round(each.start_seconds, 3), round(each.end_seconds, 3), each.label, round(each.score, 6))
        for each in segments
    ]


def write_found(
    found: LabelledVideo,
    name: str,
    targets: Mapping[str, Path],
    *,
    card: Card,
    thumbnails: Thumbnails,
    threshold: float = SURE,
) -> None:
    """Write the results of a video.

    targets    the file of each kind: json and png, and of srt, vtt, csv and npz those that are wanted. JSON comes last:
               with it, all are there
    threshold  of the segments in subtitles
    """
    targets["json"].parent.mkdir(parents=True, exist_ok=True)  # a name may have folders
    with atomic_write(targets["png"]) as picture:
        draw_timeline(
            picture,
            found,
            title=name,
            labels=card.labels,
            interval_seconds=card.interval_seconds,
            thumbnails=thumbnails,
        )
    for kind in ("srt", "vtt"):
        if kind in targets:
            write_text(targets[kind], subtitles(sure_segments(found.segments, threshold), kind=kind))
    if "csv" in targets:
        write_table(targets["csv"], Segments.from_rows(rows_of(name, sure_segments(found.segments, 0.0))))
    if "npz" in targets:
        with atomic_write(targets["npz"]) as path, path.open("wb") as file:  # given a name, numpy would append .npz
            np.savez_compressed(
                file,
                times_seconds=found.scores.times_seconds,
                scores=found.scores.scores,
                probabilities=found.probabilities,
                overall=found.overall,
                labels=np.array(card.labels),
                duration_seconds=found.scores.duration_seconds,
            )
    write_results(targets["json"], Segments.from_rows(rows_of(name, found.segments)), videos=[name])
