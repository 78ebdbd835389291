"""Several sources through one network, in one batch: python -m actionstream.demos.many_streams SOURCE SOURCE ..."""

import sys
from contextlib import suppress

from actionstream import Engine, Watch


def main(*sources: str) -> None:
    """Print the labels of all streams every five seconds, a column for each; at the end print the counts of frames."""
    with Watch(Engine(), realtime=True) as session:
        names = [session.add(source) for source in sources]
        labels = dict.fromkeys(names, "-")
        said_seconds = -5.0
        for update in session:
            if update.prediction is not None:
                labels[update.stream] = update.prediction.label or "warming up"
                if update.prediction.time_seconds >= said_seconds + 5:
                    said_seconds = update.prediction.time_seconds
                    print(f"{said_seconds:6.1f} s  " + "  ".join(f"{labels[name]:<14}" for name in names), flush=True)
            if update.notice is not None and update.notice.counts is not None:
                labels[update.stream] = "(ended)"
                counts = update.notice.counts
                print(f"{update.stream}: {counts.received} frames, {counts.labelled} labelled, {counts.lost} lost")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(*(sys.argv[1:] or ["sample"]))
