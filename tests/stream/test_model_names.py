"""What a model's name means: one answer for all that take one, and said where there are two."""

import json
import shutil
import subprocess
import sys

import pytest
from helpers import LABELS, images, write_video

from actionstream.commands.test import is_motion
from actionstream.engine.fusion import open_scorer
from actionstream.models import load, read_card
from actionstream.models.export.cache import find_export, key
from actionstream.models.weights.checkpoint import PACKAGED, find, resolve
from actionstream.runtimes import open_runtime

TWO = "not the checkpoint that `actionstream models` lists"


@pytest.fixture(params=["file", "run"])
def here(request, checkpoint, tmp_path, monkeypatch):
    """A working folder, and what puts a model of that name into it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACTIONSTREAM_CACHE", str(tmp_path / "cache"))

    def put(name):
        place = tmp_path / name
        if request.param == "run":
            place.mkdir()
            place /= "best.safetensors"
        return shutil.copy(checkpoint, place)

    return put


def test_a_local_model_wins_with_each_runtime(here):
    here("motion")
    runtimes = ("auto", "torch", "onnx", "auto")  # the last finds the export of the one before
    with pytest.warns(RuntimeWarning, match=TWO):
        cards = [open_runtime("motion", runtime=runtime, device="cpu").card for runtime in runtimes]
    assert [card.labels for card in cards] == [LABELS] * 4
    assert find_export("motion") is not None


@pytest.mark.parametrize("name", ["motion", "motion-tsn", "tsm-jester", "mobilenet-v2-imagenet"])
def test_a_local_model_wins_everywhere(here, name):
    file = here(name)
    with pytest.warns(RuntimeWarning, match=TWO):
        found = resolve(name)
    assert found.samefile(file)
    assert find(name).samefile(file)
    assert read_card(name).labels == load(name)[1].labels == LABELS
    assert key(name) == key(file)
    assert find_export(name) is None
    assert not is_motion(name)
    assert open_scorer(name, device="cpu").card.labels == LABELS


def test_a_model_called_as_a_network(here):
    here("tsm_resnet50")
    assert load("tsm_resnet50")[1].labels == LABELS


def test_a_list_of_models_to_fuse_takes_what_lies_beside_it(here, tmp_path):
    (tmp_path / "lists").mkdir()
    here("lists/motion")
    (tmp_path / "lists" / "both.toml").write_text('[[network]]\nmodel = "motion"\n')
    assert open_scorer("lists/both.toml", device="cpu").card.labels == LABELS


def test_names_of_the_package_mean_what_they_did(tmp_path, monkeypatch):
    """A folder of that name that is no model changes nothing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "motion").mkdir()
    assert resolve("motion") == PACKAGED / "motion.safetensors"
    assert find_export("motion") == PACKAGED / "motion.onnx"
    assert resolve("tsm-jester") == "tsm-jester"
    (tmp_path / "motion" / "settings.json").write_text("{}")
    with pytest.warns(RuntimeWarning, match="the run .*motion has none yet"):
        assert resolve("motion") == PACKAGED / "motion.safetensors"
    with pytest.raises(ValueError, match="is a run without a checkpoint: it has not come to the end of an epoch"):
        resolve(tmp_path / "motion")


def test_clips_in_a_folder_called_as_a_model(tmp_path, monkeypatch, run):
    """`test motion --data motion`: the folder has clips in it, and is no run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "motion" / "left").mkdir(parents=True)
    write_video(tmp_path / "motion" / "left" / "a.mp4", images(12))
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
    from actionstream.models.training import extents

    here("motion")
    monkeypatch.setattr(extents, "track", lambda steps, **_: steps)
    assert extents.render_takes(1, 0).shape[2] == 256  # and not 1280
