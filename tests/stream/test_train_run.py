"""Training on a folder of videos, as a user does it: train, be killed, go on, test, watch."""

import csv
import json
import platform
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from helpers import images, write_video
from PIL import Image

from actionstream import watch
from actionstream.models import load, read_card
from actionstream.models.common.files import atomic_write
from actionstream.models.common.processes import is_running
from actionstream.models.training import testing
from actionstream.models.training.datasets import Clip
from actionstream.models.training.run import Run, _best

LABELS = ("left", "right")


def moving(label, number):
    """A bright square that goes to one side over noise."""
    random = np.random.default_rng(number)
    pictures = list(random.integers(0, 80, (24, 64, 80, 3), dtype=np.uint8))
    for n, picture in enumerate(pictures):
        x = 4 + 2 * n if label == "right" else 60 - 2 * n
        picture[20:40, x : x + 16] = 255
    return pictures


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for label in LABELS:
        (root / label).mkdir()
        for number in range(5):
            write_video(root / label / f"v_{label}_g{number:02}_c01.mp4", moving(label, number))
    return root


SMALL = ("--size", 32, "--batch-size", 4, "--workers", 0, "--device", "cpu", "--set", "sampled.num_frames=4")
NETWORK = ("--model", "tsm_resnet18", "--set", 'arguments={"width": 0.125, "shift": "uni", "dropout": 0.5}')
NETWORK = (*NETWORK, "--set", "optimisation.mixup=0.2")


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A run of two epochs that nobody disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    command = [sys.executable, "-m", "actionstream", "train", "--data", data, "-o", folder, "--epochs", 2]
    command += [*SMALL, *NETWORK]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "8 clips learnt, 2 held out, 0 broken; best top1" in done.stdout
    return folder


def test_what_a_run_leaves(finished):
    names = {path.name for path in finished.iterdir()}
    assert names == {
        "settings.json",
        "last.pt",
        "last.safetensors",
        "best.safetensors",
        "figures.csv",
        "curves.png",
        "confusion.png",
        "summary.json",
        "tensorboard",
    }
    with (finished / "figures.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1.0", "2.0"]
    assert {"loss", "top1", "top5", "mean_class"} <= rows[0].keys()
    with Image.open(finished / "curves.png") as curves:
        assert curves.size[0] > 600
    summary = json.loads((finished / "summary.json").read_text())
    assert (summary["training"], summary["validation"], summary["broken"]) == (8, 2, [])
    card = read_card(finished)
    assert card.labels == LABELS
    assert Run.open(finished).settings.augmentation.opposites == {"left": "right", "right": "left"}
    assert card.shift == "uni"
    assert card.accuracy["videos"] == 2


@pytest.fixture
def killed_after(run, monkeypatch):
    """A run of that command, killed after its first epoch."""
    from actionstream.models.training import run as run_module

    original = run_module.save_state

    def killed(path, state):
        original(path, state)
        raise SystemExit("killed")

    def start(*command):
        with monkeypatch.context() as patch:
            patch.setattr(run_module, "save_state", killed)
            assert run(*command)[0] == "killed"

    return start


@pytest.fixture
def half(data, tmp_path, killed_after):
    """The same run, killed after its first epoch."""
    folder = tmp_path / "half"
    killed_after("train", "--data", data, "-o", folder, "--epochs", 2, *SMALL, *NETWORK)
    return folder


def check_same(folder, finished):
    ours, theirs = (load(each / "last.safetensors")[0].state_dict() for each in (folder, finished))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert (folder / "figures.csv").read_text() == (finished / "figures.csv").read_text()


def test_a_run_that_was_killed_goes_on_to_the_same_weights(finished, half, run):
    code, out, _ = run("train", "--resume", half, "--workers", 0, "--device", "cpu")
    assert code == 0
    assert "8 clips learnt" in out
    check_same(half, finished)


