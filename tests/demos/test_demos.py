"""Each of the short programs runs, and says what it is there to say."""

import re
import runpy
from pathlib import Path

import pytest
from evaluation import truth
from helpers import images, write_video
from PIL import Image
from servers import film, rtsp_server

from actionstream.demos import animation, latency, many_streams, rtsp, thumos14, train_your_own, webcam
from actionstream.evaluation.thumos14 import write_annotations
from actionstream.sources import SAMPLE

FOLDER = Path(__file__).parents[2] / "demos"
PROGRAMS = sorted(path for path in FOLDER.glob("*.py") if path.name != "__init__.py")
ORDER = ["still", "right", "left", "down", "up", "shaking", "closer", "away", "clockwise", "anticlockwise", "still"]


def test_they_are_short_and_explained():
    explained = (FOLDER / "README.md").read_text()
    assert len(PROGRAMS) == 9
    for path in PROGRAMS:
        assert len(path.read_text().splitlines()) < 80, path.name
        assert f"`{path.name}`" in explained
        assert f"-m actionstream.demos.{path.stem} " in explained + " "


def test_webcam(capsys):
    webcam.main(str(SAMPLE))
    starts = re.findall(r"(\w+) starts", capsys.readouterr().out)
    assert starts == ORDER


def test_video_file_as_a_program(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["video_file"])
    runpy.run_module("actionstream.demos.video_file", run_name="__main__")
    said = capsys.readouterr().out
    assert re.findall(r"s  (\w+) \(", said) == ORDER
    assert "as a whole: " in said


def test_animation(capsys, tmp_path):
    film = write_video(tmp_path / "film.mp4", images(30), rate=15)
    animation.main(str(film), str(tmp_path / "film.webp"), width="40", rate="5")
    with Image.open(tmp_path / "film.webp") as written:
        assert (written.n_frames, written.width) == (10, 40)
    assert "film.webp: 10 pictures, 40 x " in capsys.readouterr().out


@pytest.mark.waits
def test_rtsp(capsys):
    with rtsp_server({"film": film(SAMPLE)}) as server:
        rtsp.main(server.address("film"), "5")
    said = capsys.readouterr().out
    assert said.startswith("-- connect: fine")
    assert "right starts" in said
    assert re.search(r"\d+ frames, \d+ labelled, dropped", said)


@pytest.mark.waits
def test_many_streams(capsys, tmp_path):
    films = [write_video(tmp_path / f"{name}.mp4", images(15)) for name in "ab"]
    many_streams.main(*map(str, films))
    said = capsys.readouterr().out
    assert re.search(r"^   0\.0 s  ", said, re.MULTILINE)
    assert {"a.mp4: 15 frames", "b.mp4: 15 frames"} <= set(re.findall(r"\w\.mp4: \d+ frames", said))


@pytest.mark.slow
def test_train_your_own(capsys, tmp_path):
    camera = write_video(tmp_path / "camera.mp4", images(120))
    options = ["--clips", "2", "--seconds", "0.3"]
    train_your_own.main(["wave", "clap", "--camera", str(camera), "--folder", str(tmp_path / "mine"), *options])
    said = capsys.readouterr().out
    assert "Now show: clap" in said
    assert len(list((tmp_path / "mine" / "videos" / "wave").glob("*.mp4"))) == 2
    assert "Trained: " in said


def test_thumos14(capsys, tmp_path):
    write_video(tmp_path / "a.mp4", images(40))
    write_annotations(tmp_path / "truth", truth(("a", 0, 1, "left"), ("b", 0, 1, "right")))
    thumos14.main(str(tmp_path), str(tmp_path / "truth"), "motion")
    said = capsys.readouterr().out
    assert re.search(r"a: \d+ segments in 1\.3 s", said)
    assert len(re.findall(r"mAP at IoU 0\.\d: +[\d.]+ %", said)) == 7


def test_latency(capsys):
    latency.main("motion", "6")
    lines = capsys.readouterr().out.splitlines()
    assert [int(line.split()[0]) for line in lines[1:]] == list(latency.SIZES)
    assert all(float(value) > 0 for line in lines[1:] for value in line.split())
