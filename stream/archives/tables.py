"""Parquet tables of an archive: segments, failures and attempts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet

from actionstream.archives.apart import Done
from actionstream.archives.attempts import read_attempts
from actionstream.evaluation.activitynet import read_results
from actionstream.models.common.files import atomic_write

TEXT, SECONDS = pyarrow.string(), pyarrow.float64()
SEGMENTS = {"video": TEXT, "start_seconds": SECONDS, "end_seconds": SECONDS, "label": TEXT, "score": SECONDS}
FAILURES = {"name": TEXT, "video": TEXT, "outcome": TEXT, "reason": TEXT, "tries": pyarrow.int64()}
ATTEMPTS = {
    **{"name": TEXT, "number": pyarrow.int64(), "node": TEXT},
    **{"begin_seconds": SECONDS, "end_seconds": SECONDS, "outcome": TEXT, "reason": TEXT},
}
ROWS_AT_ONCE = 100_000


def write_segments(folder: Path, names: Iterable[str]) -> int:
    """Write segments.parquet from NAME.json of each video; returns the number of segments."""
    rows = (
        dict(zip(SEGMENTS, row, strict=True))
        for name in names
        for row in read_results(folder / f"{name}.json", task="detection").rows()
    )
    return _write(folder / "segments.parquet", SEGMENTS, rows)


def write_failures(folder: Path, failures: Sequence[Done]) -> None:
    """Write failures.parquet, of the videos that have no results."""
    _write(
        folder / "failures.parquet", FAILURES, ({name: getattr(each, name) for name in FAILURES} for each in failures)
    )


def write_attempts(folder: Path) -> None:
    """Write attempts.parquet, of all runs."""
    _write(folder / "attempts.parquet", ATTEMPTS, (asdict(attempt) for attempt in read_attempts(folder)))


def _write(path: Path, columns: dict[str, pyarrow.DataType], rows: Iterator[dict[str, Any]]) -> int:
    schema = pyarrow.schema(list(columns.items()))
    count = 0
    with atomic_write(path) as file, parquet.ParquetWriter(file, schema) as writer:
        while part := list(islice(rows, ROWS_AT_ONCE)):
            writer.write_table(pyarrow.Table.from_pylist(part, schema=schema))
            count += len(part)
    return count
