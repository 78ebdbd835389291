"""Modalities: what a snippet is of, when it comes, and that it never has pictures from both sides of a reset."""

import av
import numpy as np
import pytest
import torch
from helpers import images, shared

from actionstream.models.modality import (
    BOUND,
    camera_motion,
    dense_flow,
    discretise,
    has_tvl1,
    open_modality,
    warped_flow,
)
from actionstream.models.preprocessing import Preprocessing

SIZE = 48


def preprocessing(modality, stack=2, **more):
    values = {"height": SIZE, "width": SIZE, "mean": (127.5,), "std": (127.5,), **more}
    return Preprocessing(modality=modality, stack=stack, **values)


def pushed(stage, pictures, rate=30):
    return [stage.push(picture, n / rate) for n, picture in enumerate(pictures)]


def test_rgb_is_the_resized_picture():
    wanted = preprocessing("rgb", stack=1)
    for picture in images(2):
        assert np.array_equal(open_modality(wanted).push(picture, 0.0), wanted.resize(picture))


def test_stacked_pictures():
    """Snippets two pictures long, one after the other: each picture is in one of them."""
    wanted = preprocessing("rgb", stack=2)
    pictures = images(6)
    snippets = pushed(open_modality(wanted, interval_seconds=2 / 30), pictures)
    assert [snippet is None for snippet in snippets] == [True, False] * 3
    for n in (1, 3, 5):
        assert np.array_equal(snippets[n], np.concatenate([wanted.resize(each) for each in pictures[n - 1 : n + 1]], 2))
    assert wanted.normalise(torch.from_numpy(snippets[1])).shape == (6, SIZE, SIZE)


def test_differences():
    wanted = preprocessing("rgb-difference", mean=(0.0,), std=(255.0,))
    pictures = images(5)
    snippets = pushed(open_modality(wanted), pictures)
    assert [snippet is None for snippet in snippets] == [True, True, False, False, False]
    resized = [wanted.resize(picture).astype(float) for picture in pictures]
    expected = np.concatenate([resized[2] - resized[1], resized[3] - resized[2]], axis=2) / 255
    given = wanted.normalise(torch.from_numpy(snippets[3]))
    assert given.shape == (6, SIZE, SIZE)
    np.testing.assert_allclose(given.movedim(0, -1).numpy(), expected, atol=1e-6)
    turned = preprocessing("rgb-difference", mean=(0.0,), std=(255.0,), order="bgr")
    order = [2, 1, 0, 5, 4, 3]
    assert torch.equal(turned.normalise(torch.from_numpy(snippets[3])), given[order])


@pytest.mark.parametrize("short_side", [None, SIZE + 4])
@pytest.mark.parametrize("modality", ["rgb", "rgb-difference", "flow", "warped-flow"])
def test_pictures_that_differ_by_a_pixel(modality, short_side):
    """Of a folder of a tracker's cut-outs, say: they are a stream like any other."""
    wanted = preprocessing(modality, stack=1 if modality == "rgb" else 2, short_side=short_side)
    stage = open_modality(wanted)
    for n in range(6):
        snippet = stage.push(images(1, n, 48 + n % 2, 65 - n % 3)[0], n / 30)
    assert snippet.shape == (SIZE, SIZE, wanted.channels)


@pytest.mark.parametrize("modality", ["rgb-difference", "flow", "warped-flow"])
def test_a_stack_never_crosses_a_reset(modality):
    stage = open_modality(preprocessing(modality))
    pushed(stage, images(4, seed=1))
    stage.reset()
    again = pushed(stage, images(4, seed=2))
    fresh = pushed(open_modality(preprocessing(modality)), images(4, seed=2))
    for one, other in zip(again, fresh, strict=True):
        assert (one is None) == (other is None)
        assert one is None or np.array_equal(one, other)


