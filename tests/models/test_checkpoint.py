"""A checkpoint holds all that is needed to run it, and a bad one is refused in one line."""

import dataclasses
import json
import os

import numpy as np
import pytest
import torch
from helpers import random_card, random_network, scores_of
from safetensors.torch import load_file, save_file

from actionstream.models import Preprocessing, load, packaged, read_card, save
from actionstream.models.card import Card
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.training.motion_accuracy import motion_accuracy
from actionstream.models.weights.checkpoint import KEY


def test_round_trip(tmp_path):
    card = random_card(n_div=4, shift="uni")
    network = random_network(card)
    path = tmp_path / "mine.safetensors"
    save(path, network, card)
    again, card_again = load(path)
    assert card_again == card
    assert not again.training
    frames = torch.randn(1, 3, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(again(frames)[0], network(frames)[0])
    assert os.listdir(tmp_path) == ["mine.safetensors"]


def test_half_precision(tmp_path):
    card = random_card()
    network = random_network(card)
    save(tmp_path / "half.safetensors", network, card, half=True)
    again, _ = load(tmp_path / "half.safetensors")
    assert next(again.parameters()).dtype == torch.float32
    assert load_file(tmp_path / "half.safetensors")["fc.weight"].dtype == torch.float16
    torch.testing.assert_close(again.fc.weight, network.fc.weight, rtol=1e-3, atol=1e-3)


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    card = random_card()
    path = tmp_path / "mine.safetensors"
    path.write_bytes(b"the last good one")

    def disk_full(tensors, file, metadata):
        file.write_bytes(b"half of")
        raise OSError("No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", disk_full)
    with pytest.raises(OSError, match="No space left"):
        save(path, random_network(card), card)
    assert path.read_bytes() == b"the last good one"
    assert os.listdir(tmp_path) == ["mine.safetensors"]


def test_other_shift_is_refused_unless_insisted_on(tmp_path):
    card = random_card(shift="bi")
    path = tmp_path / "bi.safetensors"
    save(path, random_network(card), card)
    with pytest.raises(ValueError, match=r'trained with shift "bi" and cannot run with "uni".*insist=True'):
        load(path, shift="uni")
    network, changed = load(path, shift="uni", insist=True)
    assert network.streams
    assert changed.shift == "uni"


def test_bad_files(tmp_path, checkpoint):
    absent = tmp_path / "absent.safetensors"
    with pytest.raises(ValueError, match=r"no model '.*absent.safetensors': give the path of a checkpoint"):
        load(absent)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(1)}, foreign)
    with pytest.raises(ValueError, match="not a checkpoint of actionstream: it has no card"):
        load(foreign)
    garbage = tmp_path / "garbage.safetensors"
    garbage.write_bytes(b"\x80\x04pickle" * 100)
    with pytest.raises(ValueError, match="cannot be read as a safetensors file"):
        load(garbage)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(checkpoint.read_bytes()[:-1000])
    with pytest.raises(ValueError, match="cannot be read as a safetensors file"):
        load(cut)
    card = json.loads(read_card(checkpoint).to_json())
    for change, message in [
        ({"network": "tsm_resnet50"}, "the weights in .* are not those of tsm_resnet50"),
        ({"network": "alexnet"}, "no network is named 'alexnet'"),
        ({"interval_seconds": 0}, "interval_seconds is 0"),
        ({"colour": "red"}, "the card in .*safetensors: there is no field 'colour'; nearest is"),
    ]:
        bad = tmp_path / "bad.safetensors"
        save_file(load_file(checkpoint), bad, metadata={KEY: json.dumps({**card, **change})})
        with pytest.raises(ValueError, match=message):
            load(bad)


def test_probabilities():
    scores = np.array([[1000.0, 0.0, -1000.0], [1.0, 1.0, 1.0]], np.float32)
    card = random_card()
    np.testing.assert_allclose(card.probabilities(scores), [[1, 0, 0], [1 / 3] * 3], atol=1e-6)
    multi = Card(
        network="tsn_resnet18",
        arguments={},
        labels=("a",),
        preprocessing=Preprocessing(height=8, width=8),
        interval_seconds=1.0,
        activation="sigmoid",
    )
    np.testing.assert_allclose(multi.probabilities(np.array([0.0, 2.0], np.float32)), [0.5, 0.880797], atol=1e-6)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("size", [1.0, 100.0, 1e4, 3e38])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_no_score_is_too_large(activation, size, dtype):
    """Without a warning, which tests take for an error."""
    size = min(size, float(np.finfo(dtype).max))
    scores = np.array([[-size, 0, size], [size, size, size], [0, 0, 0]], dtype)
    found = dataclasses.replace(random_card(), activation=activation).probabilities(scores)
    assert found.dtype == np.float32
    single = [1 / (1 + np.exp(-min(size, 700.0))), 0.5, 1 / (1 + np.exp(min(size, 700.0)))]
    if activation == "sigmoid":
        np.testing.assert_allclose(found, [single[::-1], [single[0]] * 3, [0.5] * 3], atol=1e-7)
    else:
        np.testing.assert_allclose(found[1:], np.full((2, 3), 1 / 3), atol=1e-7)
        np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-6)
        assert found[0].argmax() == 2


def test_motion_comes_with_the_package():
    assert "motion" in packaged()
    network, card = load("motion")
    assert card.shift == "uni"
    assert len(card.labels) == 10
    assert card.licence == "Apache-2.0"
    assert network.streams
    floors = {
        "rendered, whole frame": 0.92,
        "rendered, object": 0.85,
        "real pictures, whole frame": 0.90,
        "real pictures, cut-out": 0.80,
    }
    for name, floor in floors.items():
        measured = card.accuracy["sets"][name]
        assert measured["clips"] >= floor
        assert measured["num_clips"] >= 1000
    assert card.accuracy["false_starts"]["hours"] > 0


@pytest.mark.slow
def test_motion_is_as_good_as_its_card_says():
    """A fresh sample of each rendered set stays within chance of the figures in the card."""
    network, card = load("motion")
    for name, values in motion_accuracy(scores_of(network, card), card, num_clips=100, seed=7).items():
        assert values["clips"] >= card.accuracy["sets"][name]["clips"] - 0.08
        assert values["frames"][32] >= values["frames"][8] - 0.08


def test_arguments_of_a_card_come_back_as_they_were():
    card = random_card("tsm_resnet18", shift="bi", pooled_stages=[2, 3])
    assert card.arguments["pooled_stages"] == (2, 3)
    assert Card.from_json(card.to_json()) == card


def test_clips_of_no_frames():
    with pytest.raises(ValueError, match="num_frames is 0; expected 1 or more"):
        dataclasses.replace(random_card(), num_frames=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"thresholds": {"runing": 0.5}}, "thresholds has 'runing', which is no label of the card"),
        ({"thresholds": {random_card().labels[0]: 1.5}}, "1.5; expected"),
        ({"covers": 0}, "covers is 0; expected"),
    ],
)
def test_thresholds_and_what_a_score_is_about(changes, message):
    with pytest.raises(ActionstreamError, match=message):
        dataclasses.replace(random_card(), **changes)
