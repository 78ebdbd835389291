"""Detections as a table: CSV with the columns video, start_seconds, end_seconds, label, score."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

from actionstream.evaluation.files import write_text
from actionstream.evaluation.segments import SegmentRow, Segments
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import read_text, rows_of

COLUMNS = ("video", "start_seconds", "end_seconds", "label", "score")


def read_table(path: Path) -> Segments:
    """The detections in a CSV file with a header; ValueError, with the line, for anything else. It may end in .gz."""
    lines = csv.reader(io.StringIO(read_text(path)))
    table = rows_of(lines, path)
    head = tuple(next(table, ()))
    if head != COLUMNS:
        begins = repr(",".join(head)[:80])
        raise ActionstreamError(f"{path} begins with {begins}; expected the header {','.join(COLUMNS)}")
    rows: list[SegmentRow] = []
    for fields in table:
        where = f"line {lines.line_num} of {path}"
        if not fields:
            continue
        if len(fields) != len(COLUMNS):
            raise ActionstreamError(f"{where} has {len(fields)} fields instead of {len(COLUMNS)}: {','.join(COLUMNS)}")
        video, start, end, label, score = fields
        try:
            numbers = float(start), float(end), float(score)
        except ValueError as error:
            raise ActionstreamError(f"{where}: {error}") from None
        if not math.isfinite(numbers[2]) or any(map(math.isinf, numbers)):
            raise ActionstreamError(
                f"{where}: {','.join(fields[1:])} has a score or a time that is not a finite number"
            )
        rows.append((video, numbers[0], numbers[1], label, numbers[2]))
    return Segments.from_rows(rows)


def write_table(path: Path, detections: Segments) -> None:
    """Write detections as CSV; numbers keep all their digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(detections.rows())
    write_text(path, text.getvalue())
