"""Writes a network's step as a file: ONNX, OpenVINO or torch.export."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import threading
import warnings
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx_ir
import torch

from actionstream.models.card import Card
from actionstream.models.common.choices import ExportTarget, Takes
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.extras import needs
from actionstream.models.common.files import atomic_write
from actionstream.models.export.exported import KEY, Exported
from actionstream.models.export.split_channels import split_channels
from actionstream.models.export.step import describe, trace
from actionstream.models.network import Network

_TURN = threading.Lock()
"""torch traces with the state of the process: of two exports in two threads, both would fail."""
SUFFIXES: dict[ExportTarget, str] = {"onnx": ".onnx", "openvino": ".xml", "torch-export": ".pt2"}


def export(
    network: Network,
    card: Card,
    path: Path,
    *,
    to: ExportTarget = "onnx",
    takes: Takes = "pixels",
    chunk: int = 1,
    checkpoint: str = "",
    calibration: Sequence[Iterable[np.ndarray]] | None = None,
) -> Exported:
    """Write a network's step to a file (atomic write); returns the file's metadata.

    takes, chunk, checkpoint  see `Exported`. The file of a clip network takes clips.
    calibration               videos for `int8.quantise`; with them the file is int8
    """
    if path.suffix != SUFFIXES[to]:
        raise ActionstreamError(f"{path} is for {to}; let its name end in {SUFFIXES[to]}")
    if to == "torch-export" and calibration is not None:
        raise ActionstreamError("int8 is for onnx and openvino")
    if to == "openvino":
        needs("openvino")
    exported = describe(network, card, takes=takes, chunk=chunk, checkpoint=checkpoint)
    with _TURN, _quiet(), TemporaryDirectory() as folder:
        program = trace(network, exported)
        if to == "torch-export":
            data = io.BytesIO()  # torch aborts the process where it cannot write to a file
            torch.export.save(program, data, extra_files={KEY: exported.to_json()})
            with atomic_write(path) as file:
                file.write_bytes(data.getbuffer())
            return exported
        step = Path(folder) / "step.onnx"
        _write_onnx(step, program, exported)
        if calibration is not None:
            from actionstream.models.export.int8 import quantise

            exported = quantise(step, step, calibration)
        if to == "onnx":
            with atomic_write(path) as file:
                shutil.copyfile(step, file)
        else:
            _convert_to_openvino(step, path)
    return exported


def _write_onnx(path: Path, program: torch.export.ExportedProgram, exported: Exported) -> None:
    """Write an ONNX file, with `exported` in its metadata."""
    state = exported.state_names
    converted = torch.onnx.export(
        program,
        dynamo=True,
        input_names=[exported.takes, *state],
        output_names=["scores", *(f"new_{name}" for name in state)],
        verbose=False,
    )
    assert converted is not None
    split_channels(converted.model)
    for node in converted.model.graph.all_nodes():  # stack traces, with the paths of this machine
        node.metadata_props.clear()
    converted.model.metadata_props[KEY] = exported.to_json()
    onnx_ir.save(converted.model, path)


def _convert_to_openvino(step: Path, path: Path) -> None:
    """Write an .xml file, and a .bin file beside it."""
    import openvino

    result = step.with_suffix(".xml")
    openvino.save_model(openvino.Core().read_model(step), result, compress_to_fp16=False)
    for suffix in (".bin", ".xml"):  # the .xml last: it says that both are there
        with atomic_write(path.with_suffix(suffix)) as file:
            shutil.copyfile(result.with_suffix(suffix), file)


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Silence the progress messages and warnings of the exporters."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
