"""The figures of online action detection that `evaluate --videos` prints."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from actionstream.commands.tables import print_table
from actionstream.evaluation.announcements import AnnouncementCounts
from actionstream.evaluation.live import LiveAccuracy
from actionstream.evaluation.segmental_f1 import F1_IOU_THRESHOLDS


def online_figures(accuracy: LiveAccuracy) -> dict[str, Any]:
    """The figures as plain values; None where there is nothing to measure."""
    frames, starts, f1 = accuracy.frames, accuracy.starts, accuracy.f1
    return {
        "videos": accuracy.num_videos,
        "hours": accuracy.hours,
        "frame_mAP": frames and frames.map,
        "frame_calibrated_mAP": frames and frames.calibrated_map,
        "start_mAP": starts
        and {f"{s:g}": share for s, share in zip(starts.offsets_seconds, starts.map.tolist(), strict=True)},
        "F1": f1 and {f"{iou:g}": share for iou, share in zip(F1_IOU_THRESHOLDS, f1, strict=True)},
        "segments": _counts(accuracy.counts),
        "segments_by_class": {label: _counts(each) for label, each in accuracy.by_label.items()},
    }


def _counts(counts: AnnouncementCounts) -> dict[str, Any]:
    return {
        "true": counts.true,
        "announced": counts.announced,
        "in_time": counts.in_time,
        "lateness_seconds_median": counts.lateness_percentile(50),
        "lateness_seconds_p90": counts.lateness_percentile(90),
        "repeated": counts.repeated,
        "false_alarms": counts.false_alarms,
        "false_alarms_an_hour": counts.false_alarms_an_hour,
    }


def show_online(console: Console, figures: dict[str, Any], *, max_classes: int) -> None:
    """Print the figures as tables."""
    console.print(
        "\nonline, as watch announces segments: {hours:.2f} hours of video, {videos} labelled\n".format(**figures)
    )
    if figures["frame_mAP"] is not None:
        frames = [["mAP of frames", "frame_mAP"], ["calibrated mAP of frames", "frame_calibrated_mAP"]]
        print_table(console, ["", "%"], [[name, _percent(figures[key])] for name, key in frames])
        console.print()
    for name, key, over, unit in (("mAP of starts", "start_mAP", "within", " s"), ("F1 of segments", "F1", "IoU", "")):
        if figures[key] is not None:
            head = [over, *(f"{threshold}{unit}" for threshold in figures[key])]
            print_table(console, head, [[name, *map(_percent, figures[key].values())]])
            console.print()
    head = ["label", "true", "announced", "in 1 s", "median", "p90", "repeated", "false", "/ hour"]
    by_class = figures["segments_by_class"]
    classes = [_row(label, counts) for label, counts in by_class.items()] if len(by_class) <= max_classes else []
    print_table(console, head, classes, [_row("all", figures["segments"])])
    console.print("true: segments of the truth; false: false alarms, and how many an hour")
    console.print("median, p90: seconds from the start of a true segment to its announcement")


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _row(name: str, counts: dict[str, Any]) -> list[str]:
    late = [counts["lateness_seconds_median"], counts["lateness_seconds_p90"]]
    return [
        name,
        *(str(counts[key]) for key in ("true", "announced", "in_time")),
        *("-" if seconds is None else f"{seconds:.2f}" for seconds in late),
        *(str(counts[key]) for key in ("repeated", "false_alarms")),
        f"{counts['false_alarms_an_hour']:.1f}",
    ]