def test_a_run_goes_on_without_what_it_began_with(finished, data, tmp_path, run, killed_after, monkeypatch):
    """Start, teacher and the file of labels were given by relative paths, and are gone; the folder has moved."""
    there, elsewhere = tmp_path / "there", tmp_path / "elsewhere"
    there.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(there)
    shutil.copy(finished / "best.safetensors", "start.safetensors")
    Path("names.txt").write_text("right\nleft\n")
    command = ("train", "--data", data, "--epochs", 2, "--labels", "names.txt", *SMALL, *NETWORK)
    assert run(*command, "-o", "teacher")[0] == 0
    command = (*command, "--start", "start.safetensors", "--teacher", "teacher")
    assert run(*command, "-o", "whole")[0] == 0
    killed_after(*command, "-o", "half")
    settings = Run.open(there / "half").settings
    assert (settings.start, settings.teacher) == (str(there / "start.safetensors"), str(there / "teacher"))
    assert (settings.labels, settings.data.open()[2]) == (("right", "left"), ("right", "left"))
    for gone in ("start.safetensors", "names.txt"):
        Path(gone).unlink()
    shutil.rmtree("teacher")
    shutil.move("half", elsewhere / "moved")
    monkeypatch.chdir(elsewhere)
    code, _, err = run("train", "--resume", "moved", "--workers", 0, "--device", "cpu")
    assert code == 0, err
    check_same(elsewhere / "moved", there / "whole")
    assert run("test", "moved", "--json", "--device", "cpu")[0] == 0


def test_a_run_that_was_killed_in_its_first_epoch_needs_no_more_than_its_folder(
    finished, data, tmp_path, run, monkeypatch
):
    start, teacher = (
        shutil.copy(finished / "best.safetensors", tmp_path / name) for name in ("a.safetensors", "b.safetensors")
    )
    command = ("train", "--data", data, "--epochs", 2, "--start", start, "--teacher", teacher, *SMALL, *NETWORK)
    assert run(*command, "-o", tmp_path / "whole")[0] == 0
    assert not (tmp_path / "whole" / "start.safetensors").exists()  # an epoch has what is needed
    with monkeypatch.context() as patch:
        patch.setattr("actionstream.models.training.run.train", Mock(side_effect=KeyboardInterrupt))
        assert run(*command, "-o", tmp_path / "half")[0] != 0
    start.unlink()
    teacher.unlink()
    code, _, err = run("train", "--resume", tmp_path / "half", "--workers", 0, "--device", "cpu")
    assert code == 0, err
    check_same(tmp_path / "half", tmp_path / "whole")


@pytest.mark.parametrize("contents", [b"", b"PK\3\4 and no more"], ids=["empty", "cut"])
def test_a_state_that_is_damaged(half, run, contents):
    (half / "last.pt").write_bytes(contents)
    code, _, err = run("train", "--resume", half, "--workers", 0, "--device", "cpu")
    assert code == 2
    assert "last.pt is damaged, and no training can go on from it" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"epochs": 2', '"epochs": 2.5', "epochs is 2.5; expected a whole number"),
        (None, "null", "settings.json: the value is None; expected an object"),
    ],
)
def test_settings_that_were_changed_by_hand(half, run, old, new, message):
    file = half / "settings.json"
    file.write_text(new if old is None else file.read_text().replace(old, new))
    code, _, err = run("train", "--resume", half, "--workers", 0, "--device", "cpu")
    assert code == 2
    assert message in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("seed=99999999999999999999", "seed is 99999999999999999999; expected 1099511627776 at most"),
        ("data.seed=-5", "seed is -5; expected 0 or more"),
        ("arguments.dropout=2", "cannot be built with"),
        ('augmentation.opposites={"left": "up"}', "augmentation.opposites has 'up', which is no label"),
    ],
)
def test_settings_that_nothing_can_be_done_with(data, tmp_path, run, change, message):
    code, _, err = run("train", "--data", data, "-o", tmp_path / "run", "--set", change, *SMALL, *NETWORK)
    assert code == 2
    assert message in err.splitlines()[-1]


