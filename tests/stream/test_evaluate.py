"""The command `evaluate`."""

import json
import math
import os
import re
import subprocess
import sys

import pytest
from evaluation import segments, truth
from helpers import on_a_terminal

from actionstream.evaluation import activitynet, thumos14
from actionstream.evaluation.detection_table import write_table
from actionstream.models.labels import read_labels


@pytest.fixture
def files(tmp_path):
    """Truth in both layouts, and the same detections in three."""
    known = truth(
        ("a", 0, 10, "Diving"),
        ("a", 20, 30, "Shotput"),
        ("b", 5, 8, "Diving"),
        ambiguous=[("b", 50, 60, "Ambiguous")],
        videos="c",
    )
    found = segments(
        ("a", 0, 8, "Diving", 0.9),
        ("b", 5, 8, "Diving", 0.8),
        ("b", 55, 70, "Diving", 0.85),
        ("a", 21, 30, "Shotput", 0.4),
    )
    thumos14.write_annotations(tmp_path / "annotation", known)
    activitynet.write_truth(tmp_path / "truth.json", known, subset="test")
    activitynet.write_results(tmp_path / "results.json", found)
    write_table(tmp_path / "results.csv", found)
    numbers = {"Diving": 1, "Shotput": 2}
    lines = [f"{v}.mp4 {s} {e} {numbers[label]} {score}\n" for v, s, e, label, score in found.rows()]
    (tmp_path / "results.txt").write_text("".join(lines))
    return tmp_path


@pytest.mark.parametrize("name", ["results.json", "results.csv", "results.txt"])
def test_thumos14(run, files, name):
    code, out, _ = run("evaluate", "thumos14", "--results", files / name, "--truth", files / "annotation", "--json")
    figures = json.loads(out)
    assert code == 0
    assert list(figures["mAP"]) == ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7"]
    assert figures["average_mAP"] == 1
    assert figures["AP"]["Shotput"]["0.7"] == 1
    assert (figures["annotations"], figures["results"], figures["remarks"]) == (3, 4, {})
    if name != "results.txt":
        _, again, _ = run("evaluate", "thumos14", "--results", files / name, "--truth", files / "truth.json", "--json")
        assert json.loads(again)["AP"] == figures["AP"]


def test_the_table_on_the_screen(run, files):
    arguments = ["evaluate", "thumos14", "--results", files / "results.csv", "--truth", files / "annotation"]
    code, out, _ = run(*arguments, "--iou", 0.5, "--iou", 0.85)
    lines = [line.split() for line in out.splitlines() if line.strip()]
    assert code == 0
    assert lines[0] == ["thumos14", "detection,", "test,", "in", "%"]
    assert ["IoU", "0.5", "0.85", "mean"] in lines
    assert ["Diving", "100.00", "25.00", "62.50"] in lines
    assert ["mAP", "100.00", "62.50", "81.25"] in lines
    assert "3 annotations of 2 classes in 2 videos, 4 results" in out


def test_activitynet(run, files):
    arguments = ["evaluate", "activitynet", "--results", files / "results.json", "--truth", files / "truth.json"]
    code, out, err = run(*arguments)
    assert (code, "no annotations of subset 'validation'; there are test" in err) == (2, True)
    code, out, _ = run(*arguments, "--subset", "test", "--json")
    figures = json.loads(out)
    assert code == 0
    assert list(figures["mAP"])[::9] == ["0.5", "0.95"]
    assert figures["AP"]["Shotput"] == {f"{t / 100:g}": float(t <= 90) for t in range(50, 100, 5)}
    assert figures["AP"]["Ambiguous"]["0.5"] == 0, "to ActivityNet that is a label like others"
    code, out, _ = run(*arguments, "--subset", "test", "--task", "proposals")
    assert code == 0
    assert "AR@100" in out
    assert "AUC" in out


def test_classification(run, files):
    whole = segments(*(("a", math.nan, math.nan, label, 0.5) for label in ("Diving", "Shotput")))
    activitynet.write_results(files / "labels.json", whole, task="classification")
    arguments = ["--results", files / "labels.json", "--truth", files / "truth.json", "--task", "classification"]
    code, out, _ = run("evaluate", "activitynet", *arguments, "--subset", "test", "--json")
    figures = json.loads(out)
    assert code == 0
    assert figures["AP"] == {"Ambiguous": 0, "Diving": 0.5, "Shotput": 1}
    assert (figures["Hit@1"], figures["Hit@3"], figures["Avg_Hit@1"]) == (0.5, 0.5, 0.25)
    code, out, _ = run("evaluate", "thumos14", *arguments, "--json")
    assert json.loads(out)["AP"] == {"Diving": 1, "Shotput": 1}
    labels = read_labels("ucf101")
    scores = {"a": {"Diving": 1, "Shotput": 1}, "b": {"Diving": 2}, "c": {"Shotput": 2}}
    lines = [" ".join([v, *(str(scores[v].get(label, 0)) for label in labels)]) for v in "abc"]
    (files / "scores.txt").write_text("\n".join(lines))
    arguments[1] = files / "scores.txt"
    code, out, _ = run("evaluate", "thumos14", *arguments)
    assert code == 0
    assert ["Shotput", "50.00"] in [line.split() for line in out.splitlines()]
    assert ["mAP", "75.00"] in [line.split() for line in out.splitlines()]


