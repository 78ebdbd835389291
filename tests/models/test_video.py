"""One reader: what a player shows, live, by place, and one after the other."""

from itertools import pairwise
from types import SimpleNamespace

import av
import numpy as np
import pytest
from helpers import write_video
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odd_videos import ORIENTATIONS, damage, encode, orient, seen_through, show_only, trim
from PIL import Image

from actionstream import open_source
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.training.datasets import Clip
from actionstream.models.training.reading import stretch_of
from actionstream.models.training.snippets import read_snippets
from actionstream.models.video import SourceError, VideoIndex, access, every_frame, index_of, is_video, read_frames
from actionstream.sources import SAMPLE

EXACT = {"crf": "1", "preset": "veryfast"}


def numbered(count, height=48, width=64):
    """Pictures whose brightness says which they are."""
    return [np.full((height, width, 3), 6 * n + 3, np.uint8) for n in range(count)]


def numbers(pictures):
    return [int(picture.mean()) // 6 for picture in pictures]


def corners(height=48, width=64):
    """A picture that says which way is up: each quarter has another colour."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = 255, 0, 0
    picture[: height // 2, width // 2 :] = 0, 255, 0
    picture[height // 2 :, : width // 2] = 0, 0, 255
    return picture


def all_ways(path):
    """The frames of a video as each way to read gives them."""
    places = range(index_of(path).num_places)
    return {
        "live": [frame.image for frame in open_source(path)],
        "by place": read_frames(path, places),
        "one after the other": list(every_frame(path)),
    }


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_pictures_are_upright(tmp_path, orientation):
    video = encode(tmp_path / "phone.mp4", [seen_through(corners(), orientation)] * 3, **EXACT)
    for way, frames in all_ways(orient(video, orientation)).items():
        assert len(frames) == 3, way
        assert np.abs(frames[1].astype(int) - corners()).mean() < 12, way


@pytest.mark.parametrize("number", range(1, 9))
def test_photographs_are_upright(tmp_path, number):
    """EXIF orientation, as phones write it."""
    how = {2: [0], 3: [3], 4: [1], 5: [5], 6: [2], 7: [6], 8: [4]}  # Pillow's names of what undoes it
    undone = Image.fromarray(corners())
    for step in how.get(number, []):
        undone = undone.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = number
    (tmp_path / "clip").mkdir()
    for name in ("1.png", "2.png"):
        undone.save(tmp_path / "clip" / name, exif=exif)
    for way, frames in all_ways(tmp_path / "clip").items():
        assert np.array_equal(frames[1], corners()), way


def test_what_an_edit_list_hides_is_not_there(tmp_path):
    long = encode(tmp_path / "long.mp4", numbered(40), g="100", **EXACT)
    video = trim(long, tmp_path / "short.mp4", hidden=25)
    assert len(stretch_of(Clip(video, ()))) == 15
    for way, frames in all_ways(video).items():
        assert numbers(frames) == list(range(25, 40)), way
    assert numbers(read_frames(video, [7])) == [32]


def test_what_an_edit_list_cuts_off_the_end_is_not_there(tmp_path):
    video = show_only(encode(tmp_path / "clip.mp4", numbered(40), g="100", **EXACT), seconds=15 / 30)
    assert len(stretch_of(Clip(video, ()))) == 15
    for way, frames in all_ways(video).items():
        assert numbers(frames) == list(range(15)), way


@pytest.mark.parametrize("broken", [[13], [12], [3, 4, 20], [0]], ids=str)
def test_damaged_packets_are_passed_over_and_said(tmp_path, broken):
    video = damage(encode(tmp_path / "clip.mp4", numbered(30), g="6", bf="0", **EXACT), *broken)
    source, remarks = open_source(video), set()
    live = {round(frame.time_seconds * 30): number for frame, number in _with_numbers(source)}
    assert source.warnings == [
        f"clip.mp4 has {len(broken)} damaged packet{'s'[: len(broken) - 1]}, which "
        f"{'was' if len(broken) == 1 else 'were'} passed over"
    ]
    if broken == [0]:  # the clock begins with the first picture that there is
        assert len(live) < 30
        assert live[0] == min(live.values())
        return
    assert len(live) >= 30 - 6 * len(broken)  # without a key frame those that follow it are lost, too
    shown = read_frames(video, range(30), remarks=remarks)
    assert remarks == {f"{video} has damaged packets, which were passed over"}
    assert numbers(shown) == numbers(every_frame(video))
    for place, number in live.items():
        assert numbers(shown)[place] == number  # what is there is where it belongs
    for place in set(range(30)) - live.keys():
        assert numbers(shown)[place] == numbers(shown)[place - 1]  # and stands for what is not


def _with_numbers(source):
    return [(frame, numbers([frame.image])[0]) for frame in source]


def test_a_last_picture_that_is_held(tmp_path):
    video = encode(tmp_path / "held.mp4", numbered(10), bf="0", held_seconds=2, **EXACT)
    source = open_source(video)
    assert numbers(frame.image for frame in source) == list(range(10))
    assert source.seconds == pytest.approx(9 / 30 + 2, abs=0.02)
    assert len(stretch_of(Clip(video, ()))) == 9 + 60
    assert numbers(read_frames(video, [0, 9, 40, 68])) == [0, 9, 9, 9]
    assert numbers(every_frame(video)) == [*range(10), *[9] * 59]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_variable_rates_are_read_by_time(tmp_path, suffix):
    """A place is a time, wherever many pictures are shown and wherever few."""
    times = [0, 1, 2, 3, 13, 14, 15, 30, 31, 32]  # in thirtieths
    video = encode(tmp_path / f"clip{suffix}", numbered(10), times=[time / 30 for time in times], bf="0", **EXACT)
    index = index_of(video)
    assert index.rate == pytest.approx(30, rel=1e-3)
    assert index.num_places == 33
    expected = [max(n for n, time in enumerate(times) if time <= place) for place in range(33)]
    assert numbers(read_frames(video, range(33))) == expected
    assert numbers(every_frame(video)) == expected
    assert numbers(read_frames(video, [20])) == [6]
    for frame in open_source(video):
        assert numbers([frame.image])[0] == expected[round(frame.time_seconds * 30)]
    assert [len(stretch_of(Clip(video, (), frames=frames))) for frames in [(0, 4), (4, 7), (0, 10)]] == [13, 17, 33]


def test_a_dropped_frame_does_not_move_the_others(tmp_path):
    kept = [n for n in range(40) if n not in (11, 25, 26)]
    video = encode(tmp_path / "clip.mp4", [numbered(40)[n] for n in kept], times=[n / 30 for n in kept], **EXACT)
    assert index_of(video).num_places == 40
    assert numbers(read_frames(video, [10, 11, 12, 27, 39])) == [10, 10, 12, 27, 39]


CONTAINERS = {
    "clip.mp4": ("libx264", {"g": "12"}),
    "clip.mov": ("mjpeg", {}),
    "clip.mkv": ("libx264", {"g": "12"}),
    "clip.webm": ("libvpx", {"g": "12", "deadline": "realtime", "b": "4M"}),
    "clip.avi": ("mpeg4", {"g": "12", "b": "4M"}),
    "clip.ts": ("libx264", {"g": "12"}),
    "clip.mpg": ("mpeg2video", {"g": "12", "b": "4M"}),
    "clip.flv": ("flv", {"g": "12", "b": "4M"}),
    "clip.h264": ("libx264", {"g": "12"}),
}


@pytest.fixture(scope="module")
def containers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("containers")
    pixels = {"mjpeg": "yuvj420p"}
    return {
        name: encode(folder / name, numbered(40), codec=codec, pixels=pixels.get(codec, "yuv420p"), **options)
        for name, (codec, options) in CONTAINERS.items()
    }


@pytest.mark.parametrize("name", CONTAINERS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.integers(0, 45), min_size=1, max_size=6))
def test_random_access_is_reading_one_after_the_other(containers, name, places):
    video = containers[name]
    assert is_video(video)
    whole = list(every_frame(video))
    assert len(whole) == 40
    for place, frame in zip(places, read_frames(video, places), strict=True):
        assert np.array_equal(frame, whole[min(place, 39)])
    live = [frame.image for frame in open_source(video)]
    assert all(np.array_equal(one, other) for one, other in zip(live, whole, strict=True))


def test_no_more_is_decoded_than_is_needed(tmp_path, monkeypatch):
    from actionstream.models.video import decoder

    video = encode(tmp_path / "clip.mp4", numbered(40) * 5, g="20")
    index_of(video)
    decoded = []
    inner = decoder.Decoder.pictures
    monkeypatch.setattr(
        decoder.Decoder, "pictures", lambda self: (decoded.append(picture) or picture for picture in inner(self))
    )
    read_frames(video, [150, 155])
    assert len(decoded) < 25


def test_the_track_that_is_marked_is_shown(tmp_path):
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=30) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        streams[0].disposition = av.stream.Disposition.dub
        streams[1].disposition = av.stream.Disposition.default
        for n in range(5):
            for stream, number in zip(streams, (n, 20 + n), strict=True):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 6 * number + 3, np.uint8), format="rgb24")
                frame.pts = n
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    for way, frames in all_ways(path).items():
        assert numbers(frames) == [20, 21, 22, 23, 24], way


def slope(height, width):
    """A picture that says where its middle is: grey grows to the right and down."""
    grey = np.add.outer(np.linspace(0, 100, height), np.linspace(0, 155, width))
    return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)


def test_sizes_that_change(tmp_path):
    """Pictures of one clip get one size; what the network sees is the middle, as live."""
    wide = encode(tmp_path / "a.ts", [slope(48, 80)] * 6)
    high = encode(tmp_path / "b.ts", [slope(80, 48)] * 6, times=[(6 + n) / 30 for n in range(6)])
    video = tmp_path / "turned.ts"
    video.write_bytes(wide.read_bytes() + high.read_bytes())
    assert [frame.image.shape[:2] for frame in open_source(video)] == [(48, 80)] * 6 + [(80, 48)] * 6
    places = np.array([[4], [5], [6], [7]])
    for short_side in (None, 40):
        wanted = Preprocessing(height=32, width=32, short_side=short_side)
        as_live = read_snippets(video, places, wanted)
        around = read_snippets(video, places, wanted, whole=True)
        assert min(around.shape[1:3]) >= 32
        middles = np.stack([wanted.crop(snippet) for snippet in around])
        assert np.abs(middles.astype(int) - as_live).max() <= 5  # a pixel of the slope
    for modality, stack in (("flow", 2), ("rgb-difference", 2)):
        wanted = Preprocessing(height=32, width=32, short_side=40, modality=modality, stack=stack, mean=(0,), std=(1,))
        assert read_snippets(video, np.array([[4, 5, 6], [5, 6, 7]]), wanted).shape[:3] == (2, 32, 32)


def save_16_bits(path, values):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(values).save(path)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_16_bits_are_scaled(tmp_path, suffix):
    ramp = np.linspace(0, 65535, 48 * 64).reshape(48, 64).astype(np.uint16)
    for name in ("1", "2"):
        save_16_bits(tmp_path / "clip" / f"{name}{suffix}", ramp)
    for way, frames in all_ways(tmp_path / "clip").items():
        assert np.array_equal(frames[0], np.repeat(np.rint(ramp / 257)[..., None], 3, axis=2)), way


def test_pixels_that_nobody_knows_are_refused(tmp_path):
    for name, values in (("floats", np.ones((4, 4), np.float32)), ("large", np.full((4, 4), 70000, np.int32))):
        save_16_bits(tmp_path / name / "1.tif", values)
        with pytest.raises(
            SourceError, match=r"1.tif is not an image that can be read: it has .*; save it with 16 bits"
        ):
            list(open_source(tmp_path / name))


ANIMATIONS = {".webp": {"lossless": True}, ".png": {}, ".apng": {"format": "PNG"}, ".tiff": {}, ".gif": {}}


@pytest.mark.parametrize("suffix", ANIMATIONS)
@pytest.mark.parametrize("milliseconds", [40, [40, 40, 200, 40, 40]], ids=["even", "uneven"])
def test_animations_are_videos(tmp_path, suffix, milliseconds):
    pictures = [Image.fromarray(picture) for picture in numbered(5)]
    path = tmp_path / f"clip{suffix}"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=milliseconds, **ANIMATIONS[suffix])
    assert is_video(path)
    source = open_source(path)
    frames = list(source)
    assert numbers(frame.image for frame in frames) == [0, 1, 2, 3, 4]
    if suffix == ".tiff":  # pages have no times
        assert [frame.time_seconds for frame in frames] == pytest.approx([n / 30 for n in range(5)])
        return
    shown = np.array(milliseconds if isinstance(milliseconds, list) else [milliseconds] * 5) / 1000
    assert [frame.time_seconds for frame in frames] == pytest.approx(np.cumsum(shown) - shown, abs=2e-3)
    assert source.seconds == pytest.approx(shown.sum(), abs=0.01)
    assert index_of(path).rate == pytest.approx(25, rel=0.01)
    assert index_of(path).num_places == round(shown.sum() * 25)
    assert numbers(read_frames(path, [1, 2, index_of(path).num_places - 1])) == [1, 2, 4]
    assert numbers(every_frame(path)) == numbers(read_frames(path, range(index_of(path).num_places)))


def test_the_default_image_of_an_animation_is_none_of_its_frames(tmp_path):
    first, *others = map(Image.fromarray, numbered(5))
    first.save(tmp_path / "clip.png", save_all=True, append_images=others, duration=40, default_image=True)
    assert numbers(frame.image for frame in open_source(tmp_path / "clip.png")) == [1, 2, 3, 4]
    assert numbers(every_frame(tmp_path / "clip.png")) == [1, 2, 3, 4]


def test_what_is_no_picture_in_a_folder_of_frames_is_told_of(tmp_path):
    for n, picture in enumerate(numbered(3)):
        Image.fromarray(picture).save(tmp_path / f"{n}.jfif", format="JPEG")
    for name in ("3.xyz", "notes.txt", "Thumbs.db", ".DS_Store"):
        (tmp_path / name).write_bytes(b"?")
    source, remarks = open_source(tmp_path), set()
    assert len(list(source)) == 3
    assert len(read_frames(tmp_path, [0, 1, 2], remarks=remarks)) == 3
    expected = f"{tmp_path} has files that are no pictures by their suffix: 1 (3.xyz)"
    assert (source.warnings, remarks) == ([expected], {expected})


def test_stills_are_no_videos(tmp_path):
    Image.fromarray(corners()).save(tmp_path / "still.png")
    (tmp_path / "broken.webp").write_bytes(b"RIFF")
    (tmp_path / "._clip.mp4").write_bytes(b"\0\5\x16\7")
    assert not any(is_video(path) for path in tmp_path.iterdir())


def test_folders_are_in_the_order_of_their_numbers(tmp_path):
    folder = tmp_path / "34"
    folder.mkdir()
    for n, picture in enumerate(numbered(12), start=1):
        Image.fromarray(picture).save(folder / f"{n}.png")
    (folder / "._3.png").write_bytes(b"Mac OS X")
    (folder / "rate.txt").write_text("\ufeff12.5\n", encoding="utf-8")
    for way, frames in all_ways(folder).items():
        assert numbers(frames) == list(range(12)), way
    assert stretch_of(Clip(folder, ())).rate == 12.5
    assert [frame.time_seconds for frame in open_source(folder)][3] == pytest.approx(3 / 12.5)
    assert [frame.time_seconds for frame in open_source(folder, rate=25)][3] == pytest.approx(3 / 25)
    (folder / "2.png").write_bytes(b"no picture")
    remarks = set()
    assert numbers(read_frames(folder, [0, 1, 2], remarks=remarks)) == [0, 0, 2]
    assert remarks == {f"{folder}: 2.png is not an image that can be read: it is none, or broken"}


@pytest.mark.parametrize(
    "name", ["12:30:05.mp4", "http:film.mp4", "concat:a.mp4", "a b%20c'\".mp4", "日本.mp4", "-x.mp4"]
)
def test_names_are_names(tmp_path, monkeypatch, name):
    write_video(tmp_path / name, numbered(3))
    monkeypatch.chdir(tmp_path)
    from pathlib import Path

    assert len(read_frames(Path(name), [0, 1, 2])) == 3
    assert len(list(open_source(Path(name)))) == 3


def test_a_file_that_is_not_finished(tmp_path):
    whole = encode(tmp_path / "clip.mp4", numbered(30))
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[:-600])
    message = "cut.mp4 is not a video that can be read: its index is missing; it is not finished, or cut"
    for read in (open_source, index_of):
        with pytest.raises(SourceError, match=message):
            read(cut)


def test_a_last_packet_that_is_damaged_is_told_of(tmp_path):
    """Threads of a decoder say nothing of the last ones."""
    video = damage(encode(tmp_path / "clip.mp4", numbered(40), g="12", **EXACT), 39)
    source, remarks = open_source(video), set()
    shown = [frame.image for frame in source]
    assert 36 <= len(shown) < 40
    (warning,) = source.warnings
    assert "damaged packet" in warning
    assert len(list(every_frame(video, remarks=remarks))) == 40
    assert len(remarks) == 1


@pytest.mark.parametrize("broken", [[12], [24], [4, 17, 30], [12, 24, 36]], ids=str)
def test_damage_does_not_move_other_pictures(tmp_path, broken):
    """With pictures that refer to later ones, too: what comes out in the place of another is not shown."""
    film = [frame.image for frame in open_source(SAMPLE) if 73 <= frame.index < 127]
    video = damage(encode(tmp_path / "clip.mp4", film, g="12", crf="18", preset="veryfast"), *broken)
    source = open_source(video)
    live = {round(frame.time_seconds * 30): frame.image for frame in source}
    assert not any("times" in warning for warning in source.warnings)
    assert source.seconds == pytest.approx(54 / 30, abs=0.02)
    grid = list(every_frame(video))
    assert len(grid) == 54
    assert len(live) >= 54 - 12 * len(broken)
    assert all(np.array_equal(grid[place], image) for place, image in live.items())
    for place in set(range(54)) - live.keys():
        assert np.array_equal(grid[place], grid[place - 1])


def test_a_picture_that_comes_late_stands_for_no_later_one():
    """After damage 2 comes out behind 3, and 4 not at all."""
    pictures = [SimpleNamespace(pts=pts) for pts in (0, 1, 3, 2, 5)]
    decoder = SimpleNamespace(pictures=lambda: (picture for picture in pictures))
    index = VideoIndex(6, 30.0, stamps=np.arange(6))
    assert [picture.pts for _, picture in access._shown(decoder, index, range(6))] == [0, 1, 1, 3, 3, 5]


def test_pictures_that_are_damaged_in_part_are_told_of(tmp_path):
    """Their packets decode, to something."""
    film = [frame.image for frame in open_source(SAMPLE) if frame.index < 40]
    video = encode(tmp_path / "clip.avi", film, codec="mpeg4", g="12", b="2M")
    for behind in (60, 100, 300, 1500):
        damage(video, 12, behind=behind)
    source, remarks = open_source(video), set()
    assert len(list(source)) == 40
    assert any("damaged in part" in warning for warning in source.warnings)
    assert len(list(every_frame(video, remarks=remarks))) == 40
    assert any("damaged in part" in remark for remark in remarks)


def test_times_before_zero_and_after_it(tmp_path):
    """A transport stream whose clock goes over its end, and files that begin late."""
    pictures = numbered(40)
    for name, start in (
        ("wrap.ts", 2**33 / 90000 - 0.7),
        ("near.ts", 2**33 / 90000 - 41.4),
        ("late.mkv", 5),
        ("late.mp4", 5),
        ("late.ts", 5),
    ):
        video = encode(tmp_path / name, pictures, times=[start + n / 30 for n in range(40)], **EXACT)
        for way, frames in all_ways(video).items():
            assert numbers(frames) == list(range(40)), (name, way)
        assert index_of(video).remark is None
        source = open_source(video)
        assert [frame.time_seconds for frame in source][-1] == pytest.approx(39 / 30, abs=2e-3)


def test_pictures_that_come_out_in_another_order_than_that_of_their_times(tmp_path):
    """An AVI has no times for them: they are counted."""
    video = encode(tmp_path / "clip.avi", numbered(40), bf="2", **EXACT)
    for way, frames in all_ways(video).items():
        assert numbers(frames) == list(range(40)), way


def test_a_video_that_is_cut_short_is_read_as_far_as_it_goes_and_said(containers, tmp_path):
    cut, remarks = tmp_path / "cut.mkv", set()
    cut.write_bytes(containers["clip.mkv"].read_bytes()[:-900])
    assert 0 < index_of(cut).num_places < 35
    assert numbers(read_frames(cut, [0, 99], remarks=remarks))[0] == 0
    (remark,) = remarks
    assert remark.startswith(f"{cut} is cut short: it ends at ")
    remarks.clear()
    read_frames(containers["clip.mkv"], [0], remarks=remarks)
    assert not remarks
    cut = tmp_path / "cut.avi"
    cut.write_bytes(containers["clip.avi"].read_bytes()[:-4000])
    assert "cut.avi is cut short: it ends at " in index_of(cut).remark


def test_times_of_places_increase(containers):
    for video in containers.values():
        times = [frame.time_seconds for frame in open_source(video)]
        assert all(a < b for a, b in pairwise(times))
        if video.suffix != ".mpg":  # not all of its packets have a time
            assert times == pytest.approx([n / index_of(video).rate for n in range(40)], abs=0.02)
