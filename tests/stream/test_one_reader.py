"""The same pictures get the same labels, whatever they are stored in, by every command."""

import json
import shutil

import numpy as np
import pytest
from odd_videos import damage, encode, orient, seen_through, trim
from PIL import Image
from servers import http_server

from actionstream import Connection, Engine, Watch, open_source, watch
from actionstream.sources import SAMPLE

CLIPS = {"right": 73, "left": 136, "down": 195, "up": 255}
"""The first of 54 frames of the sample in which the hand moves so."""


@pytest.fixture(scope="module")
def film():
    return [frame.image for frame in open_source(SAMPLE) if frame.index < 330]


def turned_files(folder, pictures):
    orient(encode(folder / "c.mp4", [seen_through(picture, "quarter") for picture in pictures]), "quarter")


def mirrored_files(folder, pictures):
    orient(encode(folder / "c.mov", [seen_through(picture, "mirrored") for picture in pictures]), "mirrored")


def damaged_files(folder, pictures):
    damage(encode(folder / "c.mp4", pictures, g="12", bf="0"), 14, 31)


def variable_rate_files(folder, pictures):
    """Every second picture is left out where little happens."""
    kept = [n for n in range(54) if n < 27 or n % 2]
    encode(folder / "c.mkv", [pictures[n] for n in kept], times=[n / 30 for n in kept])


def unpadded_folders(folder, pictures):
    for n, picture in enumerate(pictures, start=1):
        (folder / "c").mkdir(exist_ok=True)
        Image.fromarray(picture).save(folder / "c" / f"{n}.jpg")


def folders_of_16_bits(folder, pictures):
    (folder / "c").mkdir()
    for n, picture in enumerate(pictures):
        grey = (picture.astype(np.float32).mean(axis=2) * 257).astype(np.uint16)
        Image.fromarray(grey).save(folder / "c" / f"{n:05}.png", compress_level=1)


def animations(folder, pictures):
    first, *others = map(Image.fromarray, pictures)
    first.save(folder / "c.webp", save_all=True, append_images=others, duration=33, quality=90, method=0)


STORED = [
    turned_files,
    mirrored_files,
    damaged_files,
    variable_rate_files,
    unpadded_folders,
    folders_of_16_bits,
    animations,
]


@pytest.mark.parametrize("store", STORED, ids=lambda store: store.__name__)
def test_training_sees_what_is_shown(film, tmp_path, run, store):
    for label, first in CLIPS.items():
        (tmp_path / label).mkdir()
        store(tmp_path / label, film[first : first + 54])
    code, out, err = run("test", "motion", "--data", tmp_path, "--json")
    assert code == 0, err
    assert json.loads(out)["top1"] == 1
    if store is damaged_files:
        assert "has damaged packets, which were passed over" in err


def test_trimmed_files(film, tmp_path, run):
    for label, first in CLIPS.items():
        (tmp_path / label).mkdir()
        long = encode(tmp_path / "long.mp4", film[first - 50 : first + 54], g="300")
        trim(long, tmp_path / label / "c.mp4", hidden=50)
    code, out, _ = run("test", "motion", "--data", tmp_path, "--json")
    assert (code, json.loads(out)["top1"]) == (0, 1)


def labels_at(predictions):
    """What is said in the middle of each movement of the film."""
    middles = {3.5: "right", 5.5: "left", 7.5: "down", 9.5: "up"}
    found = {at: min(predictions, key=lambda each: abs(each.time_seconds - at)).label for at in middles}
    return found, middles


@pytest.mark.waits
@pytest.mark.parametrize("name", ["film.ts", "film.webm", "film.mkv", "film.avi", "film.h264", "film.gif"])
def test_a_file_on_a_server_ends(film, tmp_path, name):
    """It has a length in bytes, though not all of them say how long they play."""
    codecs = {"film.webm": "libvpx", "film.avi": "mpeg4", "film.gif": "gif"}
    if name == "film.gif":
        film = [picture[::3, ::3] for picture in film[:60]]
    fast = {"deadline": "realtime", "cpu-used": "8"} if name == "film.webm" else {}
    pixels = "rgb8" if name == "film.gif" else "yuv420p"
    encode(tmp_path / name, film, pixels=pixels, codec=codecs.get(name, "libx264"), b="2M", **fast)
    with http_server(tmp_path) as address:
        predictions = list(watch(f"{address}/{name}", connection=Connection(retries=2)))
    # raw video has no rate, and FFmpeg takes it for 25
    assert len(predictions) == {"film.h264": 198, "film.gif": 30}.get(name, 165)
    if name not in ("film.h264", "film.gif"):
        found, right = labels_at(predictions)
        assert found == right


