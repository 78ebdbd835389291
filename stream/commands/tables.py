"""Tables of figures that cut no name, also on a narrow screen."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

WIDEST = 10_000
"""Width of an output that is not a terminal, so that each row is one line."""
NARROWEST = 8

Rows = Sequence[Sequence[str]]


def open_console() -> Console:
    """A console for results: it prints text without markup, and wraps lines only on a terminal."""
    return Console(markup=False, highlight=False, emoji=False, width=None if sys.stdout.isatty() else WIDEST)


def print_table(console: Console, head: Sequence[str], *sections: Rows, title: str = "") -> None:
    """Rows of a name and figures, with a rule between sections.

    Figures that do not fit beside the names follow in further tables with the same names; a name that is too long is
    wrapped.
    """
    if title:
        console.print(title)
    names = max(cell_len(row[0]) for row in (head, *(row for section in sections for row in section)))
    first = 1
    while first < len(head):
        last = first + 1
        beside = _width(console, _table(head, sections, names, range(first, last))) - names
        column = min(names, max(console.width - beside, NARROWEST))
        while last < len(head) and (
            _width(console, _table(head, sections, column, range(first, last + 1))) <= console.width
        ):
            last += 1
        if first > 1:
            console.print()
        console.print(_table(head, sections, column, range(first, last)))
        first = last


def _table(head: Sequence[str], sections: Sequence[Rows], names: int, figures: range) -> Table:
    has_head = any(head)
    table = Table(box=SIMPLE_HEAD, show_edge=False, show_header=has_head, padding=(0, 1, 0, 0))
    table.add_column(head[0], width=names, overflow="fold")
    for number in figures:
        table.add_column(head[number], justify="right", no_wrap=True)
    for section in sections:
        for row in section:
            table.add_row(row[0], *(row[number] if number < len(row) else "" for number in figures))
        table.add_section()
    return table


def _width(console: Console, table: Table) -> int:
    return Measurement.get(console, console.options.update(width=WIDEST), table).maximum
