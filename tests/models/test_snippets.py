"""Other modalities in training and testing: the stacks that live makes, from the pictures that it takes."""

import numpy as np
import pytest
import torch
from helpers import randomised
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from precision import apart, float64_bound

from actionstream.models import create
from actionstream.models.card import Card
from actionstream.models.modality import dense_flow, discretise, open_modality, to_grey
from actionstream.models.networks.initialisation import cross_modality
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.training.augmentation import Augmentation
from actionstream.models.training.batches import ClipBatches
from actionstream.models.training.datasets import Clip
from actionstream.models.training.reading import stretch_of
from actionstream.models.training.run import start_from
from actionstream.models.training.sampling import FrameSampling
from actionstream.models.training.snippets import read_snippets
from actionstream.models.training.testing import test as score
from actionstream.models.training.testing import test_online as score_online
from actionstream.models.video import FOLDER_RATE
from actionstream.sampler import Sampler

STACKS = ("rgb-difference", "flow", "warped-flow")


def preprocessing(modality, **more):
    stack = 1 if modality == "rgb" else 2
    values = {"height": 40, "width": 40, "short_side": 48, "mean": (127.5,), "std": (127.5,), **more}
    return Preprocessing(modality=modality, stack=stack, **values)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A texture that goes to the right, as a folder of pictures, which has no loss."""
    folder = tmp_path_factory.mktemp("clips") / "right"
    folder.mkdir()
    texture = np.random.default_rng(0).integers(0, 256, (12, 60, 3), dtype=np.uint8)
    texture = np.asarray(Image.fromarray(texture).resize((240, 48), Image.Resampling.BICUBIC))
    for n in range(30):
        Image.fromarray(texture[:, 100 - 2 * n : 164 - 2 * n]).save(folder / f"{n:05}.png")
    return Clip(folder, ("right",))


def live(clip, wanted, interval_seconds, frame_seconds):
    """The snippets of the live path, and the places of their last pictures."""
    sampler, stage = Sampler(frame_seconds), open_modality(wanted, interval_seconds=interval_seconds)
    found = {}
    for n in range(30):
        picture = np.asarray(Image.open(clip.path / f"{n:05}.png"))
        if not sampler.push(n / FOLDER_RATE, picture.shape[:2]).sampled:
            continue
        snippet = stage.push(picture, n / FOLDER_RATE)
        if snippet is not None:
            found[n] = snippet
    return found


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("modality", ["rgb", *STACKS])
def test_training_sees_what_live_makes(clip, modality, every):
    """Without augmentation; pictures `every` frames apart, snippets six."""
    wanted = preprocessing(modality)
    interval, apart = 6 / 30, 6 / 30 if modality == "rgb" else every / 30
    sampled = FrameSampling(num_frames=4, interval_seconds=interval, frame_seconds=0 if modality == "rgb" else apart)
    places = sampled.places(30, FOLDER_RATE, num_pictures=wanted.num_pictures, start=0.0)
    expected = live(clip, wanted, interval, apart)
    assert places[:, -1].tolist() == list(expected)[:4]
    batches = ClipBatches(
        [Clip(clip.path, clip.labels, frames=(0, int(places[-1, -1]) + 1))],  # so long that there is only one start
        ("right",),
        sampled,
        wanted,
        Augmentation(crop="centre", flip=False, colours=0.0),
        1,
        1,
        seed=0,
    )
    (snippets,) = batches[0][0].clips
    assert snippets.shape == (4, 40, 40, wanted.channels)
    for ours, theirs in zip(snippets, expected.values(), strict=False):
        assert np.array_equal(ours, theirs)
    tested = read_snippets(clip.path, places, wanted)
    assert np.array_equal(tested, snippets)


@given(st.integers(1, 90), st.integers(1, 9), st.integers(2, 7), st.sampled_from([7.0, 24.0, 30.0, 60.0]), st.data())
def test_the_pictures_of_a_snippet_are_in_the_clip_and_in_order(num_frames, num_snippets, num_pictures, rate, data):
    sampling = data.draw(st.sampled_from(["segments", "dense", "consecutive"]))
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    sampled = FrameSampling(
        num_frames=num_snippets, sampling=sampling, interval_seconds=0.2, frame_seconds=1 / 30, speed=1.5
    )
    places = sampled.places(num_frames, rate, random, num_pictures=num_pictures)
    assert places.shape == (num_snippets, num_pictures)
    assert places.min() >= 0
    assert places.max() < num_frames
    steps = np.diff(places, axis=1)
    assert (steps >= 0).all()
    if num_frames > num_pictures * 4:  # it is long enough: no picture stands in for another
        assert (steps >= 1).all()
        assert (steps <= np.ceil(max(rate / 30, 1) * 1.5)).all()


def test_a_flip_of_flow_goes_to_the_other_side(clip):
    wanted = preprocessing("flow")
    places = FrameSampling(num_frames=2, frame_seconds=1 / 30).places(30, FOLDER_RATE, num_pictures=3)
    whole = torch.from_numpy(read_snippets(clip.path, places, wanted, whole=True)).movedim(-1, 1)
    assert whole.shape == (2, 4, 48, 64)
    seen = set()
    for seed in range(8):
        torch.manual_seed(seed)
        out, _ = Augmentation(crop="centre", colours=0.5)(whole, ["right"], (48, 48), is_flow=True)
        x, y = out[:, ::2].float() - 127.5, out[:, 1::2].float() - 127.5
        assert y.abs().median() < 1.6
        assert x.abs().median() == pytest.approx(2 * 255 / 40, abs=2)
        seen.add(float(x.median().sign()))
    assert seen == {1.0, -1.0}


def test_a_mirrored_video_has_the_flow_that_a_flip_makes(clip):
    a, b = (to_grey(np.asarray(Image.open(clip.path / f"{n:05}.png"))) for n in (3, 4))
    flow = torch.from_numpy(discretise(dense_flow(a, b))).movedim(-1, 0)[None]
    mirrored = torch.from_numpy(discretise(dense_flow(a[:, ::-1].copy(), b[:, ::-1].copy()))).movedim(-1, 0)[None]
    for seed in range(9):
        torch.manual_seed(seed)
        flipped, _ = Augmentation(crop="centre")(flow, [], (48, 64), is_flow=True)
        if not torch.equal(flipped, flow):
            break
    inside = (slice(None), slice(None), slice(8, -8), slice(8, -8))
    assert (flipped[inside].int() - mirrored[inside].int()).abs().float().mean() < 1.5
    assert (flow[inside].int() - mirrored[inside].int()).abs().float().mean() > 5


def test_differences_get_the_same_change_in_all_pictures():
    still = torch.randint(0, 256, (1, 3, 48, 64), dtype=torch.uint8).repeat(2, 3, 1, 1)
    for crop in ("corners", "random-resized", "random", "centre"):
        out, _ = Augmentation(crop=crop, colours=0.4)(still, ["x"], (40, 40))
        assert out.shape == (2, 9, 40, 40)
        assert torch.equal(out[:, :3], out[:, 3:6])
        assert torch.equal(out[:, :3], out[:, 6:])


def network_and_card(modality, **more):
    wanted = preprocessing(modality, **more)
    arguments = {"num_classes": 2, "in_channels": wanted.in_channels, "width": 0.125}
    network = randomised(create("tsm_resnet18", **arguments))
    card = Card(
        network="tsm_resnet18",
        arguments=arguments,
        labels=("left", "right"),
        preprocessing=wanted,
        interval_seconds=0.2,
        frame_seconds=0.2 if modality == "rgb" else 1 / 30,
    )
    return network, card


@pytest.mark.parametrize("modality", ["rgb", *STACKS])
def test_online_says_what_live_says(clip, modality):
    network, card = network_and_card(modality)
    with torch.inference_mode():
        snippets = live(clip, card.preprocessing, card.interval_seconds, card.frame_seconds)
        frames = card.preprocessing.normalise(torch.from_numpy(np.stack(list(snippets.values()))[None]))
        scores = network(frames)[0][0]
    means = scores.cumsum(0) / torch.arange(1, len(scores) + 1)[:, None]
    right = {}
    pictures = range(0, 30, 6) if modality == "rgb" else range(30)
    for part in (0.1, 0.5, 1.0):
        until = pictures[max(round(part * len(pictures)), 1) - 1]
        number = sum(place <= until for place in snippets)
        right[part] = float(number > 0 and means[number - 1].argmax() == 1)
    given = []
    network.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    found = score_online(network, card, [clip])
    assert torch.equal(torch.cat(given, dim=1), frames)
    assert {part: found[part] for part in right} == right


def test_nothing_is_said_of_a_clip_shorter_than_a_stack(clip):
    network, card = network_and_card("flow")
    found = score_online(network, card, [Clip(clip.path, clip.labels, frames=(0, 2))])
    assert set(found.values()) == {0.0}


@pytest.mark.parametrize("modality", ["rgb", "flow"])
def test_whole_pictures(clip, modality):
    network, card = network_and_card(modality)
    sampled = FrameSampling(num_frames=3, interval_seconds=0.2, frame_seconds=card.frame_seconds)
    places = sampled.places(30, FOLDER_RATE, num_pictures=card.preprocessing.num_pictures)
    whole = read_snippets(clip.path, places, card.preprocessing, whole=True)

    def check(found, snippets):
        frames = card.preprocessing.normalise(torch.from_numpy(snippets[None].copy()))
        expected, limit = float64_bound(network, frames, of=lambda scores: scores[0].mean(0))
        assert apart(found, expected) < limit

    found = score(network, card, [clip], sampled, full=True).scores
    assert whole.shape[1:3] == (48, 64)
    check(found[0, 0], whole)
    squares = score(network, card, [clip], sampled, full=True, num_crops=3).scores[0]
    for square, left in zip(squares, (0, 8, 16), strict=True):
        check(square, whole[:, :, left : left + 48])
    crops = score(network, card, [clip], sampled, num_crops=3).scores[0]
    for crop, left in zip(crops, (0, 12, 24), strict=True):
        check(crop, whole[:, 4:44, left : left + 40])


def test_networks_that_take_one_size_only(clip):
    card = Card(
        network="c3d",
        arguments={"num_classes": 1},
        labels=("right",),
        preprocessing=Preprocessing(height=112, width=112, short_side=128),
        interval_seconds=0.1,
        num_frames=16,
    )
    with torch.device("meta"):
        network = create("c3d", num_classes=1)
    network.to = lambda device: network  # its weights are never touched
    with pytest.raises(ValueError, match="c3d takes pictures of 112 x 112 pixels only, not whole ones of 171 x 128"):
        score(network, card, [clip], FrameSampling(num_frames=16), full=True)


@pytest.mark.parametrize("num_frames", [8, 32])
@pytest.mark.parametrize("shift", ["uni", "bi"])
def test_trained_on_8_frames_and_tested_on_32(clip, shift, num_frames):
    network, card = network_and_card("rgb")
    network = randomised(create("tsm_resnet18", **{**card.arguments, "shift": shift}))
    sampled = FrameSampling(num_frames=num_frames, sampling="segments")
    places = sampled.places(len(stretch_of(clip)), FOLDER_RATE)
    assert len(places) == num_frames
    snippets = read_snippets(clip.path, places, card.preprocessing)
    frames = card.preprocessing.normalise(torch.from_numpy(snippets[None]))
    expected, limit = float64_bound(network, frames, of=lambda scores: scores.mean(1) if shift == "uni" else scores)
    assert apart(score(network, card, [clip], sampled).scores[0], expected) < limit


def test_labels_that_a_network_does_not_know(clip):
    network, card = network_and_card("rgb")
    other = [clip, Clip(clip.path, ("up",))]
    for call in (lambda: score(network, card, other, FrameSampling()), lambda: score_online(network, card, other)):
        with pytest.raises(ValueError, match="is labelled 'up', which the network does not know"):
            call()


def test_a_start_from_a_network_for_rgb(tmp_path):
    from actionstream.models.weights.checkpoint import save
    from actionstream.models.weights.loading import load

    network, card = network_and_card("rgb")
    save(tmp_path / "rgb.safetensors", network, card)
    flow, _ = network_and_card("flow")
    start_from(flow, load(tmp_path / "rgb.safetensors")[0], "rgb.safetensors")
    expected = cross_modality(network.state_dict(), 4)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in flow.state_dict().items())
    mean = network.conv1.weight.mean(dim=1)
    assert all(torch.equal(flow.conv1.weight[:, channel], mean) for channel in range(4))