def test_a_run_of_before_has_no_copy_of_its_teacher(finished, data, tmp_path, run, killed_after):
    """It is looked for where it was, and where it is gone that is said; with it a copy is made."""
    teacher = shutil.copytree(finished, tmp_path / "teacher")
    folder = tmp_path / "half"
    killed_after("train", "--data", data, "-o", folder, "--epochs", 2, "--teacher", teacher, *SMALL, *NETWORK)
    (folder / "teacher.safetensors").unlink()
    teacher.rename(tmp_path / "moved")
    resume = ("train", "--resume", folder, "--workers", 0, "--device", "cpu")
    code, _, err = run(*resume)
    assert code == 2
    line = err.splitlines()[-1]  # after what was read of the data
    assert line.startswith(f"actionstream: the teacher of the run cannot be read: no model '{teacher}'")
    (tmp_path / "moved").rename(teacher)
    assert run(*resume)[0] == 0
    assert (folder / "teacher.safetensors").is_file()


def test_what_a_failed_run_had_is_not_taken_over(finished, data, tmp_path, run):
    """The next one in its folder has labels and a teacher of its own."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "teacher.safetensors").write_bytes(b"of another")
    (folder / "labels.txt").write_text("up\ndown\n")
    command = ("train", "--data", data, "-o", folder, "--epochs", 1, "--teacher", finished)
    assert run(*command, *SMALL, *NETWORK)[0] == 0
    assert load(folder / "teacher.safetensors")[1].labels == LABELS
    assert Run.open(folder).settings.data.open()[2] == LABELS


def test_a_file_of_events_for_each_time_that_a_run_is_trained(finished, half, run):
    """And one value of each figure an epoch, also where an epoch was told before the run was killed."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert len(list((finished / "tensorboard").iterdir())) == 1
    state = (half / "last.pt").read_bytes()
    assert run("train", "--resume", half, "--workers", 0, "--device", "cpu")[0] == 0
    (half / "last.pt").write_bytes(state)  # killed after it had told of the second epoch
    assert run("train", "--resume", half, "--workers", 0, "--device", "cpu")[0] == 0
    assert len(list((half / "tensorboard").iterdir())) == 3
    for folder in (finished, half):
        events = EventAccumulator(str(folder / "tensorboard")).Reload()
        assert [event.step for event in events.Scalars("loss")] == [1, 2]


def contents(folder, *names):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name in names}