@pytest.mark.parametrize("every", [1, 2, 3, 7])
@pytest.mark.parametrize("modality", ["rgb-difference", "flow"])
def test_a_snippet_every_so_many_pictures(modality, every):
    pictures = images(20)
    each = pushed(open_modality(preprocessing(modality)), pictures)
    some = pushed(open_modality(preprocessing(modality), interval_seconds=every / 30), pictures)
    due = range(2, 20, every)
    assert [n for n, snippet in enumerate(some) if snippet is not None] == list(due)
    assert all(np.array_equal(some[n], each[n]) for n in due)


@pytest.mark.parametrize("rate", [30, 25, 15, 10, 7])
@pytest.mark.parametrize("modality", ["rgb-difference", "flow"])
def test_snippets_come_in_the_rhythm_of_the_card_at_any_rate(modality, rate):
    stage = open_modality(preprocessing(modality), interval_seconds=0.8)
    each = pushed(open_modality(preprocessing(modality)), images(60), rate)
    some = pushed(stage, images(60), rate)
    due = [n for n, snippet in enumerate(some) if snippet is not None]
    ticks = 2 / rate + 0.8 * np.arange(len(due))
    assert np.abs(np.array(due) / rate - ticks).max() <= 0.5 / rate + 1e-6
    assert len(due) == int((59 / rate + 0.5 / rate - 2 / rate) / 0.8) + 1
    assert all(np.array_equal(some[n], each[n]) for n in due)


def texture(seed=0):
    """A picture with something to follow everywhere, larger than what is seen of it."""
    import cv2

    random = np.random.default_rng(seed)
    octaves = [cv2.GaussianBlur(random.standard_normal((480, 480, 3)), (0, 0), sigma) * sigma for sigma in (1.5, 4, 12)]
    return np.clip(128 + 120 * sum(octaves), 0, 255).astype(np.uint8)


def grey(picture, matrix, size=(256, 340)):
    """The view of a camera: what its matrix (2, 3) brings from the picture into the frame."""
    import cv2

    one = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return cv2.warpAffine(one, np.float32(matrix), (size[1], size[0]), flags=cv2.INTER_CUBIC)


def moved(x, y):
    return [[1, 0, x - 70], [0, 1, y - 110]]


def with_texture(picture):
    """Where there is enough to see, away from the edges."""
    import cv2

    slope = np.hypot(cv2.Sobel(picture, cv2.CV_32F, 1, 0), cv2.Sobel(picture, cv2.CV_32F, 0, 1))
    enough = cv2.GaussianBlur(slope, (0, 0), 4) > 20
    enough[:24] = enough[-24:] = False
    enough[:, :24] = enough[:, -24:] = False
    assert enough.mean() > 0.2
    return enough


@pytest.mark.parametrize("pan", [(1, 0), (-3.5, 2.25), (8, -5), (0.5, 12)])
@pytest.mark.parametrize("seed", [0, 1])
def test_flow_of_a_pan_is_the_pan(pan, seed):
    before, after = grey(texture(seed), moved(0, 0)), grey(texture(seed), moved(*pan))
    off = np.abs(dense_flow(before, after) - pan).max(axis=2)[with_texture(before)]
    assert np.median(off) < 0.1
    assert np.quantile(off, 0.99) < 0.5


