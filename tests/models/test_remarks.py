"""What is said of a test."""

import numpy as np
import pytest

from actionstream.models.training import testing
from actionstream.models.training.remarks import describe, remarks_on, sureness, wilson


def figures_of(truth, answers, labels=("a", "b", "c")):
    """A test in which clips of `truth` were given `answers`, letters of labels."""
    rows = {label: np.eye(len(labels))[number] for number, label in enumerate(labels)}
    scores = np.array([rows[answer] for answer in answers])[:, None]
    return testing.Tested(scores, np.array([rows[label] > 0 for label in truth]), labels, ()).figures()


@pytest.mark.parametrize(
    ("right", "total", "expected"),
    [(12, 20, (0.3866, 0.7812)), (0, 10, (0.0, 0.2775)), (10, 10, (0.7225, 1.0)), (1, 1, (0.2065, 1.0))],
)
def test_wilson(right, total, expected):
    assert wilson(right, total) == pytest.approx(expected, abs=1e-4)


def test_how_sure_a_figure_is():
    figures = figures_of("aaabbb", "aaabba")
    assert sureness(figures) == {"right": 5, "tested": 6, "between": wilson(5, 6)}
    assert describe(5, 6) == "5 of 6 are right; of new clips like these, between 44 and 97 % (95 % confidence)"
    assert sureness({"videos": 6, "mAP": 0.5}) == {}


@pytest.mark.parametrize(
    ("truth", "answers", "said"),
    [
        ("abc" * 7, "abc" * 7, []),
        ("aabb" * 5, "aaaa" * 5, ["all 20 clips get one answer, a: nothing else was learnt"]),
        ("aaaa" * 5, "aaaa" * 5, []),
        ("abcb" * 5, "aaca" * 5, ["never answered: b; give more clips"]),
        ("abc" * 6, "abc" * 6, ["18 clips are few for a test; expected 20 or more"]),
        ("abc", "aaa", ["all 3 clips get one answer, a", "3 clips are few for a test"]),
    ],
)
def test_what_is_wrong(truth, answers, said):
    lines = remarks_on(figures_of(truth, answers))
    assert len(lines) == len(said)
    assert all(line.startswith(begin) for line, begin in zip(lines, said, strict=True))


def test_recordings_that_were_learnt_from():
    (line,) = remarks_on(figures_of("abc" * 7, "abc" * 7), num_shared=3)
    assert line.startswith("3 of 21 clips of the test are of recordings that were learnt from")


def test_clips_of_several_labels():
    assert remarks_on({"videos": 30, "mAP": 0.5}) == []
    assert [line[:10] for line in remarks_on({"videos": 3, "mAP": 0.5})] == ["3 clips ar"]


def test_a_background_label_that_no_clip_has_is_no_answer():
    labels = ("nothing", "a", "b")
    assert figures_of(["a", "b"], ["nothing", "b"], labels)["answers"] == {"a": 1, "b": 1}
    with_it = figures_of(["a", "b", "nothing"], ["nothing", "b", "nothing"], labels)
    assert (with_it["answers"], with_it["top1"]) == ({"nothing": 2, "b": 1}, pytest.approx(2 / 3))