def test_a_file_that_cannot_be_written_whole(finished, half, run):
    """Files may not get as large as the state has to be: the last good one stays, and with room the run goes on."""
    before = contents(half, "last.pt", "settings.json")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((half / "last.pt").stat().st_size // 2, hard))
    try:
        code, _, err = run("train", "--resume", half, "--workers", 0, "--device", "cpu")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 2
    assert err.splitlines()[-1] == (
        f"actionstream: {half}/last.pt cannot be written: File too large; what was written before is whole: make room, "
        f"and go on with --resume {half}"
    )
    assert contents(half, "last.pt", "settings.json") == before
    assert not list(half.glob("*.partial"))
    assert load(half / "last.safetensors")[1].accuracy["epoch"] == 2
    assert run("train", "--resume", half, "--workers", 0, "--device", "cpu")[0] == 0
    check_same(half, finished)


def test_a_full_disk(finished, half, run, tmp_path):
    """A real one, which has not room for one more checkpoint."""
    disk = tmp_path / "disk"
    disk.mkdir()
    used = sum(-(-path.stat().st_size // 4096) * 4 + 4 for path in half.rglob("*"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={used + 100}k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can be mounted by root only")
    try:
        folder = shutil.copytree(half, disk / "run")
        before = contents(folder, "last.pt", "settings.json")
        code, _, err = run("train", "--resume", folder, "--workers", 0, "--device", "cpu")
        assert code == 2
        assert err.splitlines()[-1].startswith("actionstream: ")
        assert err.splitlines()[-1].endswith(f"make room, and go on with --resume {folder}")
        assert "Traceback" not in err
        assert contents(folder, "last.pt", "settings.json") == before
        assert not list(folder.glob("*.partial"))
        assert {load(file)[1].labels for file in folder.glob("*.safetensors")} == {LABELS}
        subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
        assert run("train", "--resume", folder, "--workers", 0, "--device", "cpu")[0] == 0
        check_same(folder, finished)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_test_and_watch(finished, data, run):
    code, out, _ = run("test", finished, "--clips", 3, "--crops", 3, "--json", "--device", "cpu")
    assert code == 0
    figures = json.loads(out.splitlines()[-1])
    assert figures["videos"] == 2
    assert set(figures["per_class"]) == set(LABELS)
    code, out, _ = run("test", finished / "last.safetensors", "--data", data, "--frames", 32, "--device", "cpu")
    assert code == 0
    assert "10 videos, each as 1 clips of 1 crops" in out
    code, out, _ = run("test", finished, "--full", "--crops", 3, "--clips", 2, "--json", "--device", "cpu")
    assert (code, json.loads(out.splitlines()[-1])["videos"]) == (0, 2)
    code, out, _ = run("test", finished, "--online", "--json", "--device", "cpu")
    seen = json.loads(out.splitlines()[-1])["seen"]
    assert list(seen) == [f"{part / 10}" for part in range(1, 11)]
    assert "accuracy when so much of a video has been seen" in run("test", finished, "--online", "--device", "cpu")[1]
    network, card = load(finished)
    clips = Run.open(finished).settings.data.open()[1]
    live = np.mean([streamed(finished, card, clip) for clip in clips])
    assert testing.test_online(network, card, clips)[1.0] == pytest.approx(live)
    code, out, _ = run("watch", data / "left" / "v_left_g00_c01.mp4", "--model", finished, "--json", "--device", "cpu")
    assert code == 0
    assert {label["label"] for label in json.loads(out.splitlines()[0])["labels"]} == set(LABELS)


def streamed(model, card, clip):
    """Whether the live engine's mean score is right in the end.

    The mean is over the rows that `test --online` takes: a network of two epochs tells nobody which label the first
    ones, or all of them, would choose.
    """
    rows = [row.probabilities for row in watch(clip.path, model=model, device="cpu")]
    return card.labels[int(testing.settled(np.log(rows), card).argmax())] == clip.labels[0]


def test_a_broken_video_is_named(data, tmp_path, run):
    root = shutil.copytree(data, tmp_path / "data")
    (root / "left" / "v_left_g09_c01.mp4").write_bytes(b"no video")
    command = ("train", "--data", root, "--epochs", 1, *SMALL, *NETWORK, "-o")
    code, out, err = run(*command, tmp_path / "run")
    assert (code, "9 clips learnt, 2 held out, 1 broken" in out) == (0, True)  # one of eleven is no reason to stop
    assert err.splitlines()[-1].startswith("broken: ")
    assert "v_left_g09_c01.mp4 is not a video that can be read" in err.splitlines()[-1]
    for path in root.rglob("*_g0[0-7]_c01.mp4"):
        path.write_bytes(b"no video")
    code, _, err = run(*command, tmp_path / "none")
    assert code == 2
    assert "clips cannot be read, more than half" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "absent"), "no folder absent"),
        (("--data", "empty"), "has no folder with videos"),
        (("--data", "data", "--format", "tar"), "'tar' is not one of 'folders', 'ucf101'"),
        (("--data", "data", "--format", "kinetics"), "needs a list or annotations of the training clips"),
        (("--data", "data", "--labels", "jester"), "2 labels of the clips are not in jester, such as 'left'"),
        (("--data", "data", "--model", "tsm"), "no network is named 'tsm'"),
        (("--data", "data", "--set", "sampled.speeds=2"), "the names are num_frames, sampling, interval_seconds"),
        (("--data", "data", "--set", "optimisation.mixup=much"), "'much' is no value of optimisation.mixup"),
        (("--data", "data", "--set", "optimisation.precision=fp16"), "no precision 'fp16'; there are float32"),
        (("--data", "data", "--set", 'optimisation.frozen=["x"]'), "the network has no part 'x' that could be frozen"),
        (("--data", "data", "--steps", 5), "--steps is for recipes; give --epochs"),
        (("--data", "data", "--set", "nothing"), "expected NAME=VALUE; the names are data, network"),
        (("--data", "data", "--set", "sampled.sampling=often"), "no sampling 'often'; there are segments"),
        (("--data", "leaked"), "1 groups are in training and validation, such as v_left_g00"),
        (("--data", "data", "--set", "optimisation.learning_rate=1e12"), "the loss is nan at step"),
        (("--data", "data", "--set", 'labels=["left", "up"]'), "1 labels of the clips are not among the 2 of the run"),
        (("--data", "data", "--set", "optimisation.sync_norms=true"), "sync_norms is for GPUs"),
        (("--data", "data", "--modality", "flow"), "takes 3 channels, and snippets of flow have 10"),
        (("--data", "data", "--set", "sampled.frame_seconds=1"), "frame_seconds is 1.0; expected interval_seconds, "),
        (("--data", "data", "--model", "timeception"), "has no features in it, and the model is timeception"),
        (("--data", "data", "--model", "i3d_flow", "--modality", "rgb"), "takes 2 channels, which rgb does not have"),
        ((), "train needs data and an output: give --data DIR or a recipe"),
    ],
)
def test_bad_input(arguments, message, data, tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "data").symlink_to(data)
    for side in ("train", "val"):
        (tmp_path / "leaked" / side).mkdir(parents=True)
        for label in LABELS:
            (tmp_path / "leaked" / side / label).mkdir()
        for label, number in (("left", 0), ("right", 1 if side == "train" else 2)):
            name = f"v_{label}_g{number:02}_c01.mp4"
            shutil.copy(data / label / name, tmp_path / "leaked" / side / label / name)
    code, _, err = run("train", "-o", "run", *arguments, "--epochs", 3, *SMALL, *NETWORK[2:])
    assert code == 2, err
    assert message in err.splitlines()[-1]


