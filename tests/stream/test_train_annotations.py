"""The command `train --annotations`: from annotated videos to a model that runs live."""

import json
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from evaluation import truth
from helpers import random_card, random_network, shared, write_video

from actionstream.benchmarks.films import loop_video
from actionstream.evaluation import activitynet
from actionstream.models import read_card, save
from actionstream.models.annotations.read import read_annotations
from actionstream.models.locate import locate

RATE = 10
SMALL = ("--steps", 80, "--set", "backbones=eye.safetensors", "--set", "arguments.num_hidden=32")
SEGMENTS = {  # of videos of 20 s, by group
    "a/one": [(2, 5, "bright"), (9, 13, "striped")],
    "a/two": [(4, 8, "striped"), (12, 15, "bright"), (13, 18, "striped")],
    "b/three": [(1, 4, "striped"), (8, 12, "bright")],
    "c/four": [(3, 7, "bright"), (11, 16, "striped")],
    "d/five": [(6, 10, "bright"), (14, 18, "striped")],
}


def pictures(segments, *, seconds=20, seed=0):
    """Noise, brighter or with stripes while a label holds."""
    random = np.random.default_rng(seed)
    for index in range(seconds * RATE):
        picture = random.integers(60, 90, (48, 64, 3))
        for start, end, label in segments:
            if start <= index / RATE < end and label == "bright":
                picture += 110
            elif start <= index / RATE < end:
                picture[:, ::8] = 0
        yield picture.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a small backbone, videos, and their annotations as a table."""
    folder = tmp_path_factory.mktemp("annotated")
    card = replace(random_card("tsm_resnet18", width=0.125), context=1)
    save(folder / "eye.safetensors", random_network(card), card)
    lines = ["video,start_seconds,end_seconds,label,group"]
    for seed, (name, segments) in enumerate(SEGMENTS.items()):
        video = folder / "videos" / f"{name}.mp4"
        video.parent.mkdir(parents=True, exist_ok=True)
        write_video(video, list(pictures(segments, seed=seed)), rate=RATE)
        lines += [f"{name},{start},{end},{label},{name[0]}" for start, end, label in segments]
    (folder / "segments.csv").write_text("\n".join(lines))
    known = truth(*((name, *row) for name, rows in SEGMENTS.items() for row in rows))
    activitynet.write_truth(folder / "truth.json", known, subset="validation")
    return folder


@pytest.fixture(scope="module")
def trained(made):
    """What the training of `run` printed."""
    command = [sys.executable, "-m", "actionstream", "train", "--data", "videos", "--annotations", "segments.csv"]
    done = subprocess.run(
        [*command, "-o", "run", *map(str, SMALL)], check=False, cwd=made, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.fixture(autouse=True)
def here(made, monkeypatch):
    monkeypatch.chdir(made)


def test_what_it_says(trained):
    out, err = trained
    lines = err.splitlines()
    assert lines[0] == "read: 5 videos to learn from, 0.03 hours, 0 videos in which nothing happens"
    assert lines[1] == "11 segments of 2 labels: bright 5, striped 6"
    assert "eye.safetensors see 10 snippets a second, of 32 x 32 pixels" in lines
    assert [line for line in lines if line.startswith("fold")] == [
        f"fold {number} of 4: learning from the other videos" for number in (1, 2, 3, 4)
    ]
    assert "held-out videos, each by what the others teach" in out
    assert out.splitlines()[-1] == "run: 5 videos learnt, 0 broken, 2 labels"


def test_the_model_knows_what_it_was_taught(trained, run):
    card = read_card(locate("run"))
    assert (card.labels, card.activation, card.arguments["memory"]) == (
        ("bright", "striped"),
        "sigmoid",
        "moving_averages",
    )
    assert card.segment_smoothing_seconds == 1.0, "a quarter of 4 s, the median"
    assert set(card.thresholds) == set(card.min_durations) == set(card.max_dips) == {"bright", "striped"}
    assert card.accuracy["frame_mAP"] > 0.5, "held out"
    assert card.accuracy["F1"]["0.1"] > 0.5
    assert card.accuracy["segments"]["true"] == 11
    summary = json.loads(locate("run").path.with_name("summary.json").read_text())
    assert summary["held_out"] == json.loads(json.dumps(card.accuracy))
    code, out, err = run(
        "evaluate", "activitynet", "--videos", "videos", "--truth", "truth.json", "--model", "run", "--json",
        "--results", "found.json", "--iou", 0.5
    )  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["online"]["frame_mAP"] > 0.8


def test_it_runs_live_and_exported(trained, run, made):
    code, out, _ = run("watch", "videos/d/five.mp4", "--model", "run", "--events", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    started = {line["label"] for line in lines if line.get("event") == "start"}
    assert (code, started) == (0, {"bright", "striped"})
    code, _, err = run("export", "run", "-o", "run.onnx")
    assert code == 0, err
    found = []
    for model in ("run", "run.onnx"):
        code, _, err = run("label", "videos/d/five.mp4", "--model", model, "--out", f"labels of {model}")
        assert code == 0, err
        results = json.loads((made / f"labels of {model}" / "five.json").read_text())["results"]
        found.append(sorted(results["five"], key=lambda each: each["segment"]))
    assert {each["label"] for each in found[0]} == {"bright", "striped"}
    for one, other in zip(*found, strict=True):
        assert one["label"] == other["label"]
        assert one["score"] == pytest.approx(other["score"], abs=1e-3)


def test_features_are_used_again(trained, run, made):
    files = sorted((made / "run" / "features").iterdir())
    times = [file.stat().st_mtime_ns for file in files]
    options = ["--features", "run/features", "--metric", "map", "--steps", 5, *SMALL[2:]]
    code, _, err = run("train", "--data", "videos", "--annotations", "segments.csv", "-o", "again", *options)
    assert code == 0, err
    assert sorted((made / "run" / "features").iterdir()) == files
    assert [file.stat().st_mtime_ns for file in files] == times
    assert not (made / "again" / "features").exists()


def test_what_cannot_be_used_is_named(run, made):
    (made / "videos" / "broken.mp4").write_text("no video")
    write_video(made / "videos" / "short.mp4", list(pictures([], seconds=2))[:1], rate=RATE)
    (made / "odd.csv").write_text(
        "video,start_seconds,end_seconds,label\n"
        "a/one,2,5,bright\na/one,19,25,striped\na/two,8,4,striped\ngone,1,2,bright\nbroken,1,2,bright\n"
        "short,0,1,bright\nb/three,1,4,striped\nb/three,30,40,striped\n"
    )
    code, _, err = run("train", "--data", "videos", "--annotations", "odd.csv", "-o", "odd", "--steps", 3, *SMALL[2:])
    (made / "videos" / "broken.mp4").unlink()
    (made / "videos" / "short.mp4").unlink()
    assert code == 0, err
    for said in (
        "videos that are not there: 1 (gone)",
        "videos that cannot be read: 1 (",
        "segments that end before they begin: 1",
        "segments after the end of their video: 1",
        "parts of segments after the end of their video: 2",
        "broken: videos/short.mp4: the video is too short",
    ):
        assert said in err, err


def test_one_group_cannot_be_held_out(run, made):
    (made / "alone.csv").write_text("video,start_seconds,end_seconds,label\na/one,2,5,bright\n")
    code, out, err = run(
        "train", "--data", "videos", "--annotations", "alone.csv", "-o", "alone", "--steps", 3, *SMALL[2:]
    )
    assert code == 0, err
    assert "all videos are of one group, so none is held out" in err
    assert read_card(locate("alone")).thresholds == {}
    assert out == "alone: 1 videos learnt, 0 broken, 1 labels\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "activitynet"], "--format is for clips; --annotations is for whole videos"),
        (["--training", "x.json"], "--training is for clips"),
        (["--model", "tsm_resnet18"], "--model is for clips"),
        (["--metric", "false-alarms"], "expected a number for the metric false-alarms"),
        (["--false-starts", "600", "--metric", "map"], "metric is map and false_alarms_per_hour 600"),
        (
            ["--false-starts", "3", "--metric", "false-alarms", "--set", "num_folds=2"],
            "3 false alarms an hour are not one",
        ),
        (["--set", "memory=gru"], "there is no such setting; nearest is"),
        (
            ["--set", "network=moving_average"],
            "--set network=moving_average: no network is named 'moving_average'; nearest are",
        ),
        (
            ["--set", "arguments.spans=[4,2]"],
            "[4,2]: moving_averages cannot be built with {'spans': (4.0, 2.0)}: spans are (4.0, 2.0)",
        ),
        (["--set", "network=i3d"], "--set network=i3d: i3d needs whole clips"),
        (["--set", "arguments.num_classes=3"], "a run computes it from labels"),
        (["--set", "backbones=gone"], "gone"),
    ],
)
def test_refused(run, options, message):
    code, _, err = run("train", "--data", "videos", "--annotations", "segments.csv", "-o", "refused", *options)
    assert (code, message in err) == (2, True), err


def test_annotations_of_no_videos(run):
    code, _, err = run("train", "--annotations", "segments.csv", "-o", "refused")
    assert (code, "give the folder they are in, --data DIR" in err) == (2, True)
    code, _, err = run("train", "--data", "videos", "--metric", "map", "-o", "refused")
    assert (code, "--metric is for --annotations" in err) == (2, True)


def test_a_complete_run_is_kept(trained, run):
    code, _, err = run("train", "--data", "videos", "--annotations", "segments.csv", "-o", "run", *SMALL)
    assert (code, "run has a complete run in it" in err) == (2, True)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("dataset", ["thumos14", "activitynet"])
def test_data_sets_as_they_are_published(run, made, dataset):
    """Their annotations, with a few made videos that have the names, lengths and segments of theirs."""
    if dataset == "thumos14":
        learnt_from, tested_on = (
            shared("data", "thumos14", "annotation_val"),
            shared("data", "thumos14", "annotation_test"),
        )
        sides = read_annotations(learnt_from).of_subset("val"), read_annotations(tested_on).of_subset("test")
    else:
        learnt_from = tested_on = shared("data", "activitynet", "activity_net.v1-3.rebuilt.json.gz")
        both = read_annotations(learnt_from)
        sides = both.of_subset("training"), both.of_subset("validation")
    by_label = {}
    for side, videos in enumerate(sides):
        for video in sorted(videos, key=last_second):
            labels = {each.label for each in video.annotations}
            long = all(each.end_seconds - each.start_seconds > 2 for each in video.annotations)
            if len(labels) == 1 and long:
                by_label.setdefault(labels.pop(), ([], []))[side].append(video)
    there = {label: both for label, both in by_label.items() if all(both)}
    chosen = sorted(there, key=lambda label: last_second(there[label][0][0]) + last_second(there[label][1][0]))[:2]
    folder = made / f"made {dataset}"
    folder.mkdir()
    for label, name in zip(chosen, ("bright", "striped"), strict=True):
        for video in (*there[label][0][:2], there[label][1][0]):
            rows = [(each.start_seconds, each.end_seconds, name) for each in video.annotations]
            shown = list(pictures(rows, seconds=math.ceil(last_second(video)) + 2))
            write_video(folder / f"{video.name}.mp4", shown, rate=RATE)
    output = f"runs/{dataset}"
    few = ["--steps", 60, *SMALL[2:]]
    code, out, err = run("train", "--data", folder, "--annotations", learnt_from, "-o", output, *few)
    assert code == 0, err
    assert out.splitlines()[-1] == f"{output}: 4 videos learnt, 0 broken, 2 labels"
    command = ["evaluate", dataset, "--videos", folder, "--truth", tested_on, "--model", output, "--json"]
    code, out, err = run(*command, "--results", f"{dataset}.json", "--pictures", f"pictures of {dataset}")
    assert code == 0, err
    figures = json.loads(out)
    assert figures["online"]["videos"] == 2
    assert figures["online"]["frame_mAP"] > 0.1
    assert set(figures["online"]["segments_by_class"]) == set(chosen)
    assert len(list((made / f"pictures of {dataset}").iterdir())) == 2


def last_second(video):
    return max((each.end_seconds for each in video.annotations), default=math.inf)


HOURS = """
import resource, sys
from dataclasses import replace
from pathlib import Path

from actionstream.detector.training import open_store
from actionstream.models.backbones import build

network, card = build("detector", ["eye.safetensors"], num_classes=2)
card = replace(card, labels=("a", "b"), interval_seconds=0.5, frame_seconds=0.5)
store = open_store(Path("features"), network, card, device="cpu")
store(Path("minute.mp4"))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = store(Path("hours.mkv")).rows
print(len(rows), rows.nbytes // 1024, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_memory_does_not_grow_with_videos(made):
    """Two hours, made of repeats of a minute, need no more than it does; their features are on the disk."""
    minute = list(pictures([(10, 20, "bright"), (30, 40, "striped")], seconds=60))
    write_video(made / "minute.mp4", minute, rate=RATE)
    loop_video(made / "minute.mp4", made / "hours.mkv", seconds=7200)
    done = subprocess.run([sys.executable, "-c", HOURS], check=True, cwd=made, capture_output=True, text=True)
    num_rows, kilobytes, more = map(int, done.stdout.split())
    assert num_rows == pytest.approx(14_400, abs=100)
    assert kilobytes == num_rows * 1024 * 2 // 1024
    assert more < 45_000, "kilobytes: that of the index of 72,000 frames, and no features"
