"""What a run takes where its user says nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import images, write_video

from actionstream.models import create, save
from actionstream.models.card import Card
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.training.changes import changed
from actionstream.models.training.data import Data
from actionstream.models.training.datasets import Clip
from actionstream.models.training.defaults import (
    begin_with,
    epochs_for,
    median_seconds,
    optimisation_for,
    settings_for,
    start_fits,
    view_of,
)
from actionstream.models.training.sampling import FrameSampling


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Clips of 0.5, 2 and 2.4 s, and one that is broken."""
    root = tmp_path_factory.mktemp("clips")
    for label, frames in (("left", 15), ("right", 60), ("up", 72)):
        (root / label).mkdir()
        write_video(root / label / "a.mp4", images(frames))
    (root / "up" / "b.mp4").write_bytes(b"no video")
    return root


def settings(root, **given):
    names = ("model", "shift", "streaming", "modality", "size", "start", "batch_size", "epochs", "teacher")
    said = []
    found = settings_for(
        Data(root=str(root), hold_out=False), **{**dict.fromkeys(names), **given}, seed=3, say=said.append
    )
    return found, said


def test_the_default_network_starts_from_the_packaged_backbone(clips):
    found, said = settings(clips)
    assert (found.network, found.start, found.arguments) == ("tsm_efficientnet_lite0", "imagenet", {"same": True})
    assert (found.preprocessing.mean, found.preprocessing.std) == ((127.0,), (128.0,))  # those of its weights
    assert (found.sampled.num_frames, found.sampled.interval_seconds) == (8, pytest.approx(0.25))
    assert said == ["clips last 2 s (median): 8 frames, 0.25 s apart"]
    assert found.augmentation.opposites == {"left": "right", "right": "left"}
    assert (found.preprocessing.height, found.preprocessing.short_side) == (128, 146)
    assert start_fits(found)
    assert not start_fits(changed(found, ["arguments.width=0.25"]))
    assert start_fits(changed(found, ["start=none"]))


def test_frame_by_frame(clips):
    """The same clips, in snippets of as many frames as the network halves the rate by."""
    whole, _ = settings(clips, model="mc4_18", start="none")
    found, _ = settings(clips, model="mc4_18", start="none", streaming="causal")
    assert found.arguments == {**whole.arguments, "streaming": "causal", "num_frames": whole.sampled.num_frames}
    assert found.sampled.num_frames == whole.sampled.num_frames // 2
    assert found.sampled.interval_seconds == 2 * whole.sampled.interval_seconds
    assert found.sampled.frame_seconds == whole.sampled.interval_seconds
    assert found.preprocessing.stack == 2
    for model, why in (("tsm_resnet18", "streams by itself"), ("r2d_18", "reads the frames of whole clips")):
        with pytest.raises(ActionstreamError, match=why):
            settings(clips, model=model, start="none", streaming="causal")


def test_random_weights(clips):
    found, _ = settings(clips, start="none")
    assert (found.network, found.start, found.arguments) == ("tsm_efficientnet_lite0", None, {})
    assert found.optimisation.norms == "all"
    found, said = settings(clips, model="tsm_resnet50")
    assert (found.network, found.start) == ("tsm_resnet50", None)
    assert said[0].startswith("tsm_resnet50 starts from random weights: imagenet is tsn_efficientnet_lite0")


@pytest.mark.parametrize(
    ("network", "start", "expected", "arguments", "remark"),
    [
        (None, "motion", "tsm_resnet18", {"width": 0.5, "n_div": 4}, "the network is tsm_resnet18, as in motion"),
        ("tsm_resnet18", "motion", "tsm_resnet18", {"width": 0.5, "n_div": 4}, ""),
        (None, "imagenet", "tsm_efficientnet_lite0", {"same": True}, "the network is tsm_efficientnet_lite0"),
        ("tsn_efficientnet_lite0", None, "tsn_efficientnet_lite0", {"same": True}, ""),
        (None, "mobilenet-v2-imagenet", "tsm_mobilenet_v2", {}, "the network is tsm_mobilenet_v2"),
        ("tsm_resnet50", "motion", "tsm_resnet50", {"width": 0.5, "n_div": 4}, ""),
        (
            "tsm_mobilenet_v2",
            "motion",
            "tsm_mobilenet_v2",
            {},
            "of motion, which is tsm_resnet18, only weights that fit",
        ),
    ],
)
def test_a_start_brings_its_network(network, start, expected, arguments, remark):
    beginning = begin_with(network, start)
    assert (beginning.network, beginning.start) == (expected, start or "imagenet")
    assert beginning.arguments == arguments
    assert beginning.remark.startswith(remark)
    assert bool(beginning.remark) == bool(remark)


