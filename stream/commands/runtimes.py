"""The command `runtimes`: measures what can run a model on this machine, and keeps the fastest for `auto`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from actionstream.choices import PrecisionName
from actionstream.commands.bench_report import stages
from actionstream.commands.tables import open_console, print_table
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.export.cache import make_export
from actionstream.models.locate import locate
from actionstream.runtimes.choice import Measured, fastest
from actionstream.runtimes.exported_file import choose
from actionstream.runtimes.measuring import BATCHES


def measure_runtimes(
    model: str, *, precision: PrecisionName, num_threads: int | None, as_json: bool, **loading: Any
) -> None:
    """Measure the runtimes of a model in a precision, print them, and keep the figures.

    loading  `weights` and `labels`, as in actionstream.models.load
    """
    found = locate(model, weights=loading.pop("weights", None))
    if found.kind == "exported":
        path = found.file("exported")
        if path.suffix != ".onnx":
            raise ActionstreamError(f"{path} runs with one runtime; runtimes measures checkpoints and .onnx files")
    with stages() as stage:
        done = stage(f"runtimes of {found}")
        if found.kind != "exported":
            path = make_export(found, **loading)
        rows = choose(path, precision, num_threads=num_threads, done=done)
    _print(rows, path, precision, as_json=as_json)


def _print(rows: Sequence[Measured], path: Path, precision: PrecisionName, *, as_json: bool) -> None:
    chosen = fastest(rows, precision)
    if as_json:
        figures = [{**asdict(cast(Any, row)), "chosen": row.candidate == chosen} for row in rows]
        print(json.dumps({"file": str(path), "precision": precision, "runtimes": figures}))
        return
    console = open_console()
    head = ["runtime", *(f"{batch} at once" for batch in BATCHES), "off by", "chosen"]
    cells = [
        [
            str(row.candidate),
            *(f"{ms:.1f} ms" for ms in row.ms or ()),
            *["-"] * (len(BATCHES) - len(row.ms)),
            "-" if row.difference is None else f"{row.difference:.1g}",
            "yes" if row.candidate == chosen else "",
        ]
        for row in rows
    ]
    print_table(console, head, cells)
    for row in rows:
        if row.refused:
            console.print(f"{row.candidate} is not used: {row.refused}")
    if chosen is None:
        console.print(f"nothing here runs it in {precision}")
