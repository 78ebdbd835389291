"""How fast each decoder decodes a video."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from actionstream.benchmarks.alternation import Done, Quartiles, alternate, nobody, timed
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.preprocessing import Preprocessing
from actionstream.sources.video import FileSource


def _pyav(threads: str) -> Callable[[Path], Iterator[np.ndarray]]:
    """The reader of files, with this `thread_type` of FFmpeg's decoder."""

    class Film(FileSource):
        look_ahead = 1

    Film.threads = threads

    def read(path: Path) -> Iterator[np.ndarray]:
        with closing(Film(str(path))) as film:
            for frame in film:
                yield frame.image

    return read


def _opencv(path: Path) -> Iterator[np.ndarray]:
    import cv2

    film = cv2.VideoCapture(str(path))
    try:
        while True:
            there, image = film.read()
            if not there:
                return
            yield cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    finally:
        film.release()


DECODERS: dict[str, Callable[[Path], Iterator[np.ndarray]]] = {
    "PyAV, one thread": _pyav("NONE"),
    "PyAV, a slice a thread": _pyav("SLICE"),
    "PyAV, as it likes": _pyav("AUTO"),
    "OpenCV": _opencv,
}
"""Functions from a file to its pictures, RGB arrays in full size. Live sources use "SLICE", files "AUTO"."""


def measure_decoders(
    path: Path, preprocessing: Preprocessing, *, num_frames: int, rounds: int, done: Done = nobody
) -> dict[str, Any]:
    """Decode the first frames of a file with each decoder in turn, without and with resizing to the network's input."""
    frames = list(itertools.islice(DECODERS["PyAV, one thread"](path), num_frames))
    count, (height, width) = len(frames), frames[0].shape[:2]

    def read(decoder: str, resized: bool) -> None:
        seen = 0
        for image in itertools.islice(DECODERS[decoder](path), count):
            seen += 1
            if resized:
                preprocessing.resize(image)
        if seen < count:
            raise ActionstreamError(f"{path}: {decoder} decodes {seen} frames of it where PyAV decodes {count}")

    cases = {f"{name}{' + resizing' * resized}": (name, resized) for name in DECODERS for resized in (False, True)}
    seconds = alternate({name: timed(partial(read, *case)) for name, case in cases.items()}, rounds=rounds, done=done)
    rows = []
    for name, (decoder, resized) in cases.items():
        spent = Quartiles.of([1000 * each / count for each in seconds[name]])
        rows.append(
            {
                "decoder": decoder,
                "resized": resized,
                "ms_a_frame": asdict(spent),
                "frames_a_second": 1000 / spent.median,
            }
        )
    return {"frames": count, "width": width, "height": height, "decoders": rows}