def test_a_start_from_motion_sees_what_motion_sees(clips):
    found, said = settings(clips, start="motion")
    assert (found.preprocessing.height, found.preprocessing.mean) == (64, (128.0,))
    assert said == ["the network is tsm_resnet18, as in motion", "clips last 2 s (median): 30 frames, 0.067 s apart"]
    assert found.sampled.interval_seconds == 1 / 15
    assert start_fits(found)
    assert settings(clips, start="motion", size=96)[0].preprocessing.short_side == 110


def test_a_start_with_frozen_backbones(tmp_path):
    network = create("taught", num_classes=2)
    preprocessing = Preprocessing(height=192, width=192, mean=(0.0,), std=(1.0,), stack=2)
    card = Card(
        network="taught",
        arguments={"num_classes": 2},
        labels=("nothing", "a"),
        preprocessing=preprocessing,
        interval_seconds=4 / 30,
    )
    save(tmp_path / "mine.safetensors", network, card)
    with pytest.raises(ActionstreamError, match=r"has frozen backbones; .* start from imagenet or motion"):
        begin_with(None, str(tmp_path / "mine.safetensors"))


@pytest.mark.parametrize(
    ("seconds", "num_frames", "expected"),
    [
        (3.4, 1, (8, 26 / 60)),
        (0.8, 1, (8, 6 / 60)),
        (0.03, 1, (1, 2 / 60)),
        (10.0, 1, (8, 75 / 60)),
        (10.0, 8, (8, 1.25)),
        (1.0, 64, (64, 2 / 60)),
    ],
)
def test_the_view_covers_the_clip(seconds, num_frames, expected):
    found, interval = view_of(seconds, num_frames)
    assert (found, interval) == (expected[0], pytest.approx(expected[1]))
    if interval > 2 / 60:
        places = FrameSampling(num_frames=found, interval_seconds=interval).places(round(30 * seconds), 30)
        assert np.ptp(places) >= 30 * (seconds - 2 * interval)


def test_the_median_duration(clips):
    paths = sorted(clips.glob("*/*.mp4"))
    assert median_seconds([Clip(path, ("x",)) for path in paths]) == pytest.approx(2, abs=0.05)
    assert median_seconds([Clip(paths[0], ("x",), seconds=(0.1, 0.4))]) == pytest.approx(0.3, abs=0.04)
    assert median_seconds([Clip(Path(clips / "up" / "b.mp4"), ("x",))]) is None


def test_few_clips_change_less_of_what_was_learnt():
    few, more, fresh = (
        optimisation_for(number, network="tsm_efficientnet_lite0", start=start)
        for number, start in ((20, "imagenet"), (5000, "imagenet"), (20, None))
    )
    assert few.learning_rate < more.learning_rate < fresh.learning_rate
    assert (few.norms, more.norms, fresh.norms) == ("none", "all", "all")
    assert "features.0" in few.frozen
    assert not more.frozen
    assert not optimisation_for(20, network="tsm_resnet18", start="motion").frozen


def test_norms_that_are_folded_stay_as_they_are(clips, tmp_path):
    """Also with many clips; padding and mean are those of the start."""
    network = create("tsn_mobilenet_v2", num_classes=2, width=0.25, same=True)
    preprocessing = Preprocessing(height=64, width=64, mean=(128.0,), std=(128.0,))
    card = Card(
        network="tsn_mobilenet_v2",
        arguments={"num_classes": 2, "width": 0.25, "same": True},
        labels=("a", "b"),
        preprocessing=preprocessing,
        interval_seconds=0.1,
    )
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for name, fill in (("folded", lambda norm: norm.bias), ("learnt", lambda norm: norm.running_mean)):
        torch.nn.init.normal_(fill(norms[3]))
        start = str(tmp_path / f"{name}.safetensors")
        save(start, network, card)
        many = optimisation_for(5000, network="tsm_mobilenet_v2", start=start)
        assert many.norms == {"folded": "none", "learnt": "all"}[name]
        found, _ = settings(clips, start=start)
        assert found.arguments == {"width": 0.25, "same": True}
        assert found.preprocessing == preprocessing
        assert found.network == "tsm_mobilenet_v2"
    assert optimisation_for(5000, network="tsm_resnet18", start="mobilenet-v2-imagenet").norms == "all"
    save(start, create("tsn_mobilenet_v2", num_classes=2, width=0.25, same=True), card)  # never trained
    assert optimisation_for(5000, network="tsm_mobilenet_v2", start=start).norms == "all"


def test_another_modality_has_its_own_preprocessing(clips):
    found, said = settings(clips, model="tsn_efficientnet_lite0", start="imagenet", modality="rgb-difference")
    assert found.preprocessing.modality == "rgb-difference"
    assert said[0] == "the preprocessing of imagenet is for rgb; that for rgb-difference is the network's own"


def test_few_clips_have_more_epochs():
    assert epochs_for(20, 8, start="imagenet") > epochs_for(200, 8, start="imagenet") >= 10
    assert epochs_for(100_000, 8, start="imagenet") == 10
    assert epochs_for(100_000, 8, start=None) == 30
