"""Mistakes of users are told in a line with exit code 2; what a library did not like is a fault of ours."""

import io
import json

import numpy as np
import pytest
import torch
from broken_batches import BrokenBatches
from helpers import images, write_video
from PIL import Image

from actionstream.live.watch_list import WatchList
from actionstream.models.common.errors import is_mistake, where
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.training.augmentation import Augmentation
from actionstream.models.training.batches import load_batches
from actionstream.models.training.optimisation import Optimisation
from actionstream.models.training.sampling import FrameSampling
from actionstream.runtimes import opening
from actionstream.runtimes.meanwhile import Meanwhile


def raised(call):
    try:
        call()
    except Exception as error:  # noqa: BLE001  it is what is looked at
        return error
    raise AssertionError("nothing was raised")


FAULTS = {
    "of C code that a library calls": lambda: np.stack([np.zeros(2), np.zeros(3)]),
    "of C code that is called at once": lambda: np.zeros((2, 3)) @ np.zeros((2, 3)),
    "of Pillow": lambda: Image.new("RGB", (4, 4)).resize((2, 2), box=(0, 0, 9, 9)),
    "of torch": lambda: torch.utils.data.DataLoader([1], batch_size=-1),
    "of json": lambda: json.loads("{"),
    "of Python": lambda: int("x"),
    "of arithmetic": lambda: 1 // 0,
    "of another kind": lambda: {}["x"],
}


@pytest.mark.parametrize("kind", FAULTS)
def test_what_libraries_raise_is_a_fault(kind):
    assert not is_mistake(raised(FAULTS[kind]))


def test_what_we_raise_is_a_mistake():
    error = raised(lambda: Preprocessing(height=0, width=8))
    assert is_mistake(error)
    assert "models/common/checked.py, line " in where(error)
    assert is_mistake(raised(lambda: Optimisation(learning_rate=-1)))
    assert is_mistake(raised(lambda: open("/absent/file")))  # noqa: SIM115


@pytest.mark.parametrize(
    ("package", "wanted"),
    [
        ("actionstream", "stream/x.py, line 1"),
        ("actionstream.commands", "stream/commands/x.py, line 1"),
        ("actionstream.models", "models/x.py, line 1"),
        ("actionstream.models.video", "models/video/x.py, line 1"),
        ("actionstream.kernels", "kernels/x.py, line 1"),
        ("actionstream.demos.page", "demos/page/x.py, line 1"),
        ("actionstreams", ""),
        ("numpy", ""),
        (None, ""),
    ],
)
def test_a_place_is_a_file_of_the_repository(package, wanted):
    """Wherever the package is installed; lines of others are passed over."""
    code = compile("1 / 0", "/usr/lib/site-packages/anywhere/x.py", "exec")
    assert where(raised(lambda: exec(code, {"__package__": package}))) == wanted


def within_our_code(monkeypatch, fault):
    """`actionstream models`, in which that goes wrong."""
    monkeypatch.setattr("actionstream.commands.models.read_table", fault)


@pytest.mark.parametrize("kind", ["of C code that a library calls", "of Pillow", "of json", "of arithmetic"])
def test_a_fault_is_told_with_its_place(kind, monkeypatch, run):
    within_our_code(monkeypatch, FAULTS[kind])
    code, _, err = run("models")
    error = raised(FAULTS[kind])
    assert code == 3
    (line,) = err.splitlines()
    assert line.startswith("actionstream: a fault in actionstream in stream/commands/models.py, line ")
    assert f"please report it: {type(error).__name__}: {error}" in line
    assert line.endswith("(ACTIONSTREAM_TRACEBACK=1 shows the traceback)")


@pytest.mark.parametrize("mistake", [False, True])
def test_a_traceback_is_shown_where_one_is_asked_for(mistake, monkeypatch, run):
    """Of a mistake as well, and the last line and the exit code are the same."""
    fault = FAULTS["of Pillow"]
    within_our_code(monkeypatch, (lambda: Preprocessing(height=0, width=8)) if mistake else fault)
    code, _, err = run("models")
    monkeypatch.setenv("ACTIONSTREAM_TRACEBACK", "1")
    again, _, asked = run("models")
    assert (again, asked.splitlines()[-1]) == (code, err.splitlines()[-1])
    assert code == (2 if mistake else 3)
    assert asked.startswith("Traceback (most recent call last):")
    assert "stream/commands/models.py" in asked
    assert "Traceback" not in err


@pytest.mark.parametrize("workers", [0, 1])
def test_what_another_process_says(workers):
    """Batches are made in processes of their own: a mistake comes back in its own words, and a fault as one."""
    wanted = Preprocessing(height=8, width=8)
    batches = BrokenBatches([None], ("a",), FrameSampling(), wanted, Augmentation(), 1, 2, 0)
    error = raised(lambda: next(load_batches(batches, workers=workers)))
    assert is_mistake(error)
    assert str(error) == "height is 0; expected 1 or more"
    assert not is_mistake(raised(lambda: next(load_batches(batches, first=1, workers=workers))))


def test_an_error_without_a_place():
    assert where(ValueError("never raised")) == ""
    assert not is_mistake(ValueError("never raised"))
    assert is_mistake(io.UnsupportedOperation("an OSError and a ValueError"))


def raise_fault(*_, **__):
    raise ValueError("one of a library")


def test_a_runtime_with_a_fault_is_not_passed_over(monkeypatch, checkpoint):
    monkeypatch.setattr(opening, "open_named", raise_fault)
    monkeypatch.setattr(opening, "find_export", lambda *_, **__: checkpoint)
    with pytest.raises(ValueError, match="one of a library") as fault:
        opening.open_runtime(checkpoint, device="cpu")
    assert not is_mistake(fault.value)


def test_a_faster_runtime_with_a_fault_is_told_as_one(checkpoint):
    now = opening.open_runtime(checkpoint, runtime="torch", device="cpu")
    with pytest.warns(RuntimeWarning, match="no faster runtime: a fault in actionstream in stream/runtimes"):
        Meanwhile(now, raise_fault, raise_fault)._prepare()


def test_a_watch_list_does_not_hide_a_fault(tmp_path):
    (tmp_path / "list.txt").write_text("sample")
    followed = WatchList(tmp_path / "list.txt", add=raise_fault, remove=raise_fault, say=print)
    with pytest.raises(ValueError, match="one of a library") as fault:
        followed.start()
    assert not is_mistake(fault.value)


def test_a_teacher_with_a_fault_is_told_as_one(monkeypatch, tmp_path, run, checkpoint):
    for name in ("a", "b"):
        (tmp_path / "videos" / name).mkdir(parents=True)
        write_video(tmp_path / "videos" / name / "1.mp4", images(4))
    monkeypatch.setattr("actionstream.models.training.run.load", raise_fault)
    code, _, err = run(
        *("train", "--data", tmp_path / "videos", "-o", tmp_path / "run", "--teacher", checkpoint),
        *("--workers", 0, "--device", "cpu", "--size", 32),
    )
    assert (code, "a fault in actionstream" in err) == (3, True), err