def test_an_old_run_is_not_written_over(finished, data, run, tmp_path):
    code, _, err = run("train", "--data", data, "-o", finished, "--epochs", 1)
    assert (code, "has a run in it; go on with it" in err) == (2, True)
    code, _, err = run("train", "--resume", finished, "--epochs", 3)
    assert (code, "--epochs is for a new run" in err) == (2, True)
    code, _, err = run("train", "--resume", tmp_path)
    assert (code, "has no run in it" in err) == (2, True)
    assert Run.open(finished).settings.epochs == 2


def test_what_was_broken_is_in_the_summary(data, tmp_path, run):
    for side in ("train", "val"):
        shutil.copytree(data, tmp_path / "data" / side)
        for path in (tmp_path / "data" / side).rglob("*.mp4"):
            path.rename(path.with_name(f"{side}_{path.name}"))
    (tmp_path / "data" / "val" / "left" / "bad.mp4").write_bytes(b"no video")
    code, out, err = run("train", "--data", tmp_path / "data", "-o", tmp_path / "run", "--epochs", 2, *SMALL, *NETWORK)
    assert code == 0, err  # it is no reason to stop: one of eleven is much, but none of those to learn from
    assert "10 clips learnt, 11 held out, 1 broken" in out
    (broken,) = json.loads((tmp_path / "run" / "summary.json").read_text())["broken"]
    assert "bad.mp4 is not a video that can be read" in broken


