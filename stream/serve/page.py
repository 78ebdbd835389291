"""The page of a service: a table of its cameras, which comes again by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from actionstream.serve.board import Board
from actionstream.serve.metrics import Metrics

REFRESH_SECONDS = 5
HEAD = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<meta http-equiv="refresh" content="{REFRESH_SECONDS}">
<title>actionstream: cameras</title>
<style>
body {{ font-family: system-ui, sans-serif; margin: 2em }}
caption {{ text-align: left; font-size: 1.3em; padding-bottom: 0.5em }}
th, td {{ text-align: left; padding: 0.2em 1.5em 0.2em 0; font-weight: normal }}
thead th {{ font-weight: bold }}
.number {{ text-align: right }}
</style>
</head>
<body>
<main>
<table>
"""
END = "</table>\n</main>\n</body>\n</html>\n"


@dataclass(frozen=True, kw_only=True)
class CameraRow:
    """What is told of a camera at a glance.

    node             where it runs; None where there are no nodes, empty where it runs nowhere now
    status           such as live, or disconnected, and why
    frames_a_second  labelled ones, in the last seconds
    lag_ms           their mean latency; None where there were none
    """

    camera: str
    node: str | None
    status: str
    frames_a_second: float
    lag_ms: float | None

    @property
    def lag(self) -> str:
        """The latency as text, empty where there is none."""
        return "" if self.lag_ms is None else f"{self.lag_ms:.0f}"


def camera_rows(board: Board, metrics: Metrics) -> list[CameraRow]:
    """A row for each camera on the board, in the order of their names."""
    statuses = {fact.camera: value for fact, value in board.facts().items() if fact.kind == "status"}
    rows = []
    for camera, (status, reason) in sorted(statuses.items()):
        key = metrics.key(camera)
        frames_a_second, lag_ms = metrics.latencies.lately(key)
        text = status if reason is None else f"{status}: {reason}"
        node = key[1] if len(key) > 1 else None
        rows.append(CameraRow(camera=camera, node=node, status=text, frames_a_second=frames_a_second, lag_ms=lag_ms))
    return rows


def render(rows: Sequence[CameraRow]) -> bytes:
    """The page, as HTML in UTF-8."""
    with_nodes = any(row.node is not None for row in rows)
    heads = ["camera", *["node"] * with_nodes, "status", "frames/s", "lag (ms)"]
    lines = [f"<caption>{len(rows)} cameras</caption>\n<thead><tr>"]
    lines += [f'<th scope="col"{_class(head)}>{head}</th>' for head in heads]
    lines.append("</tr></thead>\n<tbody>\n")
    for row in rows:
        cells = [*[row.node or ""] * with_nodes, row.status, f"{row.frames_a_second:.1f}", row.lag]
        named = zip(heads[1:], cells, strict=True)
        values = "".join(f"<td{_class(head)}>{escape(cell)}</td>" for head, cell in named)
        lines.append(f'<tr><th scope="row">{escape(row.camera)}</th>{values}</tr>\n')
    lines.append("</tbody>\n")
    return f"{HEAD}{''.join(lines)}{END}".encode()


def _class(head: str) -> str:
    return ' class="number"' if head in ("frames/s", "lag (ms)") else ""
