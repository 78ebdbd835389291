"""The options of `runtimes`."""

from __future__ import annotations

from typing import Annotated

import typer

from actionstream.cli.options import Json, Labels, Precision, Streaming, Threads, Weights, loading


def runtimes(
    model: Annotated[str, typer.Argument(help="A checkpoint by name or path, a run, or an exported .onnx file.")],
    precision: Precision = "float32",
    threads: Threads = None,
    weights: Weights = None,
    labels: Labels = None,
    streaming: Streaming = None,
    json: Json = False,
) -> None:
    """Measure what can run MODEL on this CPU: the milliseconds of a step for 1 to 16 streams at once.

    "off by" is the largest difference of a probability from the reference. The chosen one, the fastest whose scores
    agree, is kept: --runtime auto takes it on this machine.
    """
    from actionstream.commands.runtimes import measure_runtimes

    measure_runtimes(
        model, precision=precision, num_threads=threads, as_json=json, **loading(weights, labels, streaming)
    )
