"""Find the segments of a video: python -m actionstream.demos.video_file [VIDEO] [MODEL]"""

import sys

import numpy as np

from actionstream import label_video, open_scorer, open_source, sure_segments


def main(video: str = "sample", model: str = "motion") -> None:
    """Print the segments of the video in temporal order, and its overall label."""
    scorer = open_scorer(model)
    found = label_video(open_source(video), scorer)
    for segment in sorted(sure_segments(found.segments), key=lambda each: each.start_seconds):
        times = f"{segment.start_seconds:7.2f} to {segment.end_seconds:7.2f} s"
        print(f"{times}  {segment.label} ({segment.score:.2f})")
    best = int(np.argmax(found.overall))
    print(f"as a whole: {scorer.card.labels[best]} ({found.overall[best]:.2f})")


if __name__ == "__main__":
    main(*sys.argv[1:])
