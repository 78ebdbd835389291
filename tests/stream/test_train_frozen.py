"""`train --data` with few clips: frozen backbones, a linear layer, the folder of a run; and `test` of it."""

import json
import shutil

import numpy as np
import pytest
import torch
from helpers import write_video
from PIL import Image

from actionstream import watch
from actionstream.models import load, read_card
from actionstream.models.training.run import Run
from actionstream.teaching import Teacher

LABELS = ("left", "right")
FOLDERS = (*LABELS, "background")


def moving(label, number):
    """A bright square that goes to one side over noise, or nothing but noise."""
    random = np.random.default_rng(number)
    pictures = list(random.integers(0, 80, (24, 64, 80, 3), dtype=np.uint8))
    for n, picture in enumerate(pictures):
        x = 4 + 2 * n if label == "right" else 60 - 2 * n
        if label in LABELS:
            picture[20:40, x : x + 16] = 255
    return pictures


def write_clips(root, numbers, *, folders=FOLDERS):
    for label in folders:
        (root / label).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            write_video(root / label / f"{label}{number}.mp4", moving(label, number))
    return root


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("data"), range(3))


@pytest.fixture(scope="module")
def new_clips(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("new"), (10,))


@pytest.fixture
def train(run, tmp_path):
    def command(data, *more):
        return run("train", "--data", data, "-o", tmp_path / "run", "--device", "cpu", *more)

    return command


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A run on nine clips, as Python begins it."""
    from actionstream import train_clips

    folder = tmp_path_factory.mktemp("runs") / "whole"
    train_clips(folder, data=data, device="cpu")
    return folder


def summary_of(folder):
    return json.loads((folder / "summary.json").read_text())


def test_what_a_run_leaves(finished, data):
    names = {path.name for path in finished.iterdir()}
    assert names == {"settings.json", "last.safetensors", "best.safetensors", "confusion.png", "summary.json"}
    assert (finished / "last.safetensors").read_bytes() == (finished / "best.safetensors").read_bytes()
    summary = summary_of(finished)
    assert (summary["training"], summary["validation"], summary["broken"]) == (9, 0, [])
    assert (summary["tested"], summary["tested_by"]) == (9, "clip")
    assert summary["best"]["top1"] == summary["right"] / 9
    assert summary["between"][0] < summary["best"]["top1"] <= summary["between"][1]
    card = read_card(finished)
    assert (card.network, card.labels) == ("taught", ("nothing", "left", "right"))
    assert card.accuracy["top1"] == summary["best"]["top1"]
    assert [each["name"] for each in card.training["examples"][:3]] == [f"background{n}.mp4" for n in range(3)]
    settings = Run.open(finished).settings
    assert (settings.data.root, settings.data.hold_out) == (str(data), False)
    with Image.open(finished / "confusion.png") as picture:
        assert picture.size[0] > 300


def test_what_is_said(data, train, tmp_path):
    clips = write_clips(tmp_path / "clips", range(2), folders=LABELS)
    (clips / "left" / "bad.mp4").write_bytes(b"no video")
    (clips / "left" / "left1.txt").write_text("a note")
    code, out, err = train(clips)
    assert code == 0, err
    lines = err.splitlines()
    assert lines[:2] == [
        "5 clips are few: frozen backbones see them, and a linear layer learns, as with `teach`; "
        "--model NAME trains all of a network",
        "read: 5 clips to learn from, 0 of validation, 2 labels",
    ]
    assert "4 clips are few for a test; expected 20 or more; give more clips, of other recordings" in lines
    assert lines[-1].startswith("broken: ")
    assert "bad.mp4" in lines[-1]
    assert "5 clips learnt, 0 held out, 1 broken; best top1" in out
    assert "each clip, by what all others teach: " in out
    assert "of 4 are right; of new clips like these, between" in out
    (broken,) = summary_of(tmp_path / "run")["broken"]
    assert broken in lines[-1]


def test_it_learns_what_teach_learns(finished, data):
    teacher = Teacher()
    for label, path in sorted((path.parent.name, path) for path in data.glob("*/*.mp4")):
        teacher.add("nothing" if label == "background" else label, path)
    expected = teacher.fit()
    card = read_card(finished)
    mine = Teacher(finished)
    assert (card.labels, card.covers) == (expected.labels, min(expected.lengths))
    for one, other in zip(mine.examples, teacher.examples, strict=True):
        assert np.allclose(one.features, other.features, atol=2e-2)
    assert np.allclose(mine.fit().probabilities, expected.probabilities, atol=2e-2)


def test_a_recording_is_left_out_as_a_whole(train, tmp_path):
    """Both clips of a recording are the same; only with both left out is it seen that no other clip is like them."""
    clips = tmp_path / "clips"
    for label in LABELS:
        (clips / label).mkdir(parents=True)
        for recording in range(3):
            for clip in range(2):
                looks = label if recording or label == "left" else "left"  # recording 0 of right looks like left
                write_video(clips / label / f"v_{label}_g{recording}_c{clip}.mp4", moving(looks, recording))
    code, out, err = train(clips)
    assert code == 0, err
    assert "each recording, by what all others teach: " in out
    summary = summary_of(tmp_path / "run")
    assert (summary["tested_by"], summary["tested"]) == ("recording", 12)
    examples = read_card(tmp_path / "run").training["examples"]
    assert len(examples) == 12


def test_labels_of_one_recording_are_tested_by_clip(train, tmp_path):
    clips = tmp_path / "clips"
    for label in LABELS:
        (clips / label).mkdir(parents=True)
        for clip in range(3):
            write_video(clips / label / f"v_{label}_g1_c{clip}.mp4", moving(label, clip))
    code, out, err = train(clips)
    assert code == 0, err
    assert "each clip, by what all others teach: " in out
    assert "all clips of left, right are of one recording: each clip is tested by all others" in err


def test_a_label_of_one_clip_cannot_be_tested(train, tmp_path):
    clips = write_clips(tmp_path / "clips", range(2), folders=LABELS)
    (clips / "right" / "right1.mp4").unlink()
    code, _, err = train(clips)
    assert code == 0, err
    assert summary_of(tmp_path / "run")["tested"] == 2
    assert "cannot be tested, as there is one clip: right; give five or more of each label" in err


def test_clips_for_validation_are_the_test(data, new_clips, train, tmp_path):
    root = tmp_path / "sides"
    shutil.copytree(data, root / "train")
    shutil.copytree(new_clips, root / "val")
    code, out, err = train(root)
    assert code == 0, err
    assert "9 clips learnt, 3 held out, 0 broken" in out
    assert "held-out clips: " in out
    assert (summary_of(tmp_path / "run")["tested"], summary_of(tmp_path / "run")["tested_by"]) == (3, "validation")


def test_most_clips_are_broken(train, tmp_path):
    clips = write_clips(tmp_path / "clips", range(1), folders=LABELS)
    for number in range(3):
        (clips / "left" / f"bad{number}.mp4").write_bytes(b"no video")
    code, _, err = train(clips)
    assert code == 2
    assert "3 of 5 clips cannot be read, more than half: " in err.splitlines()[-1]
    assert train(write_clips(tmp_path / "others", range(1), folders=LABELS))[0] == 0  # the folder is still free


def test_a_complete_run_is_not_trained_on(finished, data, run):
    code, _, err = run("train", "--data", data, "-o", finished)
    assert (code, "has a complete run in it; take another folder" in err) == (2, True)
    code, out, _ = run("train", "--resume", finished)
    assert (code, "is complete: its linear layer was fitted in one step" in out) == (0, True)


def test_a_run_that_was_stopped_is_fitted_again(finished, run, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "run")
    (folder / "summary.json").unlink()
    (folder / "best.safetensors").unlink()
    code, _, err = run("train", "--resume", folder, "--device", "cpu")
    assert code == 0, err
    ours, theirs = (load(each)[0].state_dict() for each in (folder, finished))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("option", [("--epochs", 1), ("--model", "tsm_resnet18"), ("--start", "none")])
def test_an_option_of_the_loop_asks_for_the_loop(data, train, tmp_path, option):
    small = ("--size", 32, "--workers", 0, "--batch-size", 4, "--set", "sampled.num_frames=2", "--epochs", 1)
    code, _, err = train(data, *small, *option)
    assert code == 0, err
    assert "are few" not in err.splitlines()[0]
    assert (tmp_path / "run" / "last.pt").is_file()


def test_a_taught_model_is_tested_as_it_runs_live(finished, new_clips, run):
    code, out, err = run("test", finished, "--data", new_clips, "--json", "--device", "cpu")
    assert code == 0, err
    figures = json.loads(out)
    card = read_card(finished)
    right = []
    for path in sorted(new_clips.glob("*/*.mp4")):
        rows = np.log([row.probabilities for row in watch(path, model=finished, device="cpu")])
        label = card.labels[rows[min(max(card.context, card.covers), len(rows) - 1) :].mean(axis=0).argmax()]
        right.append(label == path.parent.name.replace("background", "nothing"))
    assert figures["top1"] == pytest.approx(np.mean(right))
    assert figures["top1"] >= 2 / 3
    assert "3 clips are few for a test" in err


def test_nothing_is_no_answer_where_no_clip_shows_nothing(finished, new_clips, run, tmp_path):
    for label in LABELS:
        shutil.copytree(new_clips / label, tmp_path / "data" / label)
    code, out, _ = run("test", finished, "--data", tmp_path / "data", "--json", "--device", "cpu")
    assert (code, set(json.loads(out)["answers"]) <= set(LABELS)) == (0, True)
    code, out, _ = run("test", finished, "--data", tmp_path / "data", "--online", "--json", "--device", "cpu")
    assert (code, len(json.loads(out)["seen"])) == (0, 10)


def test_what_test_says(finished, data, new_clips, run):
    code, out, err = run("test", finished, "--data", new_clips, "--device", "cpu")
    assert (code, "3 videos, each streamed whole" in out) == (0, True)
    assert "of 3 are right; of new clips like these, between" in out
    assert "are of recordings that were learnt from" not in err
    _, _, err = run("test", finished, "--data", data, "--device", "cpu")
    assert "9 of 9 clips of the test are of recordings that were learnt from" in err
    code, _, err = run("test", finished, "--data", data, "--clips", 2, "--full")
    assert (code, "is tested as it runs live, on whole clips, without --clips, --full" in err) == (2, True)
    code, _, err = run("test", finished)
    assert (code, "has no clips to be tested on; give a folder of them, --data DIR" in err) == (2, True)


@pytest.fixture(scope="module")
def hall(tmp_path_factory):
    """A folder with half a minute of noise, at a few frames a second."""
    folder = tmp_path_factory.mktemp("hall")
    pictures = [picture for number in range(11) for picture in moving("background", 50 + number)]
    write_video(folder / "a.mp4", pictures, rate=8)
    (folder / "notes.txt").write_text("quiet")
    return folder


LOOP = ("--model", "tsm_resnet18", "--start", "none", "--size", "32", "--epochs", "1", "--workers", "0")


@pytest.mark.parametrize("how", [(), LOOP], ids=["frozen", "loop"])
def test_thresholds_for_a_number_of_false_starts(how, data, hall, train, tmp_path):
    code, out, err = train(data, "--background", hall, "--false-starts", 200, *how)
    assert code == 0, err
    assert "notes.txt" in err
    assert "thresholds of events: left 0." in out
    assert "false starts where nothing happens: " in out
    best, last = (read_card(tmp_path / "run" / f"{name}.safetensors").thresholds for name in ("best", "last"))
    assert best == last
    assert set(best) == {"left", "right"}


@pytest.mark.parametrize("how", [(), LOOP], ids=["frozen", "loop"])
def test_clips_of_background_count_where_nothing_else_is_given(how, data, train, tmp_path):
    """They are too short here; the result of the training is shown, and nothing is lost."""
    code, out, err = train(data, "--false-starts", 200, *how)
    assert (code, "clips learnt" in out) == (2, True)
    assert err.splitlines()[-1].endswith("give --background with footage in which none of the actions happens")
    assert read_card(tmp_path / "run" / "best.safetensors").thresholds == {}
    assert (tmp_path / "run" / "summary.json").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--background", "absent"), "no such file or folder: absent"),
        (("--false-starts", "-1"), "--false-starts is -1; expected a number above 0, of an hour"),
        (("--false-starts", "10", *LOOP), "no label of the data is background or nothing; give --background"),
    ],
)
def test_what_cannot_be_calibrated_is_told_before_the_training(options, message, train, tmp_path):
    clips = write_clips(tmp_path / "clips", range(2), folders=LABELS)
    code, _, err = train(clips, *options)
    assert (code, message in err.splitlines()[-1]) == (2, True), err
    assert not list((tmp_path / "run").glob("*.safetensors"))
