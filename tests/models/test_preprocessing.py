"""Preprocessing: geometry, numbers, and what is refused."""

import math
import sys

import numpy as np
import pytest
import torch
from helpers import images
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

from actionstream.models import Preprocessing
from actionstream.models.preprocessing import halve
from actionstream.sources import SAMPLE, open_source


def test_squeezed_into_the_size():
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, 40:] = 200
    resized = Preprocessing(height=20, width=20).resize(image)
    assert resized.shape == (20, 20, 3)
    assert resized.dtype == np.uint8
    assert (resized[:, :9] == 0).all()
    assert (resized[:, 11:] == 200).all()


def test_centre_crop_equals_torchvisions():
    image = images(1, height=90, width=160)[0]
    ours = Preprocessing(height=32, width=32, short_side=36).resize(image)
    transform = v2.Compose([v2.Resize(36, antialias=True), v2.CenterCrop(32)])
    theirs = transform(torch.from_numpy(image).movedim(-1, 0)).movedim(0, -1).numpy()
    assert np.abs(ours.astype(int) - theirs).max() <= 2


@pytest.mark.parametrize("lines", [232, 450, 464, 900])
@pytest.mark.parametrize("side", [112, 224])
@pytest.mark.parametrize("upright", [False, True])
def test_the_whole_short_side_of_a_picture(lines, side, upright):
    """What is cut out reaches from edge to edge, and rounding takes it no further."""
    size = (lines + 200, lines) if upright else (lines, lines + 200)
    wanted = Preprocessing(height=side, width=side, short_side=side)
    assert wanted.resize(np.zeros((*size, 3), np.uint8)).shape == (side, side, 3)


sides = st.integers(1, 1200) | st.sampled_from([1, 2, 232, 450, 464, 900, 1080])


@settings(max_examples=150, deadline=None)
@given(rows=sides, columns=sides, height=st.integers(1, 300), width=st.integers(1, 300), more=st.integers(0, 60))
def test_every_size_is_brought_to_that_of_the_network(rows, columns, height, width, more):
    """Of a slope along each side, `resize` and `crop(scale())` show the same part: the middle."""
    image = np.zeros((rows, columns, 3), np.uint8)
    image[..., 0] = np.linspace(0, 255, rows, dtype=np.uint8)[:, None]
    image[..., 1] = np.linspace(0, 255, columns, dtype=np.uint8)
    for short_side in (None, max(height, width) + more):
        wanted = Preprocessing(height=height, width=width, short_side=short_side)
        found, around = wanted.resize(image), wanted.scale(image)
        part = wanted.crop(around)
        assert found.shape == part.shape == (height, width, 3)
        slope = np.array([255 / around.shape[0], 255 / around.shape[1], 0]).clip(0, 255)
        if min(rows, columns) > 1 and max(rows, columns) <= 8 * min(rows, columns):
            off = np.abs(found.astype(int) - part).reshape(-1, 3).mean(axis=0)
            assert (off <= slope + 2).all(), off


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (2, 60000), (3, 1)])
@pytest.mark.parametrize("short_side", [None, 16, 20])
def test_pictures_that_are_all_length(size, short_side):
    """Nothing is made of them that would not fit into memory."""
    image = np.full((*size, 3), 77, np.uint8)
    wanted = Preprocessing(height=16, width=16, short_side=short_side)
    assert (wanted.resize(image) == 77).all()
    around = wanted.scale(image)
    assert around.size <= 3 * 8 * 20**2
    assert wanted.crop(around).shape == (16, 16, 3)


@pytest.mark.parametrize("short_side", [None, 40])
@pytest.mark.parametrize("size", [(480, 640), (1080, 1920), (250, 482), (160, 1000)])
def test_what_is_much_larger_is_halved_first(size, short_side, monkeypatch):
    picture = Image.fromarray(next(iter(open_source(SAMPLE))).image)
    image = np.asarray(picture.resize(size[::-1], Image.Resampling.BICUBIC))
    wanted = Preprocessing(height=36, width=36, short_side=short_side)
    found = wanted.resize(image)
    monkeypatch.setattr("actionstream.models.preprocessing.HALVED_FROM", math.inf)
    exactly = wanted.resize(image)
    assert not np.array_equal(found, exactly)
    off = np.abs(found.astype(int) - exactly)
    assert off.mean() < 0.6
    assert off.max() <= 8


def test_pictures_are_halved_alike_with_opencv_and_without(monkeypatch):
    image = np.random.default_rng(0).integers(0, 256, (120, 242, 3), np.uint8)
    found = halve(image)
    four = image.astype(int).reshape(60, 2, 121, 2, 3).sum((1, 3))
    assert np.array_equal(found, (four + 2) // 4)
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert np.array_equal(halve(image), found)


def test_same_size_is_left_alone():
    image = images(1, height=24, width=32)[0]
    assert np.array_equal(Preprocessing(height=24, width=32).resize(image), image)


def test_normalised_values():
    preprocessing = Preprocessing(height=2, width=2, mean=(128.0,), std=(64.0,))
    snippet = np.full((1, 2, 2, 3), 192, np.uint8)
    out = preprocessing.normalise(torch.from_numpy(snippet))
    assert out.shape == (1, 3, 2, 2)
    assert (out == 1.0).all()
    per_channel = Preprocessing(height=2, width=2, mean=(0, 0, 92), std=(1, 2, 50))
    assert per_channel.normalise(torch.from_numpy(snippet))[0, :, 0, 0].tolist() == [192, 96, 2]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4), np.uint8), r"an RGB array, uint8 \(height, width, 3\); this is uint8 \(4, 4\)"),
        (np.zeros((4, 4, 3)), "this is float64"),
        (np.zeros((0, 4, 3), np.uint8), "4 x 0 pixels has nothing in it"),
        ("picture.png", "this is str"),
    ],
)
def test_refuses_what_is_no_image(image, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing(height=4, width=4).resize(image)


def test_channels_in_the_order_of_the_network():
    pixels = torch.tensor([[[[10, 20, 30]]]], dtype=torch.uint8)
    settings = {"height": 1, "width": 1, "mean": (1.0, 2.0, 3.0), "std": (1.0,)}
    assert Preprocessing(**settings).normalise(pixels).flatten().tolist() == [9, 18, 27]
    assert Preprocessing(**settings, order="bgr").normalise(pixels).flatten().tolist() == [29, 18, 7]
    with pytest.raises(ValueError, match="order is 'gbr'"):
        Preprocessing(height=1, width=1, order="gbr")


def test_refuses_impossible_sizes():
    with pytest.raises(ValueError, match="height is 0; expected 1 or more"):
        Preprocessing(height=0, width=4)
    with pytest.raises(ValueError, match="short_side 10 is less"):
        Preprocessing(height=32, width=32, short_side=10)
