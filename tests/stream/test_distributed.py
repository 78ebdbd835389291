"""Training by two processes of torchrun: the numbers of one, and an end of all when one ends."""

import csv
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import write_video
from servers import free_port

from actionstream.models import load
from actionstream.models.training import distributed
from actionstream.models.training import run as run_module

HOW = ("--size", 32, "--batch-size", 4, "--workers", 0, "--device", "cpu", "--epochs", 2, "--model", "tsm_resnet18")
SETTINGS = {
    "arguments": '{"width": 0.125}',
    "sampled.num_frames": 3,
    "class_weights": "true",  # so that the shares of a batch weigh more or less
    "optimisation.accumulate": 2,
    "optimisation.norms": "none",
    "optimisation.optimiser": "sgd",
    "optimisation.learning_rate": 0.05,
    "optimisation.average": 0.5,
}
HOW = (*HOW, *(part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for label, count in (("bright", 9), ("dark", 5)):
        (root / label).mkdir()
        for number in range(count):
            random = np.random.default_rng(number)
            pictures = random.integers(0, 100, (8, 48, 64, 3), dtype=np.uint8) + 100 * (label == "bright")
            write_video(root / label / f"v_{label}_g{number:02}_c01.mp4", list(pictures.astype(np.uint8)))
    return root


def begun(*arguments):
    """The command line in two processes of torchrun."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--master-port", str(free_port())]
    command = [*launcher, "--nproc-per-node", "2", "-m", "actionstream", "train"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([*command, *map(str, arguments)], env=environment, **pipes)


def figures(folder):
    with (folder / "figures.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def check_close(folder, other, epoch):
    ours, theirs = (load(each / "last.safetensors") for each in (folder, other))
    assert ours[1].accuracy["epoch"] == theirs[1].accuracy["epoch"] == epoch
    torch.testing.assert_close(ours[0].state_dict(), theirs[0].state_dict(), rtol=1e-4, atol=1e-5)
    for one, two in zip(figures(folder), figures(other), strict=True):
        assert one == pytest.approx(two, abs=1e-5)


@pytest.mark.slow
def test_two_processes_have_the_numbers_of_one(data, tmp_path, run, monkeypatch):
    """From the start, until process 0 cannot write its state and all end; and after a resume."""
    original, half, whole, two = run_module.save_state, tmp_path / "half", tmp_path / "whole", tmp_path / "two"

    def copied(path, state):
        original(path, state)
        if not half.exists():
            shutil.copytree(whole, half)

    monkeypatch.setattr(run_module, "save_state", copied)
    code, _, err = run("train", "--data", data, "-o", whole, *HOW)
    assert code == 0, err

    (two / "last.pt" / "in the way").mkdir(parents=True)
    process = begun("--data", data, "-o", two, *HOW)
    out = process.communicate(timeout=200)[0]
    assert process.returncode == 1  # of torchrun; a report of its own follows
    (line,) = (line for line in out.splitlines() if "actionstream: " in line)
    assert "last.pt" in line
    assert line.endswith(f"go on with --resume {two}")
    check_close(two, half, 1)

    process = begun("--resume", half, "--workers", 0, "--device", "cpu")
    out = process.communicate(timeout=200)[0]
    assert process.returncode == 0, out
    assert out.count("11 clips learnt, 3 held out") == 1
    check_close(half, whole, 2)


@pytest.mark.slow
def test_norms_that_learn_and_a_warm_state(data, tmp_path):
    """Each process has statistics of its own share; what is tested and kept are those of process 0."""
    more = ("--epochs", 1, "--set", "optimisation.norms=all", "--set", "sampled.num_warm=2")
    process = begun("--data", data, "-o", tmp_path / "run", *HOW, *more)
    out = process.communicate(timeout=200)[0]
    assert process.returncode == 0, out
    network, card = load(tmp_path / "run" / "last.safetensors")
    assert card.accuracy["epoch"] == 1
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert all(norm.running_mean.isfinite().all() and norm.running_mean.any() for norm in norms)


@pytest.mark.slow
def test_an_error_in_one_process_ends_all(data, tmp_path):
    """More than half of the clips cannot be read, which one of them finds first."""
    root = shutil.copytree(data, tmp_path / "data")
    for path in root.rglob("*_g0[0-5]_c01.mp4"):
        path.write_bytes(b"no video")
    process = begun("--data", root, "-o", tmp_path / "run", *HOW)
    out = process.communicate(timeout=200)[0]
    assert process.returncode == 1
    (line,) = (line for line in out.splitlines() if "actionstream: " in line)
    assert "clips cannot be read, more than half" in line
    assert "a fault in" not in out


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("--batch-size", 3), "a batch of 3 clips cannot be shared by 2 processes"),
        (("--batch-size", 2, "--set", "optimisation.mixup=0.2"), "mixup needs 2 clips or more for each of 2 processes"),
    ],
)
def test_bad_settings(settings, message, data, tmp_path, run, monkeypatch):
    monkeypatch.setattr("actionstream.models.training.distributed.num_processes", lambda: 2)
    code, _, err = run("train", "--data", data, "-o", tmp_path / "run", *HOW, *settings)
    assert code == 2
    assert message in err.splitlines()[-1]


def test_a_recipe_is_for_one_process(tmp_path, run, monkeypatch):
    monkeypatch.setattr("actionstream.models.training.distributed.num_processes", lambda: 2)
    code, _, err = run("train", "motion", "-o", tmp_path / "motion.safetensors")
    assert (code, "the recipe motion is trained by one process; start it without torchrun" in err) == (2, True)


def test_devices_that_processes_cannot_share(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", str(torch.cuda.device_count()))
    for device, message in (("mps", "not on mps"), ("cuda", "there is no GPU for process")):
        with pytest.raises(ValueError, match=message), distributed.joined(device):
            pass
