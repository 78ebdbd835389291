"""Decoded pictures: scaled in one step, they equal the stored preprocessing within a bound."""

import struct
import threading
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from helpers import write_video

from actionstream import watch
from actionstream.benchmarks.films import encode_film
from actionstream.models import read_card
from actionstream.models.locate import PACKAGED
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.video import Decoder, PictureMaker
from actionstream.sources import SAMPLE, open_source

BOUND = 1.5  # grey levels, in the mean over a picture
SQUEEZED = Preprocessing(height=64, width=64)
CUT = Preprocessing(height=112, width=112, short_side=128)


def natural(height, width, seed=0):
    """An image with structure of all sizes, and colours."""
    random = np.random.default_rng(seed)
    image = np.zeros((height, width, 3))
    for size in (4, 16, 64):
        coarse = random.integers(0, 256, (size, size, 3)).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(coarse, format="rgb24")
        image += frame.reformat(width=width, height=height, interpolation="BICUBIC").to_ndarray() / 3
    return image.clip(0, 255).astype(np.uint8)


def decoded(image, pixels="yuv420p"):
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixels)
    frame.time_base = Fraction(1, 30)
    return frame


@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "nv12"])
@pytest.mark.parametrize("wanted", [SQUEEZED, CUT, replace(SQUEEZED, width=96)], ids=["squeezed", "cut", "stretched"])
@pytest.mark.parametrize("size", [(480, 640), (1080, 1920), (288, 352), (640, 480)], ids=str)
def test_one_step_gives_what_the_preprocessing_gives(pixels, wanted, size):
    make = PictureMaker()
    for seed in range(2):  # the second picture finds the scaling context of the first
        frame = decoded(natural(*size, seed), pixels)
        direct = make.resized(frame, wanted)
        assert direct is not None
        expected = wanted.resize(make(frame).image())
        assert direct.shape == expected.shape
        assert np.abs(direct.astype(int) - expected).mean() < BOUND


@pytest.mark.parametrize(
    ("pixels", "wanted", "size"),
    [
        ("yuv420p", CUT, (240, 320)),  # the cut begins between two pixels of colour
        ("yuv420p", replace(SQUEEZED, height=96), (90, 320)),  # enlarged
        ("yuv420p", replace(SQUEEZED, height=2), (480, 640)),  # a long way down
        ("gray", SQUEEZED, (480, 640)),
        ("rgb24", SQUEEZED, (480, 640)),
        ("yuv420p10le", SQUEEZED, (480, 640)),
    ],
)
def test_other_pictures_are_resized_from_the_image(pixels, wanted, size):
    make = PictureMaker()
    frame = decoded(natural(*size), pixels)
    assert make.resized(frame, wanted) is None
    picture = make(frame)
    assert np.array_equal(picture.resized(wanted), wanted.resize(picture.image()))


def test_turned_pictures_are_resized_from_the_image(tmp_path):
    path = write_video(tmp_path / "a.mp4", [natural(128, 192)] * 3)
    one, whole = 1 << 16, 1 << 30
    as_it_is = struct.pack(">9i", one, 0, 0, 0, one, 0, 0, 0, whole)
    data = path.read_bytes()
    track = data.rindex(as_it_is)  # the matrix of the track comes after that of the film
    turned = struct.pack(">9i", 0, one, 0, -one, 0, 0, 128 * one, 0, whole)
    path.write_bytes(data[:track] + turned + data[track + len(turned) :])
    frame = next(iter(open_source(path)))
    assert frame.size == (192, 128)
    assert np.array_equal(SQUEEZED.resize(frame.picture), SQUEEZED.resize(frame.image))


def test_the_input_of_a_network_does_not_depend_on_who_asks_for_the_image():
    frame = decoded(natural(480, 640))
    picture = PictureMaker()(frame)
    before = picture.resized(SQUEEZED)
    assert picture.image() is picture.image()
    assert np.array_equal(picture.resized(SQUEEZED), before)


@pytest.mark.parametrize("model", ["motion", "motion-tsn"])
@pytest.mark.parametrize("size", [(640, 480), (1280, 720), (288, 288)], ids=str)
def test_probabilities_are_those_of_the_preprocessing(tmp_path, monkeypatch, model, size):
    """Of each checkpoint that is packaged, over a whole video, with the states that follow."""
    film = tmp_path / "film.mp4"
    encode_film(SAMPLE, film, width=size[0], height=size[1], num_frames=60)

    def probabilities():
        return np.array([each.probabilities for each in watch(film, model=model, runtime="torch", device="cpu")])

    direct = probabilities()
    monkeypatch.setattr(PictureMaker, "resized", lambda *_: None)
    stored = probabilities()
    assert np.abs(direct - stored).max() < 0.15  # of one snippet
    assert np.abs(direct - stored).mean() < 0.01


def test_threads_share_the_scaling_contexts(tmp_path):
    """As the thread of a feed and one that draws do."""
    path = write_video(tmp_path / "a.mp4", [natural(96, 128, seed) for seed in range(20)])
    make = PictureMaker()
    pictures = [make(each) for each in Decoder(str(path), name="a").pictures()]
    wanted = read_card(PACKAGED / "motion.safetensors").preprocessing
    expected = [(picture.resized(wanted), PictureMaker()(picture._decoded).image()) for picture in pictures]
    wrong = []

    def work():
        for picture, (small, image) in zip(pictures, expected, strict=True):
            again = make(picture._decoded)
            if not (np.array_equal(again.resized(wanted), small) and np.array_equal(again.image(), image)):
                wrong.append(picture)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
