"""Decoders of the hardware, as far as a machine without them shows."""

import io
from typing import get_args

import numpy as np
import pytest
from av.codec.hwaccel import hwdevices_available

from actionstream.models.common.choices import DecoderName
from actionstream.models.common.decoders import VARIABLE
from actionstream.models.video import Decoder, PictureMaker, SourceError
from actionstream.sources import SAMPLE

DEVICES = [name for name in get_args(DecoderName) if name != "processor"]


def decoded(file):
    decoder = Decoder(file, name="film", threads="AUTO")
    make = PictureMaker()
    images = [make(each).image() for each, _ in zip(decoder.pictures(), range(5), strict=False)]
    accelerated = decoder.track.codec_context.is_hwaccel
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
