"""Train a model on labels of your own and see them live:

python -m actionstream.demos.train_your_own LABEL LABEL ...
"""

import argparse
from contextlib import suppress
from pathlib import Path

from actionstream import record_clips, train_clips, watch


def main(arguments: list[str] | None = None) -> None:
    """Record clips of each label from a camera, train a network on them, and label the camera live."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labels", nargs="+", help="names of actions, such as: wave nothing")
    parser.add_argument("--camera", default="0")
    parser.add_argument("--clips", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--folder", type=Path, default=Path("mine"))
    chosen = parser.parse_args(arguments)

    videos, run = chosen.folder / "videos", chosen.folder / "run"
    for label in chosen.labels:
        if not (videos / label).is_dir():  # clips of an earlier run stay
            print(f"Now show: {label}", flush=True)
            clips = {"num_clips": chosen.clips, "seconds": chosen.seconds, "pause_seconds": 1.0}
            record_clips(label, source=chosen.camera, folder=videos, **clips)
    train_clips(run, data=videos)
    print(f"Trained: {run}. What it sees now:", flush=True)
    for prediction in watch(chosen.camera, model=run):
        for event in prediction.events:
            print(f"{event.time_seconds:8.2f} s  {event.label} {event.event}s ({event.score:.2f})", flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
