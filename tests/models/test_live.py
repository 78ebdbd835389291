"""How a clip network runs live: the card that follows, and what is refused."""

import warnings
from dataclasses import replace

import pytest
import torch
from helpers import random_card, random_network

from actionstream.models import load, save
from actionstream.models.card import Card
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.weights.live import card_of_clips, run_live

CLIPS = replace(random_card("mc4_18"), num_frames=16, stride=2)
"""Of a network that halves the frame rate, and whose deepest layers look 6 snippets ahead."""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "clips.safetensors"
    save(path, random_network(CLIPS), CLIPS)
    return path


def test_the_card_follows(file):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network, card = load(file, streaming="delayed")
    assert (card.preprocessing.in_channels, network.snippet_frames) == (6, 2)
    assert (card.interval_seconds, card.frame_seconds) == (0.2, 0.1)
    assert (card.delay_snippets, card.delay_seconds, card.context) == (6, pytest.approx(1.2), CLIPS.context + 6)
    assert (card.num_frames, card.stride) == (1, 1)
    assert load(file)[1] == CLIPS
    assert load(file, streaming="window")[1] == CLIPS


def test_a_file_of_frames_goes_back_to_clips(file, tmp_path):
    """The weights are the same in all."""
    delayed = tmp_path / "delayed.safetensors"
    save(delayed, *load(file, streaming="delayed"))
    network, card = load(delayed)
    assert card_of_clips(card) == CLIPS
    again, card_again = load(delayed, streaming="window")
    assert card_again == CLIPS
    for name, tensor in load(file)[0].state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
        assert torch.equal(tensor, network.state_dict()[f"network.{name}"])


def test_causal_needs_training(file, tmp_path):
    with pytest.warns(RuntimeWarning, match="mc4_18 was trained on whole clips; .* train --streaming causal"):
        network, card = load(file, streaming="causal")
    assert (card.delay_snippets, card.context) == (0, CLIPS.context)
    trained = tmp_path / "trained.safetensors"
    save(trained, network, card)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(trained)[1] == load(trained, streaming="causal")[1] == card


@pytest.mark.parametrize(
    ("name", "how", "why"),
    [
        ("tsm_mobilenet_v2", "causal", "MobileNetV2 streams by itself"),
        ("tsm_mobilenet_v2", "window", "tsm_mobilenet_v2 streams by itself, and needs no window"),
        ("tsm_mobilenet_v2_bi", "delayed", "has layers that need whole clips; run it in a window"),
        ("i3d_resnet50_non_local", "causal", "non-local blocks compare all frames of whole clips"),
    ],
)
def test_what_cannot_run_so_says_why(name, how, why):
    card = random_card(name)
    network = random_network(card)
    with pytest.raises(ValueError, match=why):
        run_live(network, card, how)


@pytest.mark.parametrize("given", [{"num_frames": 10**9}, {"num_frames": 1.5}, {"streaming": "late"}])
def test_a_file_of_somebody_asks_for_what_is_not_there(given, tmp_path):
    """Such as a mean over so many frames that no memory holds it."""
    path = tmp_path / "strange.safetensors"
    save(path, random_network(CLIPS), replace(CLIPS, arguments={**CLIPS.arguments, "streaming": "causal", **given}))
    with pytest.raises(ActionstreamError, match="cannot be built"):
        load(path)


def test_a_file_that_says_it_does_not_stream():
    card = replace(CLIPS, arguments={**CLIPS.arguments, "streaming": None})
    assert card_of_clips(card) == card


def test_flow_of_pictures_that_are_closer_than_frames():
    """A stack of two frames would need their pictures as far apart as frames."""
    flow = Preprocessing(height=32, width=32, modality="flow", mean=(127.5,), std=(127.5,))
    card = replace(CLIPS, arguments={**CLIPS.arguments, "in_channels": 2}, preprocessing=flow, frame_seconds=0.05)
    network = random_network(card)
    with pytest.raises(ValueError, match=r"a frame is made of 2 pictures, 0.05 s apart, and frames are 0.1 s apart"):
        run_live(network, card, "delayed")
    _, found = run_live(network, replace(card, frame_seconds=0.1), "delayed")
    assert isinstance(found, Card)
    assert found.preprocessing.num_pictures == 3
