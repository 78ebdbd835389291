"""Decoders of the hardware, as far as a machine without them shows."""

import io
from typing import get_args

import av
import numpy as np
import pytest
from av.codec.hwaccel import hwdevices_available
from helpers import images

from actionstream.models.common.choices import DecoderName
from actionstream.models.common.decoders import VARIABLE
from actionstream.models.video import Decoder, PictureMaker, SourceError
from actionstream.sources import SAMPLE

DEVICES = [name for name in get_args(DecoderName) if name != "processor"]


def decoded(file):
    decoder = Decoder(file, name="film", threads="AUTO")
    make = PictureMaker()
    images = [make(each).image() for each, _ in zip(decoder.pictures(), range(5), strict=False)]
    accelerated = decoder._context.is_hwaccel
    return np.stack(images), accelerated, decoder.warnings


@pytest.mark.parametrize("device", DEVICES)
def test_the_processor_decodes_where_the_device_cannot(device, monkeypatch):
    expected, accelerated, warnings = decoded(str(SAMPLE))
    assert (accelerated, warnings) == (False, [])
    monkeypatch.setenv(VARIABLE, device)
    images, accelerated, warnings = decoded(str(SAMPLE))
    if accelerated:  # on a machine that has it
        assert warnings == []
        assert np.abs(images.astype(int) - expected).mean() < 2
        return
    assert np.array_equal(images, expected)
    (warning,) = warnings
    assert warning.startswith(f"film: the processor decodes it, not {device}: ")


def test_a_pipe_is_read_once(monkeypatch):
    """What a device had read from it before it failed would be gone."""
    expected, _, _ = decoded(str(SAMPLE))
    monkeypatch.setenv(VARIABLE, hwdevices_available()[0])
    images, accelerated, warnings = decoded(io.BytesIO(SAMPLE.read_bytes()))
    assert (accelerated, warnings) == (False, [])
    assert np.array_equal(images, expected)


def test_a_broken_file_is_told_as_such(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, "cuda")
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(SourceError, match="film is not a video that can be read: invalid data"):
        Decoder(str(path), name="film")


def test_an_unknown_decoder_is_refused(monkeypatch):
    monkeypatch.setenv(VARIABLE, "abacus")
    with pytest.raises(ValueError, match="ACTIONSTREAM_DECODER is 'abacus'; expected processor, cuda, qsv"):
        Decoder(str(SAMPLE), name="film")


class Device:
    """A device that fails at a packet, in place of one that cannot be had here."""

    is_hwaccel = True

    def __init__(self, context, fails_at, error):
        self._context, self._left, self._error = context, fails_at, error

    def __getattr__(self, name):
        return getattr(self._context, name)

    def decode(self, packet):
        self._left -= 1
        if self._left < 0:
            raise self._error
        return self._context.decode(packet)


@pytest.fixture
def film(tmp_path):
    """40 frames with a key frame every ten, in the order of their times."""
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"g": "10", "bf": "0", "sc_threshold": "0"})
        stream.width, stream.height = 64, 48
        for image in images(40):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(("fails_at", "first"), [(0, 0), (13, 20), (20, 20), (35, None)])
def test_the_processor_goes_on_where_the_device_fails(film, fails_at, first, monkeypatch):
    """From the next key frame on; what lies between is counted."""
    expected = [picture.pts for picture in Decoder(str(film), name="film", threads="NONE").pictures()]
    monkeypatch.setenv(VARIABLE, "cuda")
    decoder = Decoder(str(film), name="film", threads="NONE")
    decoder.warnings.clear()
    decoder._context = Device(decoder.track.codec_context, fails_at, av.error.ExternalError(-542398533, "gone"))
    found = [picture.pts for picture in decoder.pictures()]
    assert found == expected[:fails_at] + ([] if first is None else expected[first:])
    lost = (40 if first is None else first) - fails_at
    assert decoder.damaged == lost
    said = [f"film has {lost} damaged packets, which were passed over"] if lost else []
    assert decoder.warnings == ["film: the processor decodes it, not cuda: gone", *said]


def test_a_damaged_packet_is_no_failure_of_the_device(film, monkeypatch):
    monkeypatch.setenv(VARIABLE, "cuda")
    decoder = Decoder(str(film), name="film", threads="NONE")
    decoder._context = device = Device(decoder.track.codec_context, 3, av.error.InvalidDataError(-1094995529, "bad"))
    assert len(list(decoder.pictures())) == 3
    assert decoder._context is device
