"""The sample clip: a hand over a desk that makes all ten movements, and their timeline.

python -m actionstream.models.training.sample_clip stream/assets/sample.mp4
"""

from __future__ import annotations

import sys
from fractions import Fraction

import numpy as np

from actionstream.models.training import textures
from actionstream.models.training.scenes import AXES, Pose, Scene, render

RATE = 30
SIZE = 288
SECONDS = 2.0  # each movement
TIMELINE = (
    "still",
    "right",
    "left",
    "down",
    "up",
    "shaking",
    "closer",
    "away",
    "clockwise",
    "anticlockwise",
    "still",
)
"""The movements, one after the other, each for SECONDS."""


def path() -> Pose:
    """The hand's path at RATE frames a second; left, up, away and anticlockwise undo the one before."""
    num = round(SECONDS * RATE)
    centre, log_scale, angle = [np.array([-0.14, -0.14])], [0.0], [0.0]
    for movement in TIMELINE:
        steps = np.ones(num) / num
        move, zoom, turn = np.zeros((num, 2)), np.zeros(num), np.zeros(num)
        if movement in AXES:
            move = np.outer(steps, AXES[movement]) * 0.44
        elif movement in ("closer", "away"):
            zoom = steps * (0.85 if movement == "closer" else -0.85)
        elif movement in ("clockwise", "anticlockwise"):
            turn = steps * (150 if movement == "clockwise" else -150)
        elif movement == "shaking":
            swing = 0.05 * np.sin(2 * np.pi * 3.0 * np.arange(num + 1) / RATE)
            move[:, 0] = np.diff(swing)
        centre += list(centre[-1] + np.cumsum(move, axis=0))
        log_scale += list(log_scale[-1] + np.cumsum(zoom))
        angle += list(angle[-1] + np.cumsum(turn))
    return Pose(np.array(centre[1:]), np.array(log_scale[1:]), np.array(angle[1:]))


def frames() -> np.ndarray:
    """The clip, uint8 (T, SIZE, SIZE, 3), always the same."""
    random = np.random.default_rng(5)
    canvas = 2 * SIZE
    place = Pose(np.zeros((1, 2)), np.zeros(1), np.zeros(1))
    ground = Pose(np.zeros((1, 2)), np.full(1, 0.1), np.full(1, 20.0))
    scene = Scene(
        background=textures.dead_leaves(random, canvas),
        texture=textures.skin(random, canvas),
        mask=textures.hand(random, canvas),
        radius=0.26,
        ground=ground,
        place=place,
        stretch=np.ones(2),
    )
    return render(scene, path(), random, SIZE, realism=0.0)


def write(destination: str) -> None:
    """Encode the clip as H.264."""
    import av

    with av.open(destination, "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(RATE))
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "27", "preset": "slow"}
        for image in frames():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    write(sys.argv[1])
