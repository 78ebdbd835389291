"""Tables keep their names, at any width."""

import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from actionstream.commands.label import _show
from actionstream.commands.tables import print_table
from actionstream.commands.test import show
from actionstream.models.training.motion import MOVEMENTS
from actionstream.results import Segment

SETS = ("rendered, whole frame", "rendered, object", "real pictures, whole frame", "real pictures, cut-out")


def printed(width, head, *sections, title=""):
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False)
    print_table(console, head, *sections, title=title)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", range(24, 130, 7))
def test_every_name_and_figure_is_there_at_every_width(width):
    head = ["set", *(f"frame {number}" for number in range(9))]
    rows = [[name, *(f"{10 * n + m}.5" for m in range(9))] for n, name in enumerate(("left", "[right]", "up/down"))]
    lines = printed(width, head, rows[:2], rows[2:], title="a title")
    assert lines[0] == "a title"
    assert max(map(len, lines)) <= width
    for row in rows:
        found = [word for line in lines if line.strip().startswith(row[0]) for word in line.split()[1:]]
        assert found == row[1:]
    heads = [word for line in lines if line.strip().startswith("set") for word in re.findall(r"frame \d", line)]
    assert heads == head[1:]


def test_a_name_that_is_longer_than_the_screen_is_broken():
    name = "Turning something upside down while something else is on it"
    lines = printed(40, ["", "%"], [[name, "12.3"]])
    assert max(map(len, lines)) <= 40
    body = "".join(lines[2:])  # without the head and its rule
    assert body.count("12.3") == 1
    assert re.sub(r"12\.3|\s", "", body) == name.replace(" ", "")


def figures():
    frames = dict.fromkeys((6, 8, 12, 16, 24, 32), 0.5)
    return {
        "sets": {
            name: {"clips": 0.9, "opposites": 0.1, "frames": frames, "by_movement": dict.fromkeys(MOVEMENTS, 0.9)}
            for name in SETS
        }
    }


def test_what_test_says_of_motion(capsys):
    """Through a pipe each set is a line, and so are its movements."""
    show(figures())
    lines = capsys.readouterr().out.splitlines()
    for name in SETS:
        row, movements = [line.strip() for line in lines if line.strip().startswith(name)]
        assert row.removeprefix(name).split() == ["90.0", "10.0", *["50.0"] * 6]
        assert all(movement in movements for movement in MOVEMENTS)


@pytest.mark.parametrize("width", [80, 60])
def test_what_test_says_of_motion_on_a_terminal(width, monkeypatch, capsys):
    monkeypatch.setattr("actionstream.commands.test.open_console", lambda: Console(width=width, highlight=False))
    show(figures())
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    for name in SETS:
        rows = [line.strip() for line in lines if re.match(rf" *{name} +\d", line)]
        assert [word for row in rows for word in row.removeprefix(name).split()] == ["90.0", "10.0", *["50.0"] * 6]


@pytest.mark.parametrize("width", [60, 34])
def test_long_labels_of_a_video(width):
    """Segments of one video: a label is broken into lines, and none of it is lost."""
    label = "PlayingSomethingThatHasAVeryLongName"
    segment = Segment(1.0, 2.5, label, 0.5)
    found = SimpleNamespace(segments=[segment], overall=np.array([1.0]))
    console = Console(file=io.StringIO(), width=width)
    _show(console, "a.mp4", found, [segment], SimpleNamespace(labels=(label,)))
    table = console.file.getvalue().partition("as a whole")[0]
    cells = [re.sub(r"0:\d\d\.\d|0\.50|start|end|label|score|a\.mp4|[─\s]", "", line) for line in table.splitlines()]
    assert "".join(cells) == label
    assert "…" not in table