def test_what_is_left_out_is_said_before_the_first_step_and_kept(data, tmp_path, run):
    root = shutil.copytree(data, tmp_path / "data")
    (root / "up").mkdir()
    shutil.copy(root / "left" / "v_left_g00_c01.mp4", root / "up" / "1.video")
    (root / "left" / "._v_left_g00_c01.mp4").write_bytes(b"Mac OS X")
    code, out, err = run("train", "--data", root, "-o", tmp_path / "run", "--epochs", 1, *SMALL, *NETWORK)
    assert code == 0, err
    said = [
        "read: 8 clips to learn from, 2 of validation, 2 labels",
        "left out: hidden files: 1 (data/left/._v_left_g00_c01.mp4)",
        "left out: files that are no videos by their suffix: 1 (data/up/1.video)",
        "left out: folders of classes without a clip: 1 (data/up)",
    ]
    assert [line for line in err.splitlines() if line.startswith(("read", "left out"))] == said
    left_out = json.loads((tmp_path / "run" / "summary.json").read_text())["left_out"]
    assert left_out["folders of classes without a clip"] == {"count": 1, "names": ["data/up"]}
    assert [f"left out: {reason}: {what['count']} ({what['names'][0]})" for reason, what in left_out.items()] == said[
        1:
    ]
    code, out, err = run("test", tmp_path / "run", "--data", root, "--device", "cpu")
    assert (code, "10 videos, each as 1 clips" in out) == (0, True)
    assert err.splitlines()[:4] == ["read: 10 clips of 2 labels", *said[1:]]


def test_the_side_for_testing_is_tested_on(data, finished, tmp_path, run):
    """Of train, valid and test a run validates on valid, and `test` measures on test."""
    for side, numbers in {"train": (0, 1), "valid": (2,), "test": (3, 4)}.items():
        for label, number in ((label, number) for label in LABELS for number in numbers):
            (tmp_path / "data" / side / label).mkdir(parents=True, exist_ok=True)
            name = f"v_{label}_g{number:02}_c01.mp4"
            shutil.copy(data / label / name, tmp_path / "data" / side / label / name)
    command = ("train", "--data", tmp_path / "data", "-o", tmp_path / "run", "--epochs", 1, *SMALL, *NETWORK)
    code, out, err = run(*command)
    assert (code, "4 clips learnt, 2 held out" in out) == (0, True)
    assert "left out: folders for testing, on which no epoch is chosen: 1 (test)" in err
    code, out, _ = run("test", finished, "--data", tmp_path / "data", "--json", "--device", "cpu")
    assert (code, json.loads(out.splitlines()[-1])["videos"]) == (0, 4)


def test_videos_that_cannot_be_read_are_named_by_test(data, finished, tmp_path, run):
    root = shutil.copytree(data, tmp_path / "data")
    (root / "left" / "bad.mp4").write_bytes(b"no video")
    for more in (("--json",), ("--online", "--json"), ("--online",)):
        code, _, err = run("test", finished, "--data", root, "--device", "cpu", *more)
        assert (code, "left out: " in err.splitlines()[-1], "bad.mp4" in err.splitlines()[-1]) == (0, True, True)


def test_labels_that_a_run_does_not_know(finished, data, tmp_path, run):
    """Data that were changed after the run began, and data of another kind."""
    folder = shutil.copytree(finished, tmp_path / "run")
    root = shutil.copytree(data, tmp_path / "data")
    (root / "left").rename(root / "up")
    settings = (folder / "settings.json").read_text()
    (folder / "settings.json").write_text(settings.replace(json.dumps(str(data)), json.dumps(str(root))))
    code, _, err = run("train", "--resume", folder, "--workers", 0, "--device", "cpu")
    assert code == 2
    assert "1 labels of the clips are not among the 2 of the run, such as 'up'" in err.splitlines()[-1]
    for more in ((), ("--online",)):
        code, _, err = run("test", finished, "--data", root, "--device", "cpu", *more)
        assert code == 2
        assert "is labelled 'up', which the network does not know" in err.splitlines()[-1]


@pytest.mark.parametrize("modality", ["flow", "rgb-difference"])
def test_other_modalities(finished, data, tmp_path, run, modality):
    """Trained, tested, watched; from the weights of a network for RGB."""
    folder = tmp_path / "run"
    channels = {"flow": 10, "rgb-difference": 15}[modality]
    arguments = f'arguments={{"width": 0.125, "shift": "uni", "in_channels": {channels}}}'
    how = ["--modality", modality, "--model", "tsm_resnet18", "--set", arguments, "--start", finished, "--epochs", 1]
    code, out, err = run("train", "--data", data, "-o", folder, *SMALL, *how)
    assert code == 0, err
    card = read_card(folder)
    assert (card.preprocessing.modality, card.preprocessing.in_channels) == (modality, channels)
    assert (card.interval_seconds, card.frame_seconds) == (6 / 60, 1 / 30)  # the interval of the start
    for more in ((), ("--online",), ("--clips", 2, "--crops", 3)):
        code, out, _ = run("test", folder, "--json", "--device", "cpu", *more)
        assert code == 0
        assert json.loads(out.splitlines()[-1])
    assert len(list(watch(data / "left" / "v_left_g00_c01.mp4", model=folder, device="cpu"))) == 7


