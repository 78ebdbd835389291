"""Static quantisation to int8, calibrated on real snippets."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import atomic_write
from actionstream.models.export.exported import KEY, Exported, check_snippets

Inputs = dict[str, np.ndarray]
MAX_CALIBRATED = 512
"""The most calls of the step that are used for calibration."""


@dataclass(frozen=True)
class Agreement:
    """How far int8 agrees with float32.

    num_scores  rows of scores that were compared
    same_label  share of the rows with the same top label
    difference  largest difference of probabilities in a row, averaged over the rows
    """

    num_scores: int
    same_label: float
    difference: float


def quantise(path: Path, out: Path, videos: Sequence[Iterable[np.ndarray]]) -> Exported:
    """Write the int8 version of an exported .onnx file; returns its metadata.

    videos  the snippets of each video in order, uint8 (height, width, channels), which are streamed through the file.
            Every second call calibrates, up to MAX_CALIBRATED spread over all videos; the other calls compare both
            versions, and their agreement is stored in the card, accuracy["int8"].
    """
    snippets = [np.stack(list(video)) for video in videos]
    session = _open(path)
    exported = Exported.from_json(session.get_modelmeta().custom_metadata_map[KEY], path)
    longest = max((len(video) // exported.chunk for video in snippets), default=0)
    if longest < 2:
        raise ActionstreamError(f"{longest} calls of the step are not enough to calibrate with; give longer videos")
    with TemporaryDirectory() as folder:
        between, result = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
        level = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            quant_pre_process(path, between, skip_symbolic_shape=True)
            quantize_static(
                between,
                result,
                _Calls(_calibrating(session, exported, snippets)),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                reduce_range=True,  # weights of 7 bits: without VNNI the sum of two products saturates at 16 bits
                calibrate_method=CalibrationMethod.MinMax,
            )
        finally:
            logging.disable(level)
        quantised = _open(result)
        accuracy = {**exported.card.accuracy, "int8": asdict(_compare(session, quantised, exported, snippets))}
        exported = replace(exported, card=replace(exported.card, accuracy=accuracy), precision="int8")
        if exported.streams:
            rows = [scores[0, 0] for _, scores in _stream(quantised, exported, check_snippets(exported.card))]
            exported = replace(exported, check=tuple(map(tuple, np.stack(rows).tolist())))
        model = onnx.load(result)
        onnx.helper.set_model_props(model, {KEY: exported.to_json()})
        with atomic_write(out) as file:
            onnx.save(model, file)
    return exported


def _calibrating(session: Any, exported: Exported, videos: Sequence[np.ndarray]) -> Iterator[Inputs]:
    """The inputs of every second call, or of MAX_CALIBRATED of them spread over all videos."""
    even = [(v, n) for v, video in enumerate(videos) for n in range(0, len(video) // exported.chunk, 2)]
    places = np.linspace(0, len(even) - 1, min(len(even), MAX_CALIBRATED)).round().astype(int)
    chosen = {even[place] for place in places}
    for v, video in enumerate(videos):
        for n, (feed, _) in enumerate(_stream(session, exported, video)):
            if (v, n) in chosen:
                yield feed


class _Calls(CalibrationDataReader):
    def __init__(self, calls: Iterable[Inputs]):
        self._calls = iter(calls)

    def get_next(self) -> Inputs | None:
        return next(self._calls, None)


def _compare(session: Any, quantised: Any, exported: Exported, videos: Sequence[np.ndarray]) -> Agreement:
    pairs = [
        [exported.card.probabilities(scores.reshape(-1, scores.shape[-1])) for scores in each]
        for video in videos
        for each in zip(
            *([scores for _, scores in _stream(side, exported, video)][1::2] for side in (session, quantised)),
            strict=True,
        )
    ]
    expected, found = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return Agreement(
        num_scores=len(expected),
        same_label=round(float((expected.argmax(1) == found.argmax(1)).mean()), 4),
        difference=round(float(np.abs(expected - found).max(axis=1).mean()), 4),
    )


def _stream(
    session: Any, exported: Exported, snippets: np.ndarray
) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
    """The inputs and the scores of each call when a video (n, height, width, channels) is streamed through a file."""
    state = [np.zeros((1, *shape), np.float32) for shape in exported.state]
    for begin in range(0, len(snippets) - exported.chunk + 1, exported.chunk):
        given = snippets[None, begin : begin + exported.chunk]
        if exported.takes == "frames":
            given = exported.card.preprocessing.normalise(torch.from_numpy(given)).contiguous().numpy()
        feed = {exported.takes: given, **dict(zip(exported.state_names, state, strict=True))}
        scores, *state = session.run(None, feed)
        yield feed, scores


def _open(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
