"""The lines of a TOML file on which its keys stand; tomllib keeps none."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]
"""Keys from the top of the file, and numbers in lists."""

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?""""{0,2}'
    r"|'''.*?''''{0,2}"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'"
    r"|\#[^\n]*"
    r"|[\[\]{}\n]",
    re.DOTALL,
)


class Places:
    """The lines of the keys of a text that tomllib can read."""

    def __init__(self, text: str):
        self._lines: dict[Path, int] = {}
        self._tables: Counter[Path] = Counter()  # of [[lists of tables]]
        above: Path = ()
        for line, statement in _statements(text):
            contents = tomllib.loads(statement)
            if statement.startswith("["):
                above = self._table(contents)
                self._lines[above] = line
            else:
                self._note(above, contents, line)
            for length in range(1, len(above)):
                self._lines.setdefault(above[:length], line)

    def line(self, path: Path) -> int | None:
        """The line of a key, or of the nearest table around it; None where not even that is in the file."""
        return next((self._lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self._lines), None)

    def _table(self, contents: Any) -> Path:
        """The path of a [table], or of a table of [[a list of tables]]."""
        path: Path = ()
        while isinstance(contents, dict) and contents:
            ((key, contents),) = contents.items()
            path += (key,)
            if self._tables[path] and isinstance(contents, dict):  # inside the last table of a list
                path += (self._tables[path] - 1,)
        if isinstance(contents, list):
            self._tables[path] += 1
            path += (self._tables[path] - 1,)
        return path

    def _note(self, path: Path, value: Any, line: int) -> None:
        self._lines.setdefault(path, line)
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, each in inner:
            self._note((*path, key), each, line)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """The line and the text of each table header and each assignment, which may have several lines."""
    line, begin, depth = 1, 0, 0
    for token in _TOKEN.finditer(f"{text}\n"):
        match token[0]:
            case "[" | "{":
                depth += 1
            case "]" | "}":
                depth -= 1
            case "\n" if depth == 0:
                statement = text[begin : token.start()]
                if (kept := statement.strip()) and not kept.startswith("#"):
                    yield line, kept
                line += statement.count("\n") + 1
                begin = token.end()
