"""`actionstream teach`, with films in place of a camera; the clips are pieces of the sample."""

import hashlib
import io
import json
import shutil

import numpy as np
import pytest
from helpers import images, write_video
from servers import ball, rtsp_server

from actionstream import Engine
from actionstream.commands.record import write_clip
from actionstream.commands.teach_tables import print_examples, print_report
from actionstream.models import read_card
from actionstream.sources import SAMPLE, open_source
from actionstream.teaching.examples import Example
from actionstream.teaching.fit import Fit

TIMES = {"right": (2.5, 4.4), "left": (4.5, 6.4), "down": (6.5, 8.4), "up": (8.5, 10.3)}
"""Begin and end of movements in the sample, in seconds."""
QUICK = ("--backbone", "motion")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Three clips of each movement, which begin and end at different times."""
    folder = tmp_path_factory.mktemp("clips") / "videos"
    frames = list(open_source(SAMPLE))
    for label, (begin, end) in TIMES.items():
        for number in range(3):
            first, last = begin + 0.1 * number, end - 0.1 * (2 - number)
            write_clip([frame for frame in frames if first <= frame.time_seconds < last], folder, label)
    return folder


@pytest.fixture(scope="module")
def taught(videos, tmp_path_factory):
    """A model that was taught left and right."""
    from actionstream.teaching import Teacher

    teacher = Teacher(backbones=["motion"])
    for label in ("left", "right"):
        for clip in sorted((videos / label).iterdir())[:2]:
            teacher.add(label, clip)
    teacher.fit()
    path = tmp_path_factory.mktemp("taught") / "mine.safetensors"
    teacher.save(path)
    return path


@pytest.fixture
def mine(taught, tmp_path, monkeypatch):
    """A copy of it in the working folder."""
    monkeypatch.chdir(tmp_path)
    return shutil.copy(taught, tmp_path / "mine.safetensors")


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def examples(path):
    return [(each["label"], each["name"]) for each in read_card(path).training["examples"]]


def labels_of(out):
    return [line.split()[-1] for line in out.splitlines() if line.count(" s ") == 2]


@pytest.mark.slow
@pytest.mark.parametrize("backbones", [(), QUICK])
def test_what_a_folder_teaches_is_labelled_live(videos, tmp_path, run, backbones):
    shutil.copytree(videos, tmp_path / "videos", ignore=shutil.ignore_patterns("*_002.mp4"))
    (tmp_path / "videos" / "up" / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "videos" / "up" / "notes.bin").write_bytes(b"")
    write_video(tmp_path / "videos" / "beside.mp4", images(3))
    mine = tmp_path / "new" / "mine.safetensors"
    code, out, err = run("teach", "--data", tmp_path / "videos", "-o", mine, *backbones)
    assert (code, "8 of 8 are right" in out, "between 68 and 100 %" in out) == (0, True, True), out + err
    assert f"wrote {mine}: 8 examples of 4 labels" in out
    assert "left out: files that are no videos by their suffix: 1 (videos/up/notes.bin)" in err
    assert "left out: videos beside the folders of the classes: 1 (videos/beside.mp4)" in err
    assert "left out of up: broken.mp4 is not a video" in err
    _, out, _ = run("watch", SAMPLE, "--model", mine)
    shown = [label for label in labels_of(out) if label != "nothing"]
    assert shown[:4] == ["right", "left", "down", "up"]


@pytest.mark.slow
def test_a_taught_model_is_a_model_for_other_commands(mine, tmp_path, run):
    assert run("export", mine, "-o", tmp_path / "mine.onnx")[0] == 0
    _, out, _ = run("watch", SAMPLE, "--model", tmp_path / "mine.onnx")
    assert [label for label in labels_of(out) if label != "nothing"][:2] == ["right", "left"]
    code, out, _ = run("label", SAMPLE, "--model", mine, "--out", tmp_path)
    assert (code, "right" in out) == (0, True)
    code, out, _ = run("models", mine)
    assert (code, "nothing, left, right" in out) == (0, True)


def test_examples_are_added_and_removed(mine, videos, run):
    before = examples(mine)
    clip = videos / "up" / "up_001.mp4"
    code, out, _ = run(
        "teach", mine, "--add", "up/🖐", clip, "--remove", 1, "--add", " Background", videos / "down" / "down_001.mp4"
    )
    assert code == 0
    assert examples(mine) == [*before[1:], ("up/🖐", "up_001.mp4"), ("nothing", "down_001.mp4")]
    assert "cannot be checked, as there is one example: left, up/🖐, nothing" in out
    assert read_card(mine).labels == ("nothing", "left", "right", "up/🖐")


def write_hall(path):
    """Forty seconds of the sample in which up and down move, and nothing moves left or right."""
    frames = [frame.image for frame in open_source(SAMPLE) if 6.6 <= frame.time_seconds < 10.2]
    write_video(path, [frames[number % len(frames)] for number in range(1200)])


def test_thresholds_are_chosen_on_background_and_used_live(mine, videos, tmp_path, run):
    write_hall(tmp_path / "hall.mp4")
    code, out, err = run("teach", mine, "--background", "hall.mp4", "--false-starts", 200)
    assert (code, "thresholds of events: left 0." in out, "in 0.6 minutes" in out) == (0, True, True), out + err
    card = read_card(mine)
    assert [each["name"] for each in card.training["examples"]][4:] == [f"hall.mp4, 0:{n}0" for n in range(4)]
    assert set(card.thresholds) == {"left", "right"}
    assert Engine(mine).thresholds[0] == {"*": 0.6, **card.thresholds}

    def labels_that_start(*options):
        code, out, _ = run("watch", videos / "right" / "right_001.mp4", "--model", mine, "--json", *options)
        assert code == 0
        events = [json.loads(line) for line in out.splitlines()]
        return [each["label"] for each in events if each.get("event") == "start"]

    assert "right" in labels_that_start()
    assert labels_that_start("--threshold", "1") == []
    assert "right" not in labels_that_start("--threshold", "right=1")

    code, out, _ = run("teach", mine, "--remove", 1)  # what was wished before still holds
    assert (code, "thresholds of events" in out) == (0, True)
    assert read_card(mine).training["false_starts_per_hour"] == 200


def test_parts_of_a_still_background_are_no_copies(mine, tmp_path, run):
    """An empty hall looks the same all the time, and all of the time counts."""
    write_video(tmp_path / "hall.mp4", images(1) * 1200)
    code, out, err = run("teach", mine, "--background", "hall.mp4")
    assert (code, "in 0.6 minutes" in out) == (0, True), out + err
    assert [name for _, name in examples(mine)][4:] == [f"hall.mp4, 0:{n}0" for n in range(4)]
    assert "same clip" not in err


def test_with_an_output_the_model_stays(mine, videos, tmp_path, run):
    before = digest(mine)
    assert run("teach", mine, "--remove", 4, "-o", tmp_path / "other.safetensors")[0] == 0
    assert digest(mine) == before
    assert examples(tmp_path / "other.safetensors") == examples(mine)[:3]


def test_a_list_changes_nothing(mine, run):
    before = digest(mine)
    code, out, _ = run("teach", mine, "--list")
    rows = [line.split() for line in out.splitlines()[2:]]
    assert code == 0
    assert [row[:4] for row in rows] == [
        [str(number), label, name, "1.7"] for number, (label, name) in enumerate(examples(mine), 1)
    ]
    assert all(row[5] in {"left", "right", "nothing"} for row in rows)
    assert digest(mine) == before


def test_a_camera_teaches_and_then_is_labelled(videos, tmp_path, run, monkeypatch):
    """Labels are asked for; the clips are kept, as `record` keeps them."""
    film = tmp_path / "film.mp4"
    frames = [frame.image for frame in open_source(SAMPLE) if 2.5 <= frame.time_seconds < 6.5]
    write_video(film, frames)
    monkeypatch.setattr("sys.stdin", io.StringIO("right\nleft\n\n"))
    options = ("-o", tmp_path / "mine.safetensors", "--clips", 2, "--seconds", 0.8, "--pause", 0.1)
    code, out, err = run("teach", "--camera", film, *options, "--keep", tmp_path / "kept", *QUICK)
    assert (code, "Label 3" in err) == (0, True), err
    assert "4 examples of 2 labels" in out
    assert f"{len(frames)} frames" in out.splitlines()[-1]
    kept = [path.relative_to(tmp_path / "kept").as_posix() for path in (tmp_path / "kept").rglob("*.mp4")]
    names = [f"{label}_{number:03}.mp4" for label in ("right", "left") for number in (1, 2)]
    assert sorted(kept) == sorted(f"{name[:-8]}/{name}" for name in names)
    assert [name for _, name in examples(tmp_path / "mine.safetensors")] == names


@pytest.mark.slow
def test_a_network_camera_teaches(tmp_path, run):
    """Its reader forgets pictures while other clips are recorded."""
    with rtsp_server({"cam": ball()}) as server:
        options = ("--label", "a", "--label", "b", "--clips", 2, "--seconds", 0.7, "--pause", 0.3, "--no-watch", *QUICK)
        code, out, err = run("teach", "--camera", server.address("cam"), "-o", tmp_path / "mine.safetensors", *options)
    assert (code, "4 examples of 2 labels" in out) == (0, True), err


def test_what_a_camera_gave_before_it_ended_is_learnt(tmp_path, run):
    film = write_video(tmp_path / "film.mp4", images(60))
    options = ("--label", "a/b", "--label", "🖐", "--clips", 2, "--seconds", 0.5, "--pause", 0)
    code, out, err = run("teach", "--camera", film, "-o", tmp_path / "mine.safetensors", *options, *QUICK)
    assert (code, "film.mp4 ended after 1 of 2 clips of 🖐" in err) == (1, True)
    assert examples(tmp_path / "mine.safetensors") == [("a/b", "clip 1"), ("a/b", "clip 2"), ("🖐", "clip 1")]
    assert "frames/s" not in out


def test_a_copy_counts_once(mine, videos, run):
    before = examples(mine)
    code, _, err = run("teach", mine, "--add", "left", videos / "left" / "left_002.mp4")
    assert (code, "left_002.mp4 of left is the same clip as left_002.mp4" in err) == (0, True)
    assert examples(mine) == before


LONG = [np.full((16, 16, 3), number % 255, np.uint8) for number in range(122)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "teach has nothing to change"),
        (("--add", "up", "up.mp4", "--add", "up", "absent.mp4"), "no such file: absent.mp4; expected a video"),
        (("--add", "up", "up.mp4", "--add", "nothing", "broken.mp4"), "broken.mp4 is not a video"),
        (("--add", "up", "long.mp4"), "long.mp4: the clip is longer than 60 s"),
        (("--add", "up", "."), "has no images in it"),
        (("--add", " ", "up.mp4"), "the label '' is no name"),
        (("--add", "up", "left_001.mp4"), "left_001.mp4 of left and left_001.mp4 of up are the same clip"),
        (("--add", "nothing", "left_001.mp4"), "left_001.mp4 of left and left_001.mp4 of nothing are the same clip"),
        (("--background", "absent"), "no such file or folder: absent; expected videos in which none of the actions"),
        (("--background", "empty"), "empty has no video in it"),
        (("--false-starts", "10"), "the examples of nothing last 0 s; expected 30 s or more"),
        (("--background", "up.mp4", "--false-starts", "10"), "the examples of nothing last 2 s; expected 30 s or more"),
        (
            ("--background", "hall.mp4", "--false-starts", "10"),
            "in which 10 false starts an hour are not one; expected 6 ",
        ),
        (("--false-starts", "0"), "--false-starts is 0; expected a number above 0, of an hour"),
        (("--false-starts", "nan"), "--false-starts is nan; expected a number above 0, of an hour"),
        (("--remove", "1", "--remove", "5"), "there is no example 5; expected 1 to 4"),
        (("--remove", "0"), "there is no example 0"),
        (("--remove", "1", "--remove", "2"), "all 2 are of right; expected two labels or more"),
        (("--add", "up", "up.mp4", "-o", "mine.onnx"), "its name must end in .safetensors"),
        (("--backbone", "motion", "--list"), "--backbone is for a new model"),
        (("--data", "absent"), "absent"),
        (("--keep", "kept", "--list"), "--keep is for --camera"),
        (("--camera", "up.mp4", "--label", "wave", "--seconds", "61"), "--seconds is 61; expected 60 at most"),
        (("--camera", "up.mp4", "--label", "a/b", "--keep", "kept"), "'a/b' cannot be the name of a folder"),
        (("--camera", "up.mp4", "--label", "wave", "--seconds", "9"), "up.mp4 ended after 0 of 5 clips of wave"),
    ],
)
def test_a_mistake_changes_nothing(arguments, message, mine, videos, tmp_path, run):
    shutil.copy(videos / "up" / "up_001.mp4", tmp_path / "up.mp4")
    shutil.copy(videos / "left" / "left_001.mp4", tmp_path)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "empty").mkdir()
    if "hall.mp4" in arguments:
        write_hall(tmp_path / "hall.mp4")
    write_video(tmp_path / "long.mp4", LONG, times=[number / 2 for number in range(len(LONG))])
    before, names = digest(mine), set(tmp_path.iterdir())
    code, _, err = run("teach", mine, *arguments)
    assert (code, message in err.splitlines()[-1]) == (2, True), err
    assert digest(mine) == before
    assert set(tmp_path.iterdir()) == names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "new.safetensors"), "teach needs clips and an output"),
        (("--add", "up", "up.mp4"), "teach needs clips and an output"),
        (("--add", "up", "up.mp4", "-o", "new.safetensors", *QUICK), "all 1 are of up"),
        (("--add", "up", "up.mp4", "-o", "new.safetensors", "--remove", "1"), "--remove is for a MODEL"),
        (
            ("motion", "--add", "up", "up.mp4"),
            "motion is tsm_resnet18; expected a model that `actionstream teach` wrote",
        ),
        (
            ("--camera", "up.mp4", "--label", "up", "-o", "new.safetensors", *QUICK),
            "there is up to learn; expected two",
        ),
        (("--camera", "up.mp4", "-o", "new.safetensors", *QUICK), "there is no label to learn"),
    ],
)
def test_bad_input(arguments, message, videos, tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    shutil.copy(videos / "up" / "up_001.mp4", tmp_path / "up.mp4")
    code, _, err = run("teach", *arguments)
    assert (code, message in err.splitlines()[-1]) == (2, True), err
    assert [path.name for path in tmp_path.iterdir()] == ["up.mp4"]


def test_add_takes_two_words(mine, run):
    code, _, err = run("teach", mine, "--add", "up")
    assert (code, "Option '--add' requires 2 arguments" in err) == (2, True)


def fitted(*rows, labels=("nothing", "wave", "clap", "nod")):
    """Examples (label, answer, probability of its own label), and a fit that answers so."""
    probabilities = np.zeros((len(rows), len(labels)))
    for number, (label, answer, own) in enumerate(rows):
        probabilities[number, labels.index(label)] = own
        probabilities[number, labels.index(answer)] = max(own, 1 - own)
    every = [
        Example(label, f"{number}.mp4", np.zeros((1, 8, 2), np.float16)) for number, (label, _, _) in enumerate(rows, 1)
    ]
    return every, Fit(labels, (8,), np.zeros((4, 2)), np.zeros(4), probabilities)


CONFUSED = (
    ("wave", "wave", 0.9),
    ("wave", "clap", 0.3),
    ("clap", "wave", 0.1),
    ("clap", "clap", 0.8),
    ("clap", "nothing", 0.2),
    ("nod", "wave", 0.0),
)


def test_the_report_names_the_worst(capsys):
    print_report(*fitted(*CONFUSED))
    out = capsys.readouterr().out
    assert [line.split() for line in out.splitlines()[1:5] if "─" not in line] == [
        ["label", "nothing", "wave", "clap", "nod"],
        ["wave", "0", "1", "1", "0"],
        ["clap", "1", "1", "1", "0"],
    ]
    assert "2 of 5 are right; of new clips like these, between 12 and 77 %" in out
    assert "confused most: wave and clap, 2 of 5 examples" in out
    assert "fits least: 3.mp4 of clap looks like wave (--remove 3 takes it out)" in out
    assert "cannot be checked, as there is one example: nod" in out


def test_the_list_says_what_each_looks_like(capsys):
    print_examples(*fitted(*CONFUSED), interval_seconds=0.25)
    rows = [line.split(maxsplit=5) for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[5].strip() for row in rows] == [
        "wave 90 %",
        "clap 70 %, wave 30 %",
        "wave 90 %, clap 10 %",
        "clap 80 %",
        "nothing 80 %, clap 20 %",
        "cannot be checked",
    ]
    assert {row[3] for row in rows} == {"2.0"}


def test_many_labels_have_no_table(capsys):
    labels = ("nothing", *(f"action {number}" for number in range(40)))
    print_report(*fitted(*((label, label, 1.0) for label in labels[1:] for _ in range(2)), labels=labels))
    assert capsys.readouterr().out.splitlines() == [
        "80 of 80 are right; of new clips like these, between 95 and 100 % (95 % confidence)"
    ]
