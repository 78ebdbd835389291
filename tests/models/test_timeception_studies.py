"""Timeception's studies on rendered long videos."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from actionstream.models.catalogue import create
from actionstream.models.networks.timeception import SCALES
from actionstream.models.training import timeception_studies as extents
from actionstream.models.training.timeception_studies import (
    NUM_SEGMENTS,
    ORDERS,
    PARTS,
    STILL,
    altered_places,
    make_video,
    reach,
)


@given(st.integers(1, 64), st.integers(0, 99))
def test_an_altered_video_is_the_same_in_another_rhythm(num_pieces, seed):
    places = altered_places(num_pieces, np.random.default_rng(seed))
    assert places.shape == (NUM_SEGMENTS,)
    assert places.min() >= 0
    assert places.max() < NUM_SEGMENTS
    assert (np.diff(places) >= 0).all()
    assert np.diff(places).max() <= extents.SPEED**2 + 1
    if num_pieces == 1:
        assert (places == np.arange(NUM_SEGMENTS)).all()


@pytest.mark.parametrize("num_pieces", [2, 4, 8, 16])
def test_pieces_alter_videos(num_pieces):
    """All but the few whose pieces happen to be of nearly one speed."""
    places = [altered_places(num_pieces, np.random.default_rng(seed)) for seed in range(50)]
    assert sum((now != np.arange(NUM_SEGMENTS)).any() for now in places) >= 45


@given(st.integers(0, len(ORDERS) - 1), st.integers(0, 99))
def test_a_long_video_has_its_parts_in_order(label, seed):
    takes = np.arange(len(PARTS) + 1, dtype=np.float32)[:, None, None, None, None].repeat(3, axis=1)  # their numbers
    video = make_video(takes, label, np.random.default_rng(seed))[:, 0, 0, 0].astype(int)
    assert len(video) == NUM_SEGMENTS
    ends = np.flatnonzero(np.diff(video)) + 1
    runs = np.split(video, ends)
    assert [run[0] for run in runs] == [STILL, *(kind for part in ORDERS[label] for kind in (part, STILL))]
    lengths = np.array([len(run) for run in runs])
    assert lengths.max() <= extents.UNEVEN**2 * lengths.min() + 3


@pytest.mark.parametrize("kind", list(SCALES))
def test_reach_is_what_the_last_layer_sees(kind):
    """The segments on which a step of time of the last layer depends, found by gradients."""
    torch.manual_seed(0)
    network = create("timeception", in_channels=64, num_layers=2, num_classes=0, scales=kind).double().eval()
    for parameter in network.parameters():
        parameter.data.abs_()  # so that no ReLU and no maximum hides what is seen
    seen = torch.zeros(64, dtype=torch.bool)
    for shape in range(8):  # a maximum lets one of two through
        x = torch.rand(1, 64, 64, 1, 1, dtype=torch.double, generator=torch.Generator().manual_seed(shape))
        x.requires_grad_()
        network(x)[0, :, 8].sum().backward()
        seen |= x.grad[0].abs().sum(dim=(1, 2, 3)) > 0
    first, last = seen.nonzero()[0].item(), seen.nonzero()[-1].item()
    assert last - first + 1 == reach(kind, 2)


def test_the_recipe(tmp_path, run, monkeypatch):
    monkeypatch.setattr(extents, "NUM_TAKES", {"training": 2, "test": 1})
    monkeypatch.setattr(extents, "NUM_SEEDS", 2)
    monkeypatch.setattr(extents, "NUM_VIDEOS", 6)
    monkeypatch.setattr(extents, "NUM_SEGMENTS", 16)
    monkeypatch.setattr(extents, "BATCH", 2)
    monkeypatch.setenv("COLUMNS", "200")
    command = ("train", "timeception", "-o", tmp_path / "study", "--steps", 1, "--device", "cpu")
    code, out, err = run(*command)
    assert code == 0, err
    found = json.loads((tmp_path / "study" / "results.json").read_text())
    assert found["accuracy"].keys() == SCALES.keys()
    for by_pieces in found["accuracy"].values():
        assert list(by_pieces) == ["original", "very coarse", "coarse", "fine", "very fine"]
        assert all(len(values) == 2 for values in by_pieces.values())
    assert found["parameters"]["dilations"] == found["parameters"]["fixed"] < found["parameters"]["kernels"]
    assert found["seeds"] == [0, 1]
    with Image.open(tmp_path / "study" / "results.png") as picture:
        assert picture.size[0] > 600
    (row,) = [line for line in out.splitlines() if "fixed" in line]
    original = 100 * np.array(found["accuracy"]["fixed"]["original"])
    assert f"{original.mean():.1f} ± {original.std(ddof=1):.1f}" in row
    code, _, err = run(*command[:3], tmp_path / "study" / "results.json")
    assert (code, "is a file; the results go into a folder" in err) == (2, True)
