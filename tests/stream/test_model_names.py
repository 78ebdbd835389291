"""What a model's name means: one answer for all that take one, and said where there are two."""

import json
import re
import shutil
import subprocess
import sys
import warnings
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import LABELS, images, write_video

from actionstream.commands.test import is_motion
from actionstream.demos.page.limits import Limits
from actionstream.demos.page.site import Site
from actionstream.engine.fusion import open_scorer
from actionstream.models import create, load, read_card
from actionstream.models.common.errors import ActionstreamError, warn_once
from actionstream.models.export.cache import find_export, key
from actionstream.models.export.files import SUFFIXES
from actionstream.models.labels import read_labels
from actionstream.models.locate import EXPORTED_SUFFIXES, PACKAGED, locate, packaged
from actionstream.runtimes.exported_file import EXPORTED
from actionstream.runtimes.opening import open_runtime

TWO = "not the checkpoint that `actionstream models` lists"
JESTER, JESTER_FILE = tuple(read_labels("jester")), "mobilenetv2_jester_online.pth.tar"
MOTION = read_card(PACKAGED / "motion.safetensors").labels


@dataclass(frozen=True)
class Case:
    """A model as it is written, and what it means to all that take one.

    put      the files of the working folder: a small random checkpoint, or what its suffix says
    kind     what the model is, and the file that it is
    labels   of those that take it
    refused  what the others say
    warning  that is given
    """

    model: str
    put: tuple[str, ...] = ()
    kind: str = ""
    file: str | None = None
    labels: tuple[str, ...] = LABELS
    refused: str = ""
    warning: str = ""


FUSED = '[[network]]\nmodel = "motion"\n'
PACKAGE = {"kind": "packaged", "file": str(PACKAGED / "motion.safetensors"), "labels": MOTION}
CASES = {
    "a packaged one": Case("motion", **PACKAGE),
    "a file of that name": Case("motion", ("motion",), "checkpoint", "motion", warning=TWO),
    "a run of that name": Case("motion", ("motion/best.safetensors",), "run", "motion/best.safetensors", warning=TWO),
    "clips of that name": Case("motion", ("motion/left/a.txt",), **PACKAGE),
    "a new run of that name": Case(
        "motion", ("motion/settings.json",), **PACKAGE, warning="the run .*motion has no checkpoint yet"
    ),
    "a path to that": Case("./motion", ("motion",), "checkpoint", "motion"),
    "a path to a run": Case("./motion/", ("motion/best.safetensors",), "run", "motion/best.safetensors"),
    "a path to a new run": Case("./motion", ("motion/settings.json",), refused="motion is a run without a checkpoint"),
    "a path to nothing": Case("./motion", refused=r"no model '\./motion': give the path .* nearest are motion, "),
    "a path to a folder": Case(
        "clips/left", ("clips/left/a.txt",), refused="left is a folder and no run; expected best"
    ),
    "a folder": Case(
        "clips", ("clips/left/a.txt",), refused=r"clips is a folder and no run; expected best.safetensors"
    ),
    "the working folder": Case(".", ("best.safetensors",), "run", "best.safetensors"),
    "an exported one": Case(
        "motion.onnx",
        ("motion.onnx",),
        "exported",
        "motion.onnx",
        labels=MOTION,
        refused="motion.onnx is an exported file; expected a checkpoint or a run.*; give the checkpoint that",
    ),
    "a folder named as one": Case("a.onnx", ("a.onnx/best.safetensors",), "run", "a.onnx/best.safetensors"),
    "no exported one": Case("motion.onnx", refused="no file motion.onnx"),
    "a list": Case(
        "motion.toml",
        ("motion.toml", "motion"),
        "fusion",
        "motion.toml",
        refused="motion.toml is a list of networks to fuse; expected a checkpoint or a run.*; give one of its networks",
        warning=TWO,
    ),
    "no list": Case("motion.toml", refused="no file motion.toml"),
    "a network": Case(
        "tsn_resnet18", kind="network", refused="tsn_resnet18 is a network without weights: give a file of them as well"
    ),
    "a file named as a network": Case(
        "tsn_resnet18", ("tsn_resnet18",), "checkpoint", "tsn_resnet18", warning="not the network that `actionstream"
    ),
    "a published one": Case(
        "tsm-jester",
        (),
        "published",
        f"cache/{JESTER_FILE}",
        labels=JESTER,
        refused="tsm-jester is a published checkpoint; expected a checkpoint or a run; its file has no card",
    ),
    "a file named as a published one": Case("tsm-jester", ("tsm-jester",), "checkpoint", "tsm-jester", warning=TWO),
    "a name that is not there": Case("motoin", refused="no model 'motoin': give the path .*; nearest are motion, "),
    "an empty name": Case("", refused="the model is empty; give the path of a checkpoint, or a name"),
    "a blank name": Case("  ", refused="the model is empty"),
    "spaces": Case("my model", ("my model",), "checkpoint", "my model"),
    "no spaces": Case("my model", refused="no model 'my model': give the path of a checkpoint"),
}


