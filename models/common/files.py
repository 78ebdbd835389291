"""Atomic writes of files; reading of text, lists and tables in all usual encodings and formats."""

from __future__ import annotations

import csv
import glob
import gzip
import io
import os
import platform
import re
import stat
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.limits import TEXT_VARIABLE, max_text_bytes
from actionstream.models.common.processes import is_running

MACHINE = platform.node()  # another machine, whose processes are not visible here, may write to the same disk
DIVIDERS = ("\t", ";", ",")
"""Separators between the columns of a table; a table without them has spaces."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Atomic write: gives a temporary file to write, which replaces `path` at the end, or is removed after an error.

    OSError, which names `path` and the reason, where it cannot be written.
    """
    _clear_stale(path)
    partial = path.with_name(f".{path.name}.{MACHINE}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:
        failure = error if isinstance(error, OSError) else error.__context__  # torch wraps the error of a file
        if not isinstance(failure, OSError):
            raise
        raise cannot_write(path, failure) from error
    finally:
        partial.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError) -> OSError:
    """The error for a file that cannot be written, from that of the system."""
    what = f"{path} cannot be written: {error.strerror or error}"
    return OSError(what) if error.errno is None else OSError(error.errno, what)


def bytes_of_files(paths: Iterable[str | Path]) -> int:
    """The bytes of all these files together; folders, and files that somebody deletes meanwhile, count as none."""
    total = 0
    for path in paths:
        with suppress(FileNotFoundError):
            there = os.stat(path)
            total += there.st_size if stat.S_ISREG(there.st_mode) else 0
    return total


def _clear_stale(path: Path) -> None:
    """Remove the temporary files of processes of this machine that were killed while they wrote this file."""
    for partial in path.parent.glob(f".{glob.escape(path.name)}.{glob.escape(MACHINE)}.*.partial"):
        pid = partial.name.split(".")[-2]
        if pid.isdecimal() and not is_running(int(pid)):
            partial.unlink(missing_ok=True)


def check_target(path: Path) -> None:
    """Make the folder of a file that long work will write at its end; ValueError where the file cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK) or path.is_dir():
        raise ActionstreamError(f"{path} cannot be written; give the path of a file in a folder of yours")


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8 (atomic write); makes its folder where it does not exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write_text(text, encoding="utf-8")


def write_figure(path: Path, figure: Any, *, dpi: int) -> None:
    """Write a figure of matplotlib as PNG; Pillow alone does not notice that only a part of a file is written."""
    data = io.BytesIO()
    figure.savefig(data, dpi=dpi, format="png")
    path.write_bytes(data.getbuffer())


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 with a byte order mark, plain or gzipped (.gz); the mark is removed.

    All line ends become newlines.

    Raises ActionstreamError when the file does not exist, is truncated, is longer than `max_text_bytes`, or is not
    such text.
    """
    if not path.is_file():
        raise ActionstreamError(f"{path} is a folder; expected a file" if path.is_dir() else f"no file {path}")
    most = max_text_bytes()
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(most + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ActionstreamError(f"{path} is no whole gzip file, it may have been cut short: {error}") from error
    if len(data) > most:
        raise ActionstreamError(
            f"{path} is longer than {most:,} bytes, the most that is read as text ({TEXT_VARIABLE})"
        )
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        if "\0" in text:
            line = text.count("\n", 0, text.index("\0")) + 1
            raise ActionstreamError(f"{path} is not text: line {line} has a NUL")
        return text.replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ActionstreamError(f"{path} is not text in UTF-8 (line {line}: {error}); save it as UTF-8") from error


def read_lines(path: Path) -> list[tuple[str, str]]:
    """The place ("line 3 of FILE") and the stripped text of each line that is not blank.

    Raises ValueError for a file without such a line.
    """
    lines = enumerate(read_text(path).split("\n"), start=1)
    rows = [(f"line {number} of {path}", line.strip()) for number, line in lines if line.strip()]
    if not rows:
        raise ActionstreamError(f"{path} is empty")
    return rows


def split_row(text: str, divider: str | None) -> list[str]:
    """The fields of a row, without their quotes; where `divider` is None, spaces separate them."""
    if divider is None:
        return [_unquoted(field) for field in re.findall(r"\"[^\"]*\"(?=\s|$)|'[^']*'(?=\s|$)|\S+", text)]
    try:
        return [
            _unquoted(field.strip()) for field in next(csv.reader([text], delimiter=divider, skipinitialspace=True))
        ]
    except csv.Error as error:
        raise ActionstreamError(f"a row of {len(text)} characters is no row of a table: {error}") from error


def _unquoted(field: str) -> str:
    return field[1:-1] if len(field) > 1 and field[0] == field[-1] and field[0] in "\"'" else field


def find_columns(header: Sequence[str], names: Mapping[str, Collection[str]]) -> dict[str, int]:
    """The index of each column in a header, by its role; `names` has the accepted titles, without spaces and dashes."""
    columns: dict[str, int] = {}
    for place, title in enumerate(header):
        letters = re.sub(r"[^a-z0-9]", "", title.lower())
        for role, known in names.items():
            if letters in known:
                columns.setdefault(role, place)
    return columns


def read_table(path: Path, *needed: str) -> list[tuple[str, dict[str, str]]]:
    """The place of each row of a table, and its fields by the names in the header.

    Commas, semicolons or tabs separate the fields. Raises ValueError for a table without a row or a needed column, and
    for a row without a needed field.
    """
    text = read_text(path)
    header = text.lstrip().partition("\n")[0]
    missing: list[str] = []
    for divider in (",", ";", "\t"):
        names = [name.strip().lower() for name in split_row(header, divider)]
        missing = missing or [name for name in needed if name not in names]  # reported for commas
        if not set(needed) <= set(names):
            continue
        lines = csv.reader(io.StringIO(text.lstrip()), delimiter=divider)
        next(lines)
        skipped = text[: len(text) - len(text.lstrip())].count("\n")
        rows = []
        for fields in rows_of(lines, path):
            where = f"line {lines.line_num + skipped} of {path}"
            row = {name: field.strip() for name, field in zip(names, fields, strict=False)}
            if any(row.values()):
                if absent := [name for name in needed if name not in row]:
                    raise ActionstreamError(
                        f"{where} has {len(fields)} fields and no {absent[0]}; expected {','.join(names)}"
                    )
                rows.append((where, row))
        if rows:
            return rows
        raise ActionstreamError(f"{path} has a header and no row")
    raise ActionstreamError(f"{path} has no column {missing[0]}; it needs {', '.join(needed)}, and a row")


def rows_of(lines: Iterator[list[str]], path: Path) -> Iterator[list[str]]:
    """The rows of a csv.reader; ValueError where one cannot be read."""
    try:
        yield from lines
    except csv.Error as error:
        raise ActionstreamError(f"{path} cannot be read as a table: {error}") from error
