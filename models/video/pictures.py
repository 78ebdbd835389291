"""Picture files: one picture, the frames of an animation, the pages of a TIFF."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from actionstream.models.common.errors import ActionstreamError, is_out_of_memory
from actionstream.models.common.limits import SETTING, max_pixels
from actionstream.models.video.containers import check_file
from actionstream.models.video.errors import SourceError, reason
from actionstream.models.video.limits import check_size
from actionstream.models.video.metadata import claims_too_much, file_claims_too_much

FOLDER_RATE = 30.0
"""The default rate, in pictures a second."""
RATES = 1e-5, 1e5
"""The least and the most pictures a second: one in a day, and what the fastest cameras take."""
RATE_FILE = "rate.txt"
"""The file in a folder of pictures with their rate; `actionstream frames` writes it."""
FORMATS = ("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
"""Accepted formats, whatever the suffix is; one of Pillow's other formats runs a program (Ghostscript)."""
MAX_EXIF_TEXT = 20_000
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transpose that makes a picture upright, by its EXIF orientation."""
# the limit here decides and speaks (`check_size`); appended, so that the filters of a program come before
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning, append=True)
WRONG = (
    *(Image.DecompressionBombError, UnidentifiedImageError, OSError, EOFError, SyntaxError, ValueError),
    *(ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, struct.error, zlib.error),
)
"""What Pillow raises for a file that is no picture, or is corrupt: its readers trust what the file says."""


def read_picture(path: Path) -> np.ndarray:
    """The (first) picture of a file: RGB uint8 (height, width, 3), upright; SourceError where there is none."""
    return next(read_pictures(path))[0]


def read_pictures(path: Path) -> Iterator[tuple[np.ndarray, float]]:
    """All pictures of a file, and their durations in seconds: 1 / FOLDER_RATE where the file has none.

    SourceError where one cannot be read; the message says which and why.
    """
    number = 0
    try:
        with open_picture(path) as opened:
            has_default = getattr(opened, "default_image", False)  # a still for old viewers, not a frame
            for number in range(1 if has_default else 0, getattr(opened, "n_frames", 1)):
                opened.seek(number)
                check_size(path.name, *opened.size)
                yield to_rgb(_upright(opened)), float(opened.info.get("duration") or 1000 / FOLDER_RATE) / 1000
    except SourceError:
        raise
    except WRONG as error:
        if is_out_of_memory(error):
            raise
        why = "it is none, or broken" if isinstance(error, UnidentifiedImageError) else reason(error)
        which = f"picture {number + 1} of {path.name}" if number else path.name
        raise SourceError(f"{which} is not an image that can be read: {why}") from error


def open_picture(path: Path) -> Image.Image:
    """Open a picture by its content, without decoding it. SourceError where it is too large, or is no file."""
    check_file(path)
    if file_claims_too_much(path):
        raise SourceError(f"{path.name} is not an image that can be read: its metadata claims more than the file has")
    try:
        opened = Image.open(path)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise SourceError(f"{path.name} has pictures of more than {max_pixels()} pixels ({SETTING})") from error
    try:
        if opened.format not in FORMATS:
            raise SourceError(f"{path.name} is of the format {opened.format}; expected one of {', '.join(FORMATS)}")
        check_size(path.name, *opened.size)
    except SourceError:
        opened.close()
        raise
    return opened


def _upright(opened: Image.Image) -> Image.Image:
    exif = opened.info.get("exif", b"").removeprefix(b"Exif\0\0")
    as_text = opened.info.get("Raw profile type exif", "")  # as old programs write it
    if claims_too_much(BytesIO(exif), len(exif)) or len(as_text) > MAX_EXIF_TEXT:
        return opened
    turn = TURNS.get(opened.getexif().get(0x0112, 1))
    return opened if turn is None else opened.transpose(turn)


def to_rgb(picture: Image.Image) -> np.ndarray:
    """RGB uint8 (height, width, 3). Pictures of 16 bits are scaled from 0..65535; ValueError for other values."""
    if not picture.mode.startswith(("I", "F")):
        return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))
    values = np.asarray(picture)
    if picture.mode == "F" or values.min(initial=0) < 0 or values.max(initial=0) > 65535:
        raise ActionstreamError(
            f"it has {values.dtype} from {values.min():g} to {values.max():g}; save it with 16 bits"
        )
    grey = np.rint(values.astype(np.float32) / 257).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def rate_of_folder(folder: Path) -> float:
    """Pictures a second of a folder, from its rate.txt, else FOLDER_RATE. SourceError where that is no valid rate."""
    file = folder / RATE_FILE
    if not file.is_file():
        return FOLDER_RATE
    with file.open("rb") as opened:
        text = opened.read(100)
    try:
        return checked_rate(float(text.decode("utf-8-sig")))
    except ValueError as error:
        raise SourceError(f"{file} says no number of frames a second from {RATES[0]:g} to {RATES[1]:g}") from error


def checked_rate(rate: float) -> float:
    """`rate`, in pictures a second; SourceError where it is outside RATES."""
    if not RATES[0] <= rate <= RATES[1]:
        raise SourceError(f"the rate of images is {rate:g} a second; expected one from {RATES[0]:g} to {RATES[1]:g}")
    return rate
