"""Detect in THUMOS14's videos and count as its evaluator does: python -m demos.thumos14 VIDEOS ANNOTATIONS MODEL"""

import sys
from pathlib import Path

from actionstream import open_source
from actionstream.commands.evaluate_videos import find_videos
from actionstream.commands.label import rows_of
from actionstream.engine.fusion import open_scorer
from actionstream.evaluation import thumos14
from actionstream.evaluation.detection import thumos14_detection
from actionstream.evaluation.segments import Segments
from actionstream.models.training.left_out import LeftOut
from actionstream.videos.label import label_video


def main(videos: str, annotations: str, model: str) -> None:
    """Label each annotated test video that is in the folder, and print mAP at IoU 0.1 to 0.7."""
    known = thumos14.read_truth(Path(annotations))
    scorer = open_scorer(model)
    rows = []
    left_out = LeftOut()
    files = find_videos(Path(videos), known, left_out)
    for line in left_out.lines():
        print(line, file=sys.stderr)
    for name, path in files.items():
        found = label_video(open_source(path), scorer)
        rows += [row for row in rows_of(name, found.segments) if row[3] in known.labels]
        print(f"{name}: {len(found.segments)} segments in {found.scores.duration_seconds:.1f} s", flush=True)
    accuracy = thumos14_detection(known, Segments.from_rows(rows))
    for threshold, value in zip(accuracy.iou_thresholds, accuracy.map, strict=True):
        print(f"mAP at IoU {threshold:.1f}: {100 * value:5.1f} %")


if __name__ == "__main__":
    main(*sys.argv[1:])