CAMERAS = {
    "pan": moved(6, -4),
    "slow pan": moved(0.75, 0.5),
    "zoom": [[1.04, 0, -83], [0, 1.04, -119]],
    "turn": [[0.9994, -0.035, -65], [0.035, 0.9994, -115]],
}


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("seed", [0, 1])
def test_warped_flow_is_without_the_camera(camera, seed):
    """What the camera does goes, all but a tenth; what an object does by itself stays."""
    still, view = np.float32([*moved(0, 0), [0, 0, 1]]), np.float32([*CAMERAS[camera], [0, 0, 1]])
    before, after = grey(texture(seed), still[:2]), grey(texture(seed), view[:2])
    thing = images(1, seed=3, height=60, width=60)[0][..., 0] // 2 + texture(2)[:60, :60, 0] // 2
    before[90:150, 120:180] = after[95:155, 129:189] = thing
    background = with_texture(before)
    background[70:180, 100:210] = False

    raw = np.hypot(*np.moveaxis(dense_flow(before, after), 2, 0))
    left = np.hypot(*np.moveaxis(warped_flow(before, after), 2, 0))
    assert left[background].mean() < 0.1 * raw[background].mean()

    homography = camera_motion(before, after)
    expected = view @ np.linalg.inv(still)
    corners = np.array([[0, 0, 1], [339, 0, 1], [0, 255, 1], [339, 255, 1]]).T
    points, wanted = homography @ corners, expected @ corners
    assert np.abs(points[:2] / points[2] - wanted[:2]).max() < 0.5

    centre = (slice(105, 135), slice(135, 165))
    own = np.array([9, 5]) - (expected @ [150, 120, 1] - [150, 120, 1])[:2]
    assert np.abs(np.median(warped_flow(before, after)[centre], axis=(0, 1)) - own).max() < 0.75


def test_a_camera_that_stands_still_or_sees_nothing():
    before = grey(texture(), moved(0, 0))
    assert np.abs(warped_flow(before, before)).max() < 0.05
    assert camera_motion(np.zeros_like(before), np.zeros_like(before)) is None
    assert not warped_flow(np.zeros_like(before), np.zeros_like(before)).any()
    other = images(1, height=256, width=340)[0][..., 0]
    assert camera_motion(before, other) is None


def test_flow_in_bytes():
    flow = np.array([[[-BOUND, BOUND], [0, 1], [-99, 99]]], dtype=np.float32)
    assert discretise(flow).tolist() == [[[0, 255], [128, 134], [0, 255]]]
    wanted = preprocessing("flow", height=112, width=112, short_side=128)
    picture = texture()[:256, :340]
    last = pushed(open_modality(wanted), [picture, picture, np.roll(picture, 9, axis=1)])[-1]
    assert last.shape == (112, 112, 4)  # x and y of both
    pixels = wanted.normalise(torch.from_numpy(last)) * BOUND
    scale = 128 / 256  # flow is that of the scaled picture
    assert pixels[:2].abs().max() < 0.1
    assert pixels[2].median() == pytest.approx(9 * scale, abs=0.2)
    assert pixels[3].abs().median() < 0.2


def test_flow_of_a_real_film():
    with av.open(str(shared("data", "clips", "stgcn_clean_and_jerk.mp4"))) as film:
        pictures = [frame.to_ndarray(format="rgb24") for _, frame in zip(range(8), film.decode(video=0), strict=False)]
    stage = open_modality(preprocessing("flow", stack=5, height=224, width=224, short_side=256))
    snippets = pushed(stage, pictures)
    assert [snippet is None for snippet in snippets] == [True] * 5 + [False] * 3
    assert snippets[-1].shape == (224, 224, 10)
    assert 0 < np.abs(snippets[-1].astype(int) - 128).max() < 127


def test_what_is_refused():
    with pytest.raises(ValueError, match="modality is 'depth'; expected 'rgb'"):
        preprocessing("depth")
    with pytest.raises(ValueError, match="stack is 257; expected 256 at most for rgb"):
        preprocessing("rgb", stack=257)
    with pytest.raises(ValueError, match="flow_method is 'farneback'; expected 'dis' or 'tvl1'"):
        preprocessing("flow", flow_method="farneback")
    with pytest.raises(ValueError, match="flow has no colours to turn round"):
        preprocessing("flow", order="bgr")
    with pytest.raises(ValueError, match="mean has 3 values; it has 1, or one for each of 10"):
        preprocessing("flow", stack=5, mean=(1, 2, 3))
    with pytest.raises(ValueError, match="takes features of another network"):
        open_modality(preprocessing("features", stack=1024))
    if not has_tvl1():
        with pytest.raises(ValueError, match="TVL1 needs pip install opencv-contrib-python"):
            open_modality(preprocessing("flow", flow_method="tvl1"))
