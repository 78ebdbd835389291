"""Random access to a video: the picture at a place is what a player shows at place / rate seconds.

Places lie on an even grid in time. With a constant rate each picture has one place; with a variable rate a picture has
as many places as its duration needs. Where a picture does not decode, the one before it is shown. No more pictures are
decoded than needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from actionstream.models.video.decoder import LOOK_AHEAD, Decoder, increase
from actionstream.models.video.errors import SourceError
from actionstream.models.video.files import ANIMATED_SUFFIXES, passed_over, pictures_in
from actionstream.models.video.pictures import rate_of_folder, read_picture, read_pictures
from actionstream.models.video.upright import Converter

if TYPE_CHECKING:
    import av

MOST_RATE = 120.0  # places a second of a video of a variable rate
MOST_PLACES = 10**7  # four days at 30 a second
MOST_REPEATS = 100
"""The most times that `every_frame` gives each picture, on average, of a video of more than UNCHECKED_PLACES.

A small file can say that a picture is shown for a day.
"""
UNCHECKED_PLACES = 10_000


class VideoIndex(NamedTuple):
    """The grid and the time stamps of a video, found without decoding all of it.

    num_places    of the grid
    rate          places a second
    first_places  int64, the first place of each picture, in order; None where each picture has one place
    stamps        int64, the pts of each picture, which increase; None where they do not, and pictures must be counted
    remark        a warning about the video
    """

    num_places: int
    rate: float
    first_places: np.ndarray | None = None
    stamps: np.ndarray | None = None
    remark: str | None = None

    def numbers_at(self, places: Sequence[int]) -> np.ndarray:
        """The number of the picture at each place; a place after the last one has the last picture."""
        within = np.minimum(places, self.num_places - 1)
        if self.first_places is None:
            return within
        return np.searchsorted(self.first_places, within, side="right") - 1

    def place_of(self, number: int) -> int:
        """The first place at which a picture, or a later one, is shown; `num_places` where there is none."""
        if self.first_places is None:
            return min(number, self.num_places)
        return int(self.first_places[number]) if number < len(self.first_places) else self.num_places


@lru_cache(maxsize=4096)
def index_of(path: Path) -> VideoIndex:
    """The index of a video file, an animated picture, or a folder of pictures. SourceError where it cannot be read."""
    if path.is_dir():
        return VideoIndex(len(_pictures_of(path)), rate_of_folder(path), remark=passed_over(path))
    if not path.exists():
        raise SourceError(f"no file {path}")
    if path.suffix.lower() in ANIMATED_SUFFIXES:
        seconds = np.array([shown for _, shown in read_pictures(path)])
        return _grid(np.cumsum(seconds) - seconds, float(seconds.sum()), rate=1 / float(seconds[0]))
    decoder = Decoder(path, name=str(path))
    try:
        stamps, end, origin = _demuxed(decoder)
        base = float(decoder.track.time_base or 1)
        if origin is None or not increase(sorted(stamps, key=lambda stamp: (stamp is None, stamp))):
            index = VideoIndex(len(stamps), decoder.rate)
        else:
            decoder.begin_at(origin * base)
            known = np.array(sorted(stamp for stamp in stamps if stamp is not None and stamp >= origin), dtype=np.int64)
            index = _grid((known - origin) * base, (end - origin) * base, rate=decoder.rate)._replace(stamps=known)
        return index._replace(remark=decoder.cut_short(index.num_places / index.rate))
    finally:
        decoder.close()


def read_frames(
    path: Path,
    places: Sequence[int],
    *,
    shape: Callable[[np.ndarray], np.ndarray] | None = None,
    remarks: set[str] | None = None,
) -> list[np.ndarray]:
    """Pictures by their places, in the order asked for: RGB uint8 (height, width, 3), upright.

    A place after the last one gives the last picture. SourceError where nothing decodes.

    shape    reduces each picture when it is decoded, so that only one is in memory at its full size
    remarks  warnings about the video are added to it
    """
    index = index_of(path)
    wanted: list[int] = index.numbers_at(places).tolist()
    remarks = set() if remarks is None else remarks
    if index.remark:
        remarks.add(index.remark)
    pictures: Iterable[tuple[int, np.ndarray]]
    if path.is_dir():
        files = _pictures_of(path)
        pictures = ((number, _picture_shown(files, number, remarks)) for number in set(wanted))
    elif path.suffix.lower() in ANIMATED_SUFFIXES:
        pictures = ((number, image) for number, (image, _) in enumerate(read_pictures(path)) if number in wanted)
    else:
        pictures = _decode(path, index, sorted(set(wanted)), remarks)
    found = {number: shape(image) if shape else image for number, image in pictures}
    return [found[number] for number in wanted]


def every_frame(
    path: Path, *, most_repeats: int = MOST_REPEATS, remarks: set[str] | None = None
) -> Iterator[np.ndarray]:
    """The pictures at all places of a video, one after the other; see `read_frames`.

    most_repeats  SourceError where a video of more than UNCHECKED_PLACES has more places than this a picture
    """
    index = index_of(path)
    check_repeats(path, index, most_repeats)
    numbers: Iterable[int] = range(index.num_places)
    if index.first_places is not None:
        times_shown = np.diff(index.first_places, append=index.num_places).tolist()
        numbers = (number for number, times in enumerate(times_shown) for _ in range(times))
    remarks = set() if remarks is None else remarks
    if path.is_dir():
        files = _pictures_of(path)
        yield from (_picture_shown(files, number, remarks) for number in numbers)
        return
    if path.suffix.lower() in ANIMATED_SUFFIXES:
        pictures = enumerate(image for image, _ in read_pictures(path))
        count, image = next(pictures)
        for number in numbers:
            while count < number:
                count, image = next(pictures)
            yield image
        return
    convert = Converter()
    decoder = Decoder(path, name=str(path))
    last = None
    try:
        for _, picture in _shown(decoder, index, numbers):
            if picture is not last:
                image, last = convert(picture), picture
            yield image
    finally:
        decoder.close()
        remarks.update(filter(None, [*decoder.warnings, index.remark]))


def check_repeats(path: Path, index: VideoIndex, most: int = MOST_REPEATS) -> None:
    """Raise SourceError where a video has many more places than pictures."""
    num_pictures = index.num_places if index.first_places is None else len(index.first_places)
    if index.num_places > max(most * num_pictures, UNCHECKED_PLACES):
        raise SourceError(
            f"{path} has {num_pictures} pictures that are shown for {index.num_places / index.rate:.0f} s, which is "
            f"{index.num_places} frames at {index.rate:g} a second; expected {most} frames a picture or fewer; "
            "`actionstream frames --max-repeats` allows more"
        )


def _pictures_of(folder: Path) -> list[Path]:
    files = pictures_in(folder)
    if not files:
        raise SourceError(f"{folder} has no pictures in it")
    return files


def _picture_shown(files: list[Path], number: int, remarks: set[str]) -> np.ndarray:
    """The picture of a folder by its number; where it cannot be read, the nearest one before it, else after it."""
    for file in [*files[number::-1], *files[number + 1 :]]:
        try:
            return read_picture(file)
        except SourceError as error:
            remarks.add(f"{file.parent}: {error}")
            wrong = error
    raise SourceError(f"{files[0].parent} has no picture that can be read: {wrong}")


def _demuxed(decoder: Decoder) -> tuple[list[int | None], int, int | None]:
    """The pts of all packets that are shown, the end of the last picture, and the pts of the first that decodes.

    Packets that an edit list hides are not shown; packets before the first key frame do not decode. The pts of the
    first picture is None where the pts of the first pictures do not increase, and so are useless.
    """
    import av

    stamps: list[int | None] = []
    ends: list[int] = []
    first: list[int | None] = []  # pts of the first pictures
    try:
        for packet in decoder.container.demux(decoder.track):
            if len(first) < LOOK_AHEAD:
                first += [picture.pts for picture in decoder.decode(packet)]
            if packet.size and not packet.is_discard:
                stamps.append(packet.pts)
                if packet.pts is not None:
                    ends.append(packet.pts + (packet.duration or 0))
            decoder.hides |= packet.is_discard
    except av.FFmpegError:
        pass  # use what was read so far
    if not first:
        raise decoder.without_pictures()
    return stamps, max(ends, default=0), first[0] if decoder.damaged or increase(first[:LOOK_AHEAD]) else None


def _grid(times: np.ndarray, end_seconds: float, *, rate: float) -> VideoIndex:
    """The even grid for pictures that are shown from `times` on; the last one is shown until `end_seconds`."""
    count = len(times)
    steady = True
    if count > 1:
        step = (times[-1] - times[0]) / (count - 1)
        steady = bool(np.abs(times - times[0] - np.arange(count) * step).max() <= step / 2)
        if not steady:
            steps = np.diff(times)
            step = np.quantile(steps, 0.05)
            for _ in range(3):  # each interval is a whole number of steps; rounding errors average out
                step = steps.sum() / np.maximum(np.rint(steps / step), 1).sum()
        rate = 1 / float(step)
    last = end_seconds - times[-1]
    if steady and last < 1.5 / rate:
        return VideoIndex(count, rate)
    rate = min(rate, MOST_RATE)
    first_places = np.rint((times - times[0]) * rate)
    num_places = first_places[-1] + max(np.rint(last * rate), 1)
    if num_places > MOST_PLACES:
        raise SourceError(f"a video of {count} pictures that lasts {end_seconds:.0f} s cannot be read by place")
    return VideoIndex(int(num_places), rate, first_places.astype(np.int64))


def _decode(path: Path, index: VideoIndex, numbers: list[int], remarks: set[str]) -> Iterator[tuple[int, np.ndarray]]:
    """Pictures by increasing numbers, decoded from the key frame before the first one up to the last one."""
    convert = Converter()
    begins = [None] if index.stamps is None or numbers[0] == 0 else [index.stamps[numbers[0]], None]
    for begin in begins:
        decoder = Decoder(path, name=str(path))
        try:
            if begin is None or _seek(decoder, begin):
                yield from ((number, convert(picture)) for number, picture in _shown(decoder, index, numbers))
                return
        except _Missed:
            continue
        finally:
            decoder.close()
            if decoder.damaged:  # their number is not known: only a part of the file was read
                remarks.add(f"{path} has damaged packets, which were passed over")
            if decoder.too_large:
                remarks.add(f"{decoder.too_large_pictures()}, which were passed over")
    raise decoder.without_pictures()


class _Missed(Exception):
    """After a seek nothing decodes, or only pictures after the wanted one."""


def _seek(decoder: Decoder, stamp: int) -> bool:
    import av

    try:
        decoder.container.seek(int(stamp), stream=decoder.track)
    except av.FFmpegError:
        return False
    return True


def _shown(decoder: Decoder, index: VideoIndex, numbers: Iterable[int]) -> Iterator[tuple[int, av.VideoFrame]]:
    """For each of the increasing numbers the picture that is shown: its own, or the last one before that decodes."""
    wanted = iter(numbers)
    number = next(wanted)
    before: av.VideoFrame | None = None
    latest = -1
    with closing(decoder.pictures()) as pictures:
        for count, picture in enumerate(pictures):
            here = count
            if index.stamps is not None and picture.pts is not None:
                here = int(np.searchsorted(index.stamps, picture.pts, side="right")) - 1
            if here <= latest:  # where packets are damaged, a picture may come out in place of another
                continue
            latest = here
            if before is None and number < here and number > 0:
                raise _Missed
            while number <= here:
                yield number, picture if number == here or before is None else before
                following = next(wanted, None)
                if following is None:
                    return
                number = following
            before = picture
    if before is None:
        raise _Missed
    yield number, before
    for number in wanted:
        yield number, before
