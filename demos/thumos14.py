"""Detect actions in THUMOS14's videos and evaluate them by its rules:

python -m actionstream.demos.thumos14 VIDEOS ANNOTATIONS MODEL
"""

import sys
from pathlib import Path

from actionstream import label_video, open_scorer, open_source
from actionstream.evaluation import Segments, thumos14, thumos14_detection


def main(videos: str, annotations: str, model: str) -> None:
    """Label each annotated test video that is in the folder, and print mAP at IoU 0.1 to 0.7."""
    known = thumos14.read_truth(Path(annotations))
    scorer = open_scorer(model)
    rows = []
    for name in known.durations_seconds:
        path = Path(videos) / f"{name}.mp4"
        if not path.exists():
            print(f"{path} is not there: left out", file=sys.stderr)
            continue
        found = label_video(open_source(path), scorer)
        wanted = [each for each in found.segments if each.label in known.labels]
        rows += [(name, each.start_seconds, each.end_seconds, each.label, each.score) for each in wanted]
        print(f"{name}: {len(found.segments)} segments in {found.scores.duration_seconds:.1f} s", flush=True)
    accuracy = thumos14_detection(known, Segments.from_rows(rows))
    for threshold, value in zip(accuracy.iou_thresholds, accuracy.map, strict=True):
        print(f"mAP at IoU {threshold:.1f}: {100 * value:5.1f} %")


if __name__ == "__main__":
    main(*sys.argv[1:])
