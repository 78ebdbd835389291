"""The latency from a frame to its label, stage by stage:

python -m actionstream.demos.latency [MODEL] [NUM_FRAMES]
"""

import sys

import numpy as np

from actionstream import Engine, Frame, Prediction, open_source

SIZES = (1, 2, 4, 8)


def main(model: str = "motion", num_frames: str = "100") -> None:
    """Push frames of the sample through the engine in 1, 2, 4 and 8 streams; print the median of each stage in ms."""
    pictures = [frame.image for frame in open_source("sample")]
    engine = Engine(model)
    stages = ("preprocess", "model", "scoring")
    print("streams  " + "  ".join(f"{stage:>10}" for stage in stages) + "   a step  frames/s")
    for num_streams in SIZES:
        names = [engine.open() for _ in range(num_streams)]
        spent = []
        for step in range(int(num_frames)):
            time_seconds = step * engine.card.frame_seconds
            image = pictures[step % len(pictures)]
            frames = [Frame(stream=name, index=step, time_seconds=time_seconds, picture=image) for name in names]
            splits = [each.split_ms for each in engine.push_frames(frames) if isinstance(each, Prediction)]
            if splits:  # preprocessing is per picture, the model runs once for the batch
                spent.append({**splits[0], "preprocess": sum(split["preprocess"] for split in splits)})
        medians = [float(np.median([each[stage] for each in spent])) for stage in stages]
        total = sum(medians)
        figures = "  ".join(f"{value:10.2f}" for value in medians)
        print(f"{num_streams:7}  {figures}  {total:7.2f}  {1000 * num_streams / total:8.0f}", flush=True)
        for name in names:
            engine.close(name)


if __name__ == "__main__":
    main(*sys.argv[1:])