@pytest.fixture
def here(checkpoint, tmp_path, monkeypatch):
    """A working folder with a cache in it, and what puts files there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACTIONSTREAM_CACHE", "cache")
    warn_once.cache_clear()

    def put(*names):
        for name in map(Path, names):
            name.parent.mkdir(parents=True, exist_ok=True)
            if name.suffix in (".toml", ".txt", ".json"):
                name.write_text(FUSED)
            else:
                shutil.copy(PACKAGED / "motion.onnx" if name.suffix == ".onnx" else checkpoint, name)

    return put


@pytest.fixture(scope="module")
def jester(tmp_path_factory) -> Path:
    """Random weights in the layout of the published file."""
    path = tmp_path_factory.mktemp("published") / JESTER_FILE
    torch.save(create("tsm_mobilenet_v2", num_classes=len(JESTER)).state_dict(), path)
    return path


@pytest.fixture
def published(here, jester):
    """The file is in the cache."""
    Path("cache").mkdir()
    shutil.copy(jester, "cache")


def by_page(model):
    """What the page opens for a name in its list, where other names may mean something else, too."""
    with (
        warnings.catch_warnings(action="ignore", category=RuntimeWarning),
        closing(Site(model=model, runtime="auto", device="cpu", limits=Limits())) as site,
    ):
        site.open_page("one", "192.0.2.1")
        session = site.session("one")
        assert list(site.models(session)) == [*dict.fromkeys([model, *packaged(), "tsm-jester"])]
        return site.hub(site.find_model(session, model)).engine.card.labels


LABELS_BY = {
    "read_card": lambda model: read_card(model).labels,
    "load": lambda model: load(model)[1].labels,
    "key": lambda model: key(model) and load(model)[1].labels,
    "open_runtime": lambda model: open_runtime(model, device="cpu").card.labels,
    "open_scorer": lambda model: open_scorer(model, device="cpu").card.labels,
    "page": by_page,
}
TAKEN_BY = {
    "fusion": {"open_scorer", "page"},
    "exported": {"open_scorer", "page", "open_runtime"},
    "published": LABELS_BY.keys() - {"read_card"},
    "network": set(),
    "": set(),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_all_agree(case, here, published):
    here(*case.put)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        if case.kind:
            found = locate(case.model)
            assert (found.kind, found.name) == (case.kind, case.model)
            assert found.path is None if case.file is None else found.path.samefile(case.file)
        for name, labels in LABELS_BY.items():
            if name in TAKEN_BY.get(case.kind, LABELS_BY):
                assert labels(case.model) == case.labels, name
            else:
                with pytest.raises(ActionstreamError, match=case.refused):
                    labels(case.model)
    said = {str(each.message) for each in caught if each.category is RuntimeWarning}
    assert len(said) == bool(case.warning)
    assert all(re.search(case.warning, line) for line in said)


def test_commands_agree(here, tmp_path, run):
    case = CASES["a file named as a network"]
    here(*case.put)
    for label in LABELS:
        (tmp_path / "clips" / label).mkdir(parents=True)
        write_video(tmp_path / "clips" / label / "a.mp4", images(12))
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        model = ("--model", case.model, "--device", "cpu")
        code, _, err = run("label", "clips/wave/a.mp4", "--scores", *model)
        assert code == 0, err
        assert tuple(np.load("a.npz")["labels"]) == LABELS
        code, out, err = run("watch", "clips/wave/a.mp4", "--json", *model)
        assert code == 0, err
        assert {each["label"] for each in json.loads(out.splitlines()[0])["labels"]} == set(LABELS)
        code, out, err = run("test", case.model, "--data", "clips", "--json", "--device", "cpu")
        assert code == 0, err
        assert json.loads(out)["videos"] == len(LABELS)
        code, out, err = run("models", case.model)
        assert code == 0, err
        assert "labels            wave, clap, nod, jump\n" in out
        code, _, err = run("export", case.model, "-o", "made.onnx")
        assert code == 0, err
    assert open_runtime("made.onnx").card.labels == LABELS


@pytest.mark.parametrize(
    "name", ["an exported one", "a list", "no list", "a network", "a path to nothing", "an empty name", "a folder"]
)
def test_commands_refuse_the_same(name, here, tmp_path, run):
    case = CASES[name]
    here(*case.put, "clips of one/left/a.txt")
    video = write_video(tmp_path / "a.mp4", images(4))
    commands = {
        "load": [("export", case.model, "-o", "made.onnx"), ("features", video, "--model", case.model, "-o", "made")],
        "open_scorer": [
            ("label", video, "--model", case.model, "--out", "out"),
            ("bench", "soak", "--model", case.model),
        ],
    }
    for consumer, lines in commands.items():
        if consumer not in TAKEN_BY[case.kind]:
            for line in lines:
                code, _, err = run(*line)
                assert code == 2
                assert re.search(case.refused, err), err


def test_the_suffixes_are_those_that_export_writes_and_runtimes_read():
    assert set(EXPORTED_SUFFIXES) == set(SUFFIXES.values()) == set(EXPORTED)


def test_a_local_model_wins_with_each_runtime(here):
    here("motion")
    runtimes = ("auto", "torch", "onnx", "auto")  # the last finds the export of the one before
    with pytest.warns(RuntimeWarning, match=TWO):
        cards = [open_runtime("motion", runtime=runtime, device="cpu").card for runtime in runtimes]
    assert [card.labels for card in cards] == [LABELS] * 4
    assert find_export("motion") is not None
    assert not is_motion("motion")
    Path("motion").unlink()
    assert find_export("motion") == PACKAGED / "motion.onnx"
    assert is_motion("motion")


def test_a_name_is_text(here):
    """A Path is where it says, also where the name is known."""
    with pytest.raises(ActionstreamError, match="no model 'motion': give the path"):
        locate(Path("motion"))
    here("motion")
    assert locate(Path("motion")).kind == "checkpoint"


def test_with_weights_it_is_the_name_of_a_network(here):
    here("tsn_resnet18", "weights.pth")
    found = locate("tsn_resnet18", weights="weights.pth")
    assert (found.kind, found.path) == ("network", Path("weights.pth"))
    with pytest.raises(ActionstreamError, match=r"motion is no network; say whose weights .*nearest are .*convert"):
        load("motion", weights="weights.pth")
    with pytest.raises(ActionstreamError, match=r"no file absent\.pth"):
        open_runtime("tsn_resnet18", weights="absent.pth")


def test_a_list_of_models_to_fuse_takes_what_lies_beside_it(here):
    here("lists/motion", "lists/both.toml")
    with pytest.warns(RuntimeWarning, match=TWO):
        assert open_scorer("lists/both.toml", device="cpu").card.labels == LABELS
    shutil.move("lists/motion", "motion")  # which is not beside it
    assert open_scorer("lists/both.toml", device="cpu").card.labels == MOTION


def test_clips_in_a_folder_called_as_a_model(here, run):
    """`test motion --data motion`: the folder has clips in it, and is no run."""
    Path("motion", "left").mkdir(parents=True)
    write_video(Path("motion", "left", "a.mp4"), images(12))
    code, out, err = run("test", "motion", "--data", "motion", "--json", "--device", "cpu")
    assert code == 0, err
    assert json.loads(out)["videos"] == 1


def test_which_was_taken_is_said_in_one_line(here, tmp_path):
    here("motion")
    write_video(tmp_path / "a.mp4", images(12))
    command = [sys.executable, "-m", "actionstream", "watch", "a.mp4", "--json", "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert {each["label"] for each in json.loads(done.stdout.splitlines()[0])["labels"]} == set(LABELS)
    (line,) = done.stderr.splitlines()
    assert line.startswith("actionstream: the model motion is /")
    assert line.endswith(TWO)


def test_the_recipe_timeception_learns_from_the_packaged_network(here, monkeypatch):
    """Not from a file that happens to be called so."""
    from actionstream.models.training import timeception_studies as extents

    here("motion")
    monkeypatch.setattr(extents, "track", lambda steps, **_: steps)
    assert extents.render_takes(1, 0).shape[2] == 256  # and not 1280
