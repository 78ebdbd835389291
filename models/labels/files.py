"""Files with the labels of a network: lines, tables, JSON. Numbers give the order; it is never guessed."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import DIVIDERS, find_columns, read_text, split_row

NUMBER_FIRST = re.compile(r"c?(?P<number>\d+)(?P<divider>[\s,;:|]+)(?P<name>.+)")
NUMBER_LAST = re.compile(r"(?P<name>.+?)(?P<divider>[\s,;:|]+)(?P<number>\d+)")
COLUMNS = {
    "number": ("id", "index", "idx", "number", "labelid", "labelindex", "classid", "classindex", ""),
    "name": (
        *("name", "names", "label", "labels", "labelname", "class", "classes", "classname", "displayname"),
        *("category", "action", "activity", "template", "title"),
    ),
}
"""Accepted column titles of a list with a header, without spaces and dashes."""
WRAPPERS = ("labels", "classes", "names", "categories", "id2label", "label2id")
"""Accepted names for the labels in a JSON object."""


class Labels(list[str]):
    """Labels in the order of the scores.

    first  the number of the first label in its file; lists that belong to the file count from there
    """

    def __init__(self, names: Iterable[str], *, first: int = 0):
        super().__init__(names)
        self.first = first

    def to_text(self) -> str:
        """The text of a file with the same labels."""
        return "".join(f"{n} {name}\n" if self.first else f"{name}\n" for n, name in enumerate(self, self.first))


def read_label_file(path: Path) -> Labels:
    """The labels of a file in the order of the scores.

    A text file has one label a line, alone or with its number before or after it ("0 wave", "c012 Opening a door",
    "wave,0"). Numbers start at 0 or 1 and may be in any order; a header may come first ("id,name"). JSON is a list of
    labels, or an object with labels and numbers.

    Raises ValueError, with the line, for an empty line, a gap in the numbers, a line that may be a header or a label,
    and a label that occurs twice; and for a file that is not text in UTF-8.
    """
    text = read_text(path)
    labels = _of_json(path, text) if _is_json(path, text) else _of_text(path, text)
    if twice := [label for label, count in Counter(labels).items() if count > 1]:
        raise ActionstreamError(f"{path} has the label {twice[0]!r} twice; each score needs a name of its own")
    return labels if isinstance(labels, Labels) else Labels(labels)


def _is_json(path: Path, text: str) -> bool:
    """Whether a file is JSON: by its suffix, or by parsing it, since a label may begin with a bracket, too."""
    if path.suffix.lower() == ".json":
        return True
    try:
        return isinstance(json.loads(text), list | dict)
    except (ValueError, RecursionError):
        return False


def _of_text(path: Path, text: str) -> list[str]:
    lines = [line.strip() for line in text.rstrip().split("\n")]
    if not all(lines):
        raise ActionstreamError(f"line {lines.index('') + 1} of {path} is empty; each line is a label")
    for divider in DIVIDERS:
        rows = [split_row(line, divider) for line in lines]
        if len(rows[0]) > 1 and "name" in find_columns(rows[0], COLUMNS):
            return _of_table(path, rows)
    if len(lines) > 1 and "name" in find_columns(lines[:1], COLUMNS):
        raise ActionstreamError(f"line 1 of {path} is {lines[0]!r}, which may be a header or a label; remove a header")
    return _numbered(path, lines) or lines


def _numbered(path: Path, lines: Sequence[str]) -> list[str] | None:
    """The labels of numbered lines, with or without an unknown header; None where the lines have no numbers."""
    for pattern in (NUMBER_FIRST, NUMBER_LAST):
        has_header = len(lines) > 1 and not pattern.fullmatch(lines[0])
        found = [match for line in lines[has_header:] if (match := pattern.fullmatch(line))]
        if len(found) < len(lines) - has_header:
            continue
        pairs = [(int(match["number"]), match["name"].strip('"')) for match in found]
        numbers, names = zip(*pairs, strict=True)
        divided = all(match["divider"].strip(" ") for match in found)  # by more than spaces
        if has_header and not (divided and any(divider in lines[0] for divider in DIVIDERS)):
            if pattern is NUMBER_FIRST and _is_count(numbers):
                raise ActionstreamError(
                    f"line 1 of {path} is {lines[0]!r}, and the others begin with their numbers; expected a number in "
                    "each line, or in none"
                )
            continue
        if pattern is NUMBER_FIRST:  # "0 wave", and not "3 pointers", "2 points"
            counted = _is_count(numbers) or (numbers[0] in (0, 1) and list(numbers) == sorted(set(numbers)))
        else:  # "wave 0", and not "step 0", "step 1"
            counted = _is_count(numbers) and len(set(names)) == len(names)
        if divided or counted:
            return _in_order(path, pairs)
    return None


def _of_table(path: Path, rows: Sequence[Sequence[str]]) -> list[str]:
    """The labels of a table with a header: its column of names, in the order of its column of numbers."""
    header, *body = rows
    for number, row in enumerate(body, start=2):
        if len(row) != len(header):
            raise ActionstreamError(f"line {number} of {path} has {len(row)} fields; expected {', '.join(header)}")
    roles = [next(iter(find_columns([title], COLUMNS)), "") for title in header]
    numeric = [place for place in range(len(header)) if body and all(row[place].isdecimal() for row in body)]
    numbers = [place for place in numeric if roles[place] == "number"] or numeric
    names = [place for place, role in enumerate(roles) if role == "name" and place not in numeric]
    names = names or [place for place in range(len(header)) if place not in numeric]
    if not numbers or not names:
        raise ActionstreamError(
            f"line 1 of {path} is {', '.join(header)!r}, which looks like a header; expected a column of numbers and "
            "one of names under it, or a label a line"
        )
    return _in_order(path, [(int(row[numbers[0]]), row[names[0]]) for row in body])


def _of_json(path: Path, text: str) -> list[str]:
    try:
        value = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise ActionstreamError(f"{path} cannot be read as labels in JSON: {error}") from error
    if isinstance(value, dict):
        value = next((value[key] for key in WRAPPERS if isinstance(value.get(key), list | dict)), value)
    if isinstance(value, list) and value and all(isinstance(label, str) for label in value):
        return value
    if isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
        header = list(value[0])
        return _of_table(path, [header, *([str(entry.get(name, "")) for name in header] for entry in value)])
    if isinstance(value, dict) and value:
        if all(key.isdecimal() for key in value) and all(isinstance(label, str) for label in value.values()):
            return _in_order(path, [(int(key), label) for key, label in value.items()])
        if all(str(number).isdecimal() for number in value.values()):
            return _in_order(path, [(int(number), label) for label, number in value.items()])
    raise ActionstreamError(
        f"{path} has other JSON; expected a list of labels, or an object with labels and their numbers"
    )


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; ValueError where a name occurs twice."""
    if twice := [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]:
        raise ActionstreamError(f"{twice[0]!r} is there twice")
    return dict(pairs)


def _in_order(path: Path, pairs: Sequence[tuple[int, str]]) -> list[str]:
    """The labels by their numbers; ValueError where these are not 0, 1, 2 ... or 1, 2, 3 ..."""
    numbers = [number for number, _ in pairs]
    if not _is_count(numbers):
        first = min(min(numbers), 1)
        wrong = next(number for number in range(first, first + len(numbers)) if numbers.count(number) != 1)
        what = "is there twice" if wrong in numbers else "is not there"
        name = next((f" ({name!r})" for number, name in reversed(pairs) if number == wrong), "")
        raise ActionstreamError(
            f"{path} has {len(numbers)} labels with numbers, and {wrong}{name} {what}; expected each number from "
            "0 or 1 on once"
        )
    return Labels([label for _, label in sorted(pairs)], first=min(numbers))


def _is_count(numbers: Sequence[int]) -> bool:
    """Whether numbers are 0 to N - 1, or 1 to N, in any order."""
    return sorted(numbers) in (list(range(len(numbers))), list(range(1, len(numbers) + 1)))
