"""Files that users saved with earlier code keep loading; tests/golden/saved/README.md says how they were made."""

import csv
import json
import tarfile

import numpy as np
import pytest
import torch
from helpers import ROOT

from actionstream.engine.fusion import open_scorer
from actionstream.models import load, read_card
from actionstream.models.training.features import Extractor, FeatureSettings
from actionstream.models.training.run import Run
from actionstream.models.training.state import read_state
from actionstream.runtimes.opening import open_runtime
from actionstream.teaching import Teacher

SAVED = ROOT / "tests" / "golden" / "saved" / "saved.tar.xz"


@pytest.fixture
def saved(tmp_path):
    """The files, with the data where the run expects them."""
    with tarfile.open(SAVED) as archive:
        archive.extractall(tmp_path, filter="data")
    settings = tmp_path / "run" / "settings.json"
    settings.write_text(settings.read_text().replace("/tmp/gestures", str(tmp_path / "data")))
    return tmp_path


def four_snippets(channels):
    return np.random.default_rng(0).integers(0, 256, (1, 4, 32, 32, channels), dtype=np.uint8)


@pytest.mark.parametrize(("name", "stack"), [("rgb", 1), ("flow", 5)])
def test_checkpoints(saved, name, stack):
    network, card = load(saved / f"{name}.safetensors")
    assert (card.labels, card.shift, card.context, card.licence) == (("left", "right"), "uni", 3, "Apache-2.0")
    assert (card.preprocessing.modality, card.preprocessing.stack) == (name, stack)
    assert (card.accuracy, card.training) == ({"top1": 0.5}, {"command": "none"})
    assert card.frame_seconds == pytest.approx((1 if name == "flow" else 2) / 30)
    frames = card.preprocessing.normalise(torch.from_numpy(four_snippets(card.preprocessing.channels)))
    with torch.inference_mode():
        scores = network(frames)[0][0]
    expected = json.loads((saved / "scores.json").read_text())[name]
    torch.testing.assert_close(scores, torch.tensor(expected), rtol=1e-4, atol=1e-4)


def test_an_export_with_state(saved):
    runtime = open_runtime(saved / "rgb.onnx")
    assert runtime.card == read_card(saved / "rgb.safetensors")
    slots = np.array([runtime.allocate()])
    clips = four_snippets(3)
    scores = [runtime.step(clips[:, [n]], slots)[0].ravel() for n in range(4)]
    expected = json.loads((saved / "scores.json").read_text())["onnx"]
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)


def test_a_fusion(saved):
    scorer = open_scorer(saved / "two-stream.toml", runtime="torch")
    assert scorer.card.labels == ("left", "right")
    np.testing.assert_allclose(scorer._weights, [0.4, 0.6])


def test_features_are_made_further(saved):
    made = FeatureSettings.read(saved / "features")
    assert made.shape == (2, 16, 1, 1)
    network, card = load(saved / "rgb.safetensors")
    extractor = Extractor(network, card, num_segments=2)
    extractor.settings.keep(saved / "features")  # the same settings: more may be added
    kept = np.load(saved / "features" / "left" / "v_left_g00_c01.npy")
    again = extractor(saved / "data" / "left" / "v_left_g00_c01")
    np.testing.assert_allclose(again, kept, rtol=1e-2, atol=1e-2)


@pytest.fixture
def without_onednn():
    """With AVX-512, oneDNN (torch 2.14.1) writes beyond its memory, backward through 1 x 1 convolutions with a stride
    and less than eight channels, which only a network as small as that of the run has."""
    torch._C._set_mkldnn_enabled(False)  # the public function warns of a GPU
    yield
    torch._C._set_mkldnn_enabled(True)


@pytest.mark.usefixtures("without_onednn")
def test_a_run_goes_on(saved):
    """From its first epoch to its second: the figures of the first stay, and no class of ours is in its state."""
    folder = saved / "run"
    state = read_state(folder / "last.pt")
    assert (state["step"], len(state["rows"])) == (1, 1)
    run = Run.open(folder)
    assert run.settings.augmentation.opposites == {"left": "right", "right": "left"}
    summary = run.train(workers=0)
    assert (summary["epoch"], summary["training"], summary["validation"]) == (2, 2, 2)
    with (folder / "figures.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == [state["rows"][0]["loss"], summary["loss"]]
    assert load(folder)[1].labels == ("left", "right")


def test_a_taught_model_is_taught_further(tmp_path):
    with tarfile.open(SAVED.with_name("taught.tar.xz")) as archive:
        archive.extractall(tmp_path, filter="data")
    network, card = load(tmp_path / "taught.safetensors")
    assert (card.labels, card.thresholds) == (("nothing", "left", "right"), {"left": 0.01, "right": 0.13})
    frames = card.preprocessing.normalise(torch.from_numpy(four_snippets(3)))
    with torch.inference_mode():
        scores = network(frames)[0][0]
    expected = json.loads((tmp_path / "scores.json").read_text())
    torch.testing.assert_close(scores, torch.tensor(expected), rtol=1e-3, atol=1e-3)
    teacher = Teacher(tmp_path / "taught.safetensors")
    names = ["left 0", "left 1", "right 0", "right 1", "hall, 0:00", "hall, 0:11", "hall, 0:22"]
    assert [(each.name, each.recording) for each in teacher.examples] == [
        (name, "hall" if "hall" in name else "") for name in names
    ]
    assert teacher.fit().labels == card.labels