def test_blocked_videos(run, files):
    arguments = ["evaluate", "thumos14", "--results", files / "results.csv", "--truth", files / "annotation", "--json"]
    for text in ('["b", "q"]', "b\nq\n"):
        (files / "blocked").write_text(text)
        code, out, _ = run(*arguments, "--blocked", files / "blocked")
        figures = json.loads(out)
        assert (code, figures["videos"], figures["annotations"], figures["results"]) == (0, 1, 2, 2)
    known = truth(*((v, 0, 10, "Diving") for v in (*thumos14.MISLABELLED, "a")))
    thumos14.write_annotations(files / "four", known)
    arguments[5] = files / "four"
    assert json.loads(run(*arguments, "--blocked", "mislabelled")[1])["videos"] == 1


def test_results_that_are_odd_or_empty(run, files):
    write_table(files / "odd.csv", segments(("a", 3, 3, "Diving", 0.9), ("q", 0, 1, "Vaulting", 0.9)))
    arguments = ["evaluate", "thumos14", "--truth", files / "annotation", "--results"]
    code, out, _ = run(*arguments, files / "odd.csv")
    assert code == 0
    assert "videos of the results that are not in the truth: 1" in out
    assert "results of labels that the truth does not know, which do not count: 1" in out
    write_table(files / "empty.csv", segments())
    code, out, _ = run(*arguments, files / "empty.csv")
    assert (code, "3 annotations of 2 classes in 2 videos, 0 results" in out) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["thumos14", "--task", "proposals"], "THUMOS14 has no proposals"),
        (["thumos14", "--iou", "50"], "--iou is 50.0; expected a number from 0 to 1"),
        (["thumos14", "--iou", "0.5", "--task", "classification"], "classification has no IoU thresholds"),
        (["thumos14", "--task", "classification"], "20 of THUMOS14's 101 classes"),
        (["thumos14", "--subset", "val"], "no annotations of subset 'val'; there are test"),
        (["thumos14", "--results", "results.xml"], "results.xml ends in '.xml'"),
        (["thumos14", "--results", "nowhere.json"], "no file nowhere.json"),
        (
            ["thumos14", "--results", "results.txt", "--truth", "truth.json"],
            "has class numbers; expected the folder",
        ),
        (["activitynet", "--results", "results.txt", "--truth", "truth.json", "--subset", "test"], "ends in '.txt'"),
        (["activitynet", "--truth", "nowhere.json"], "no file nowhere.json"),
    ],
)
def test_bad_input_is_one_line(run, files, monkeypatch, arguments, message):
    monkeypatch.chdir(files)
    code, _, err = run("evaluate", "--results", "results.csv", "--truth", "annotation", *arguments)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_the_evaluators_need_no_torch():
    program = (
        "import sys; sys.modules['torch'] = None; import actionstream.commands.evaluate, actionstream.evaluation.online"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


NAMES = ("CleanAndJerk", "Playing water polo [indoors]", "HighJump")


@pytest.fixture
def three_classes(tmp_path):
    """A command that has eleven columns of figures of three classes."""
    known = truth(*(("a", 10 * n, 10 * n + 5, name) for n, name in enumerate(NAMES)))
    found = segments(*(("a", 10 * n, 10 * n + 4, name, 0.9) for n, name in enumerate(NAMES)))
    activitynet.write_truth(tmp_path / "truth.json", known, subset="validation")
    activitynet.write_results(tmp_path / "results.json", found)
    files = ["--results", tmp_path / "results.json", "--truth", tmp_path / "truth.json"]
    return [sys.executable, "-m", "actionstream", "evaluate", "activitynet", *map(str, files)]


@pytest.mark.parametrize("columns", ["80", "60", None])
def test_through_a_pipe_a_class_is_a_line(three_classes, columns):
    """However wide the terminal is from which the pipe was opened."""
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    environment |= {} if columns is None else {"COLUMNS": columns}
    out = subprocess.run(three_classes, capture_output=True, text=True, check=True, env=environment).stdout
    for name in (*NAMES, "mAP"):
        (line,) = [line for line in out.splitlines() if line.strip().startswith(name)]
        figures = [float(figure) for figure in line.strip().removeprefix(name).split()]
        assert len(figures) == 11
        assert figures[0] == 100
    assert max(len(line) for line in out.splitlines()) < 150, "nothing is filled up"


@pytest.mark.parametrize("columns", [200, 80, 60, 40])
def test_on_a_terminal_no_name_and_no_figure_is_lost(three_classes, columns):
    """What does not fit beside the names comes in further tables."""
    code, screen = on_a_terminal(three_classes, columns=columns)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen).splitlines()
    assert code == 0
    assert max(map(len, lines)) <= columns
    for name in (*NAMES, "mAP"):
        rows = [line.strip() for line in lines if line.strip().startswith(name)]
        assert sum(len(row.removeprefix(name).split()) for row in rows) == 11
    head = [word for line in lines if line.strip().startswith("IoU") for word in line.split()[1:]]
    assert head == [f"{number / 100:g}" for number in range(50, 100, 5)] + ["mean"]
    assert "…" not in screen


def test_many_classes_are_left_to_json(run, tmp_path):
    known = truth(*(("a", 10 * n, 10 * n + 5, f"class {n}") for n in range(31)))
    activitynet.write_truth(tmp_path / "truth.json", known, subset="validation")
    activitynet.write_results(tmp_path / "results.json", segments(("a", 0, 5, "class 0", 0.5)))
    command = ("evaluate", "activitynet", "--results", tmp_path / "results.json", "--truth", tmp_path / "truth.json")
    assert "the figures of all 31 classes are in --json" in run(*command)[1]
