"""From clips to batches: which frames are read, how they are changed, and that numbers alone decide it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import images, shared, write_video
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from actionstream.models.preprocessing import Preprocessing
from actionstream.models.training.augmentation import Augmentation, find_opposites
from actionstream.models.training.batches import ClipBatches, load_batches
from actionstream.models.training.datasets import Clip
from actionstream.models.training.reading import read_frames, stretch_of
from actionstream.models.training.sampling import FrameSampling, consecutive, dense, segments
from actionstream.models.video import SourceError


def numbered(count, height=32, width=48):
    """Pictures whose brightness says which they are."""
    return [np.full((height, width, 3), 8 * n % 256, np.uint8) for n in range(count)]


def number_of(picture):
    return round(float(picture.mean()) / 8)


def bounds(clip):
    stretch = stretch_of(clip)
    return stretch.first, stretch.last


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "video.mp4", numbered(30))


def test_frames_are_those_asked_for(video, tmp_path):
    assert [number_of(frame) for frame in read_frames(video, [3, 29, 3, 14])] == [3, 29, 3, 14]
    assert bounds(Clip(video, ())) == (0, 30)
    assert stretch_of(Clip(video, ())).rate == pytest.approx(30, rel=0.01)
    assert bounds(Clip(video, (), seconds=(0.5, 0.8))) == (15, 24)
    assert bounds(Clip(video, (), frames=(10, 99))) == (10, 30)
    folder = tmp_path / "frames"
    folder.mkdir()
    for n, picture in enumerate(numbered(6), start=1):
        Image.fromarray(picture).save(folder / f"{n:05}.png")
    assert len(stretch_of(Clip(folder, ()))) == 6
    assert [number_of(frame) for frame in read_frames(folder, [5, 0, 9])] == [5, 0, 5]


def test_a_video_without_key_frames_between(tmp_path):
    """Seeking goes back to the only one, and the numbers hold."""
    path = write_video(tmp_path / "long.mp4", numbered(30))
    whole = read_frames(path, range(30))
    for place in (1, 17, 29):
        assert np.array_equal(read_frames(path, [place])[0], whole[place])


def test_real_clips_are_read_by_place():
    for name in ("stgcn_tai_chi.mp4", "decord_flipping_pancake.mkv", "cuhk_plastering.avi"):
        path = shared("data", "clips", name)
        many = read_frames(path, range(100, 131))
        some = read_frames(path, [130, 115])
        assert np.array_equal(some[0], many[30])
        assert np.array_equal(some[1], many[15])
    odd = shared("data", "ut_interaction", "set1", "0_1_4.avi")  # its times do not increase, and its header lies
    assert len(stretch_of(Clip(odd, ()))) >= 108
    first, middle, last, beyond = read_frames(odd, [0, 50, 109, 500])
    assert not np.array_equal(first, middle)
    assert np.array_equal(last, beyond)


def test_videos_that_cannot_be_read(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    for name in ("text.mp4", "empty", "absent.mp4"):
        with pytest.raises(SourceError, match=name):
            stretch_of(Clip(tmp_path / name, ()))
    (tmp_path / "empty" / "00001.jpg").write_bytes(b"no picture")
    with pytest.raises(SourceError, match="empty has no picture that can be read"):
        read_frames(tmp_path / "empty", [0])
    video = write_video(tmp_path / "short.mp4", numbered(5))
    with pytest.raises(SourceError, match="has 5 frames, and none from 60 to 5"):
        stretch_of(Clip(video, (), seconds=(2.0, 3.0)))


RANDOM = st.one_of(st.none(), st.integers(0, 99).map(np.random.default_rng))


@given(st.integers(1, 400), st.integers(1, 32), RANDOM)
def test_places_are_in_the_clip_and_in_order(num_frames, num_snippets, random):
    for places in (
        segments(num_frames, num_snippets, random),
        consecutive(num_frames, num_snippets, random, step=2.4),
        dense(num_frames, num_snippets, random),
    ):
        assert places.shape == (num_snippets,)
        assert places.min() >= 0
        assert places.max() < num_frames
    assert (np.diff(segments(num_frames, num_snippets, random)) >= 0).all()
    assert (np.diff(consecutive(num_frames, num_snippets, random, step=2.4)) >= 0).all()


def test_places_are_those_of_the_papers():
    assert segments(80, 8).tolist() == [5, 15, 25, 35, 45, 55, 65, 75]
    assert dense(300, 8, start=0.0).tolist() == [0, 8, 16, 24, 32, 40, 48, 56]
    assert dense(300, 8, start=1.0).tolist() == [236, 244, 252, 260, 268, 276, 284, 292]
    assert dense(20, 8).tolist() == [0, 8, 16, 4, 12, 0, 8, 16]
    assert consecutive(100, 4, step=2, start=0.0).tolist() == [0, 2, 4, 6]
    assert consecutive(100, 4, step=2.5, start=1.0).tolist() == [92, 94, 96, 99]
    assert consecutive(5, 4, step=2).tolist() == [0, 2, 4, 4]
    firsts = {int(segments(80, 8, np.random.default_rng(seed))[0]) for seed in range(50)}
    assert firsts == set(range(10))


def test_the_live_sampler_and_consecutive_take_the_same_frames():
    from actionstream.sampler import Sampler

    for rate in (30, 25, 24):
        sampler = Sampler(2 / 30)
        live = [n for n in range(60) if sampler.push(n / rate, (1, 1)).sampled]
        places = consecutive(60, len(live), step=2 / 30 * rate, start=0.0)
        assert np.abs(np.array(live) - places).max() <= 1


def test_the_same_change_for_all_frames():
    picture = torch.from_numpy(images(1, height=64, width=80)[0]).movedim(-1, 0)
    clip = picture.expand(5, -1, -1, -1)
    for crop in ("corners", "random-resized", "random", "centre"):
        out, labels = Augmentation(crop=crop, colours=0.4)(clip, ["wave"], (32, 32))
        assert out.shape == (5, 3, 32, 32)
        assert out.dtype == torch.uint8
        assert all(torch.equal(frame, out[0]) for frame in out)
        assert labels == ["wave"]


def test_a_flip_knows_directions():
    clip = torch.zeros(2, 3, 40, 40, dtype=torch.uint8)
    clip[..., :20] = 255
    augment = Augmentation(crop="centre", opposites={"left": "right", "up": "up"})
    seen = set()
    for seed in range(40):
        torch.manual_seed(seed)
        for label in ("left", "right", "wave", "up"):
            out, (told,) = augment(clip, [label], (40, 40))
            seen.add((label, "flipped" if out[0, 0, 20, 0] == 0 else "not", told))
    assert seen == {
        ("left", "not", "left"),
        ("left", "flipped", "right"),
        ("right", "not", "right"),
        ("right", "flipped", "left"),
        ("wave", "not", "wave"),
        ("wave", "flipped", "wave"),
        ("up", "not", "up"),
    }


@pytest.mark.parametrize(
    ("labels", "opposites"),
    [
        (["Swiping Left", "Swiping Right", "Stop"], {"Swiping Left": "Swiping Right", "Swiping Right": "Swiping Left"}),
        (["turnLeft", "turn_right"], {"turnLeft": "turn_right", "turn_right": "turnLeft"}),
        (["a left", "upright", "brightly"], {"a left": "a left"}),
        (
            ["Pushing [something] from left to right", "Pushing [something] from right to left"],
            {
                "Pushing [something] from left to right": "Pushing [something] from right to left",
                "Pushing [something] from right to left": "Pushing [something] from left to right",
            },
        ),
        (
            ["Turning Hand Clockwise", "Turning Hand Counterclockwise", "anticlockwise"],
            {
                "Turning Hand Clockwise": "Turning Hand Counterclockwise",
                "Turning Hand Counterclockwise": "Turning Hand Clockwise",
                "anticlockwise": "anticlockwise",
            },
        ),
    ],
)
def test_opposites_are_told_by_words(labels, opposites):
    assert find_opposites(labels) == opposites


def batches(tmp_path, **changes):
    clips = []
    for n in range(6):
        path = tmp_path / f"{n}.mp4"
        if not path.exists():
            write_video(path, images(12, seed=n))
        clips.append(Clip(path, ("wave" if n % 2 else "clap",)))
    values = {
        "clips": clips,
        "labels": ("clap", "wave"),
        "sampled": FrameSampling(num_frames=3, num_warm=2, speed=1.5),
        "preprocessing": Preprocessing(height=32, width=32, short_side=36),
        "augmentation": Augmentation(colours=0.2),
        "batch_size": 4,
        "num_batches": 5,
        "seed": 1,
    }
    return ClipBatches(**{**values, **changes})


def test_a_batch_is_the_same_whoever_asks(tmp_path):
    one = list(load_batches(batches(tmp_path), workers=0))
    two = list(load_batches(batches(tmp_path), workers=1))
    late = list(load_batches(batches(tmp_path), first=3, workers=0))
    assert len(one) == 5
    for ours, theirs in [*zip(one, two, strict=True), *zip(one[3:], late, strict=True)]:
        assert np.array_equal(ours.clips, theirs.clips)
        assert np.array_equal(ours.targets, theirs.targets)
    assert one[0].clips.shape == (4, 5, 32, 32, 3)
    assert one[0].num_warm == 2
    for part, share in ((slice(0, 2), (0, 2)), (slice(2, 4), (1, 2))):
        mine = batches(tmp_path, share=share)[3][0]
        assert np.array_equal(mine.clips, one[3].clips[part])
        assert np.array_equal(mine.targets, one[3].targets[part])
    other = next(iter(load_batches(batches(tmp_path, seed=2), workers=0)))
    assert not np.array_equal(other.clips, one[0].clips)


def test_every_clip_comes_once_an_epoch(tmp_path):
    made = batches(tmp_path, num_batches=6)
    members = [member for number in range(6) for member in made._members(number)]
    assert sorted(members) == [(epoch, index) for epoch in range(4) for index in range(6)]
    assert [index for _, index in members[:6]] != [index for _, index in members[6:12]]


def test_weights_of_labels(tmp_path):
    made = batches(tmp_path, weights=(0.5, 2.0))
    batch = next(iter(load_batches(made, workers=0)))
    assert batch.weights.tolist() == [0.5 if target[0] else 2.0 for target in batch.targets]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sampling": "often"}, "sampling is 'often'; expected 'segments', 'dense' or 'consecutive'"),
        ({"num_frames": 0}, "num_frames is 0; expected 1 or more"),
        ({"speed": 0.5}, "speed is 0.5; expected 1 or more"),
    ],
)
def test_sampling_of_no_use(settings, message):
    with pytest.raises(ValueError, match=message):
        FrameSampling(**settings)


def test_a_clip_that_cannot_be_read_is_replaced(tmp_path):
    """Batches stay full and in their places, even of one clip each; too many are a mistake in the data."""
    made = batches(tmp_path)
    many = [*made.clips] * 20
    many[7] = Clip(tmp_path / "absent.mp4", ("wave",))
    made = batches(tmp_path, clips=many, batch_size=1, num_batches=120, sampled=FrameSampling(num_frames=1))
    broken = set()
    found = list(load_batches(made, workers=0, broken=broken))
    assert len(found) == 120
    assert broken == {f"no file {tmp_path / 'absent.mp4'}"}
    gone = [Clip(tmp_path / f"absent{n}.mp4", ("wave",)) for n in range(4)]
    assert len(list(load_batches(batches(tmp_path, clips=[*gone[:3], *made.clips[:3]]), workers=0))) == 5
    alone = batches(tmp_path, clips=[*gone, *made.clips[:2]])
    with pytest.raises(ValueError, match=r"4 of 6 clips cannot be read, more than half: no file .*absent0.mp4"):
        list(load_batches(alone, workers=0))


def test_the_order_of_the_clips_is_drawn_once_an_epoch(monkeypatch):
    """And is what it was: a permutation of all clips by seed and epoch."""
    clips = [Clip(Path(f"{n}.mp4"), ("a",)) for n in range(50)]
    wanted = Preprocessing(height=8, width=8)
    batches = ClipBatches(clips, ("a",), FrameSampling(), wanted, Augmentation(), 8, 100, 12345)
    draw, drawn = np.random.default_rng, []
    monkeypatch.setattr(np.random, "default_rng", lambda seed: drawn.append(seed) or draw(seed))
    members = [member for number in range(25) for member in batches._members(number)]
    assert drawn == [(12345, epoch) for epoch in range(4)]
    orders = [draw((12345, epoch)).permutation(50).tolist() for epoch in range(4)]
    assert members == [(epoch, index) for epoch, order in enumerate(orders) for index in order]
