"""Regions: crops in whole pixels, and polygons that are grey outside."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from pydantic import ValidationError

from actionstream.serve.polygons import crosses_itself
from actionstream.serve.regions import GREY, Crop
from actionstream.serve.settings import Region

IMAGE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
share = st.floats(0, 1)


def region(value):
    return Region.model_validate(value)


def test_a_box_is_cut_out():
    box = region([0.25, 0.5, 0.75, 1])
    assert box.bounds == (0.25, 0.5, 0.75, 1)
    assert np.array_equal(Crop(box)(IMAGE), IMAGE[24:48, 16:48])
    assert np.array_equal(Crop(region({"box": [0, 0, 1, 1]}))(IMAGE), IMAGE)


def test_a_triangle_is_grey_outside():
    """Against Pillow's polygon, except on the sides."""
    triangle = region([[0, 0], [1, 0], [0, 1]])
    assert triangle.bounds == (0, 0, 1, 1)
    large = np.full((200, 200, 3), 10, np.uint8)
    crop = Crop(triangle)(large)
    assert set(np.unique(crop)) == {10, GREY}
    assert large.max() == 10
    drawn = Image.new("L", (200, 200))
    ImageDraw.Draw(drawn).polygon([(0, 0), (199, 0), (0, 199)], fill=1)
    differ = (crop[..., 0] == 10) != np.asarray(drawn, bool)
    assert differ.mean() < 0.01
    assert (crop[0, 198] == 10).all()
    assert (crop[198, 198] == GREY).all()


def test_a_polygon_is_cropped_to_its_bounds():
    diamond = region({"polygon": [[0.5, 0.25], [0.75, 0.5], [0.5, 0.75], [0.25, 0.5]]})
    crop = Crop(diamond)(IMAGE)
    assert crop.shape == (24, 32, 3)
    inside = (crop == IMAGE[12:36, 16:48]).all(axis=2)
    assert inside[12, 16]
    assert (crop[0, 0] == GREY).all()
    assert (crop[~inside] == GREY).all()
    assert abs(inside.mean() - 0.5) < 0.05


def test_a_polygon_with_a_bay():
    """The bay between its arms is outside."""
    crop = Crop(region([[0, 0], [1, 0], [1, 1], [0.6, 1], [0.6, 0.5], [0.4, 0.5], [0.4, 1], [0, 1]]))
    image = np.zeros((20, 20, 3), np.uint8)
    grey = crop(image)[..., 0] == GREY
    expected = np.zeros((20, 20), bool)
    expected[10:, 8:12] = True
    assert np.array_equal(grey, expected)


def test_pictures_of_another_size_get_a_mask_of_their_own():
    crop = Crop(region([[0, 0], [1, 0], [0, 1]]))
    for size in (20, 40, 20):
        image = np.zeros((size, size, 3), np.uint8)
        grey = crop(image)[..., 0] == GREY
        assert np.array_equal(grey, np.add.outer(np.arange(size), np.arange(size)) >= size - 1)


@settings(max_examples=200, deadline=None)
@given(share, share, share, share, st.integers(1, 50), st.integers(1, 50))
def test_a_crop_has_a_pixel_at_least(x1, y1, x2, y2, height, width):
    (left, right), (top, bottom) = sorted((x1, x2)), sorted((y1, y2))
    assume(left < right and top < bottom)
    image = np.arange(height * width * 3, dtype=np.int64).reshape(height, width, 3)
    crop = Crop(region([left, top, right, bottom]))(image)
    assert crop.size
    assert np.isin(crop, image).all()
    assert abs(crop.shape[1] - (right - left) * width) <= 1
    assert abs(crop.shape[0] - (bottom - top) * height) <= 1
    if x1 != x2 and y1 != y2:
        polygon = Crop(region([[left, top], [right, top], [right, bottom], [left, bottom]]))(image)
        assert polygon.shape == crop.shape


@settings(max_examples=200, deadline=None)
@given(st.integers(3, 12), st.integers(0, 2**32 - 1))
def test_polygons_around_a_point_do_not_cross(count, seed):
    """Until two corners change places."""
    random = np.random.default_rng(seed)
    angles = np.arange(count) * 2 * np.pi / count + random.uniform(0, 0.9 * 2 * np.pi / count, count)
    radii = random.uniform(0.1, 0.5, count)
    corners = [(0.5 + r * np.cos(a), 0.5 + r * np.sin(a)) for r, a in zip(radii, angles, strict=True)]
    assume(max(np.diff([*angles, angles[0] + 2 * np.pi])) < np.pi)  # the point is inside
    assert not crosses_itself(corners)
    assert not crosses_itself(corners[::-1])
    round_ = [(0.5 + 0.5 * np.cos(a), 0.5 + 0.5 * np.sin(a)) for a in angles]
    if count > 3:
        round_[0], round_[1] = round_[1], round_[0]
        assert crosses_itself(round_)


WRONG = {
    "outside": ([0, 0, 1.1, 1], "0 to 1"),
    "not a number": ([0, 0, float("nan"), 1], "finite number"),
    "true": ([0, 0, True, 1], "number"),
    "left is right": ([0.5, 0, 0.4, 1], "left < right"),
    "flat": ([0, 0.5, 1, 0.5], "top < bottom"),
    "three numbers": ([0, 0, 1], r"\[left, top, right, bottom\]"),
    "empty": ([], r"\[left, top, right, bottom\]"),
    "two points": ([[0, 0], [1, 1]], "3 to 100 points"),
    "too many points": ([[n / 200, (n % 2) / 2] for n in range(101)], "3 to 100 points"),
    "point of three": ([[0, 0], [1, 0], [1, 1, 1]], r"\[x, y\]"),
    "point outside": ([[0, 0], [1, 0], [1, -0.1]], "0 to 1"),
    "on a line": ([[0, 0], [0.5, 0.5], [1, 1]], "cross or touch"),
    "eight": ([[0, 0], [1, 1], [1, 0], [0, 1]], "cross or touch"),
    "spike": ([[0, 0], [1, 0], [0.5, 0], [0.5, 1]], "cross or touch"),
    "touches": ([[0, 0], [1, 0], [1, 1], [0.5, 0], [0, 1]], "cross or touch"),
    "point twice": ([[0, 0], [1, 0], [1, 1], [0, 0]], "each point once"),
    "both": ({"box": [0, 0, 1, 1], "polygon": [[0, 0], [1, 0], [1, 1]]}, "is no region"),
    "neither": ({}, "is no region"),
    "text": ("all", "dictionary"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_regions(name):
    value, words = WRONG[name]
    with pytest.raises(ValidationError, match=words):
        region(value)