def test_a_run_that_failed_at_once_leaves_its_folder_free(data, tmp_path, run):
    command = ("train", "--data", data, "-o", tmp_path / "run", "--epochs", 1, *SMALL, *NETWORK)
    assert run(*command, "--set", 'optimisation.frozen=["x"]')[0] == 2
    assert run(*command)[0] == 0


def test_a_teacher_scores_and_sees_what_the_run_does(finished, data, tmp_path, run):
    command = ("train", "--data", data, "-o", tmp_path / "run", "--epochs", 1, *SMALL, *NETWORK)
    assert run(*command, "--teacher", finished)[0] == 0
    command = ("train", "--data", data, "-o", tmp_path / "other", "--epochs", 1, *SMALL, *NETWORK)
    code, _, err = run(*command, "--teacher", finished, "--set", 'labels=["right", "left"]')
    assert (code, "has other labels than the run, or in another order" in err) == (2, True)
    code, _, err = run(*command, "--teacher", finished, "--set", "preprocessing.mean=[0]")
    assert (code, "has another preprocessing" in err) == (2, True)


def test_a_checkpoint_is_tested_on_clips_that_somebody_gives(finished, run):
    code, _, err = run("test", finished / "best.safetensors")
    assert (code, "has no clips to be tested on; give a folder of them, --data DIR" in err) == (2, True)
    code, _, err = run("test", finished, "--write")
    assert (code, "--write is for motion and its exports" in err) == (2, True)
    code, _, err = run("test", "motion", "--online")
    assert (code, "--online is for your own clips" in err) == (2, True)


def test_the_first_of_the_best_epochs_is_kept():
    rows = [{"loss": 3.0, "top1": 1.0}, {"loss": 1.0, "top1": 0.9}, {"loss": 2.0, "top1": 1.0}]
    assert _best(rows, [Clip(Path("a"), ("x",))]) is rows[0]
    assert _best(rows, []) is rows[2]


def test_folders_of_frames(tmp_path, run):
    for side, label in ((side, label) for side in ("train", "val") for label in LABELS):
        folder = tmp_path / "data" / side / label / f"{side}_{label}"
        folder.mkdir(parents=True)
        for number, picture in enumerate(images(6, height=40, width=48), start=1):
            Image.fromarray(picture).save(folder / f"{number:05}.jpg")
    code, out, err = run("train", "--data", tmp_path / "data", "-o", tmp_path / "run", "--epochs", 1, *SMALL, *NETWORK)
    assert code == 0, err
    assert "2 clips learnt, 2 held out" in out


def children(pid):
    """The processes that a process has begun."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # the thread has ended meanwhile
            found += map(int, (task / "children").read_text().split())
    return found


@pytest.mark.waits
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_workers_end_with_their_run(number, data, tmp_path):
    """And what was half written is gone after the next start."""
    command = [sys.executable, "-m", "actionstream", "train", "--data", data, "-o", tmp_path, "--epochs", 100, *SMALL]
    command[command.index("--workers") + 1] = 1
    with subprocess.Popen([*map(str, command), *NETWORK], stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: (tmp_path / "last.pt").exists())
        begun = children(process.pid)
        assert begun
        process.send_signal(number)
    wait_for(lambda: not any(map(is_running, begun)), seconds=10)
    last = tmp_path / "last.pt"
    stale = tmp_path / f".last.pt.{platform.node()}.{process.pid}.partial"
    stale.write_text("half")
    with atomic_write(last) as file:
        assert not stale.exists()
        file.write_text("all")
    assert last.read_text() == "all"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