@pytest.mark.waits
def test_a_file_on_a_server_without_a_frame_is_not_tried_again(film, tmp_path):
    whole = encode(tmp_path / "whole.mkv", film[:30])
    (tmp_path / "head.mkv").write_bytes(whole.read_bytes()[:700])
    with http_server(tmp_path) as address, Watch(Engine("motion")) as session:
        session.add(f"{address}/head.mkv", name="head")
        notices = [update.notice for update in session if update.notice is not None]
    assert [notice.event for notice in notices] == ["close"]
    assert "head.mkv" in notices[0].reason


def test_frames_keep_what_is_shown_and_when(film, tmp_path, run):
    """`label` of the folder that `frames` writes says what it says of the video."""
    (tmp_path / "videos").mkdir()
    slow = encode(tmp_path / "videos" / "slow.mp4", film[::2], rate=15)
    orient(encode(tmp_path / "videos" / "phone.mp4", [seen_through(film[0], "quarter")] * 3), "quarter")
    damage(encode(tmp_path / "videos" / "damaged.mp4", film[:60], g="30", bf="0"), 40)
    code, out, _ = run("frames", tmp_path / "videos", "-o", tmp_path / "frames")
    assert (code, "3 of 3 videos written" in out) == (0, True)
    assert "damaged.mp4 has 1 damaged packet, which was passed over" in out
    assert len(list((tmp_path / "frames" / "damaged").glob("*.jpg"))) == 60
    upright = np.asarray(Image.open(tmp_path / "frames" / "phone" / "00002.jpg"))
    assert np.abs(upright.astype(int) - film[0]).mean() < 8
    segments = {}
    for video in (slow, tmp_path / "frames" / "slow"):
        code, _, err = run("label", video, "--out", tmp_path / "labels")
        assert code == 0, err
        results = json.loads((tmp_path / "labels" / "slow.json").read_text())["results"]["slow"]
        segments[video] = sorted((each["segment"][0], each["label"]) for each in results if each["score"] > 0.7)
        shutil.rmtree(tmp_path / "labels")
    one, other = segments.values()
    assert [label for _, label in one] == [label for _, label in other]
    assert [start for start, _ in one] == pytest.approx([start for start, _ in other], abs=0.15)


def test_a_last_picture_that_is_held_is_part_of_the_video(film, tmp_path, run):
    video = encode(tmp_path / "held.mp4", film, bf="0", held_seconds=15)
    code, out, err = run("watch", video, "--json")
    assert (code, err) == (0, "")
    close = [each for each in map(json.loads, out.splitlines()) if each.get("event") == "close"]
    assert close[0]["time_seconds"] == pytest.approx(25.97, abs=0.05)
    assert close[0]["reason"] is None


@pytest.mark.parametrize("modality", ["rgb", "flow"])
def test_training_on_sizes_that_change(film, tmp_path, run, modality):
    for label, first in (("right", 73), ("left", 136)):
        wide = encode(tmp_path / "a.ts", [picture[64:224] for picture in film[first : first + 20]])
        high = encode(
            tmp_path / "b.ts",
            [np.ascontiguousarray(picture[:, 64:224]) for picture in film[first + 20 : first + 40]],
            times=[(20 + n) / 30 for n in range(20)],
        )
        for n in range(2):
            target = tmp_path / "videos" / label / f"c{n}.mpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(wide.read_bytes() + high.read_bytes())
    arguments = ("--modality", modality, "--epochs", 1, "--size", 32, "--workers", 0, "--device", "cpu")
    code, out, err = run("train", "--data", tmp_path / "videos", "-o", tmp_path / "run", *arguments)
    assert code == 0, err
    assert "0 broken" in out
