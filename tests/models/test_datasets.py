"""Formats of data sets: small files as those data sets have them."""

import json

import pytest
from helpers import shared, touch

from actionstream.models.labels import read_labels
from actionstream.models.training.annotations import (
    charades,
    hmdb51_split,
    jester,
    kinetics,
    something_something,
    ucf101_split,
)
from actionstream.models.training.data import Data
from actionstream.models.training.datasets import Clip, check_split, split_by_group
from actionstream.models.training.folders import folder_tree
from actionstream.models.training.frame_lists import frame_list


@pytest.fixture
def ucf(tmp_path):
    names = [
        f"{label}/v_{label}_g{group:02}_c{clip:02}.avi"
        for label in ("Archery", "Diving")
        for group in (1, 2, 3)
        for clip in (1, 2)
    ]
    return touch(tmp_path / "ucf", *names, "Archery/notes.txt", "classInd.txt")


def test_a_folder_for_each_class(ucf, tmp_path):
    clips = folder_tree(ucf)
    assert len(clips) == 12
    assert clips[0] == Clip(ucf / "Archery" / "v_Archery_g01_c01.avi", ("Archery",), group="v_Archery_g01")
    frames = touch(tmp_path / "frames", "wave/a/00001.jpg", "wave/a/00002.jpg", "wave/empty/readme.txt")
    assert [clip.path.name for clip in folder_tree(frames)] == ["a"]
    with pytest.raises(
        ValueError, match=r"has no folder with videos or folders of frames in it \(left out: videos beside"
    ):
        folder_tree(ucf / "Archery")


def test_official_splits(ucf, tmp_path):
    (tmp_path / "trainlist01.txt").write_text("Archery/v_Archery_g02_c01.avi 1\nDiving/v_Diving_g03_c02.avi 2\n")
    names = [clip.path.name for clip in ucf101_split(folder_tree(ucf), tmp_path / "trainlist01.txt")]
    assert names == ["v_Archery_g02_c01.avi", "v_Diving_g03_c02.avi"]
    (tmp_path / "trainlist01.txt").write_text("Archery/v_Archery_g09_c01.avi 1\n")
    with pytest.raises(
        ValueError, match=r"none of the clips of .*: videos that are not there: 1 \(Archery/v_Archery_g09_c01.avi\)"
    ):
        ucf101_split(folder_tree(ucf), tmp_path / "trainlist01.txt")
    hmdb = touch(tmp_path / "hmdb", "wave/a.avi", "wave/b.avi", "wave/c.avi")
    lists = touch(tmp_path / "lists")
    lists.mkdir()
    (lists / "wave_test_split1.txt").write_text("a.avi 1 \nb.avi 2 \nc.avi 0 \n")
    sides = [
        [clip.path.name for clip in hmdb51_split(folder_tree(hmdb), lists, 1, test=test)] for test in (False, True)
    ]
    assert sides == [["a.avi"], ["b.avi"]]
    with pytest.raises(ValueError, match=r"has no lists of split 2, such as wave_test_split2.txt"):
        hmdb51_split(folder_tree(hmdb), lists, 2, test=True)


def test_names_that_say_nothing_make_no_groups(tmp_path):
    names = [f"{label}/{number:03}.mp4" for label in ("a", "b") for number in range(10)]
    clips = folder_tree(touch(tmp_path, *names))
    training, validation = split_by_group(clips, seed=0)
    assert (len(training), len(validation)) == (16, 4)
    check_split(training, validation)


def test_a_split_by_group_leaks_none(ucf):
    training, validation = split_by_group(folder_tree(ucf), seed=0)
    check_split(training, validation)
    assert {clip.labels[0] for clip in validation} == {"Archery", "Diving"}
    assert (len(training), len(validation)) == (8, 4)
    assert split_by_group(folder_tree(ucf), seed=0) == (training, validation)
    assert any(split_by_group(folder_tree(ucf), seed=seed)[1] != validation for seed in range(1, 5))
    with pytest.raises(ValueError, match=r"1 groups are in training and validation"):
        check_split(training, [*validation, training[0]])


@pytest.mark.parametrize(
    ("line", "labelled", "expected"),
    [
        ("some dir/video_1 120 2", True, ("some dir/video_1", "c", (0, 120))),
        ("video_1;11;20;0", True, ("video_1", "a", (10, 20))),
        ("video_1 11 20 1", True, ("video_1", "b", (10, 20))),
        ("video_1 120", False, ("video_1", None, (0, 120))),
        ("video_1 11 20", False, ("video_1", None, (10, 20))),
    ],
)
def test_lists_of_frames(line, labelled, expected, tmp_path):
    (tmp_path / "list.txt").write_text(line + "\n\n")
    touch(tmp_path, "some dir/video_1/00001.jpg", "video_1/00001.jpg")
    (clip,) = frame_list(tmp_path / "list.txt", tmp_path, ["a", "b", "c"], labelled=labelled)
    path, label, frames = expected
    assert clip == Clip(tmp_path / path, () if label is None else (label,), frames=frames)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("video_1", "line 1 of .* is 'video_1'; expected path, path num_frames, or path start end, and a label"),
        ("video_1 120 3", "line 1 of .* has label 3, and there are 3, from 0 on; it seems to count from 1"),
        ("video_1 20 10 1", "line 1 of .* is 'video_1 20 10 1': frames from 20 to 10; expected a start, and an end"),
    ],
)
def test_lists_of_no_use(line, message, tmp_path):
    (tmp_path / "list.txt").write_text(line)
    with pytest.raises(ValueError, match=message):
        frame_list(tmp_path / "list.txt", tmp_path, ["a", "b", "c"])


def test_something_something_and_jester(tmp_path):
    root = touch(tmp_path / "videos", "78687.webm", "34870/00001.jpg", "5.webm")
    (tmp_path / "train.json").write_text(
        json.dumps([{"id": "78687", "template": "Holding [something] in front of [something]"}, {"id": "5"}])
    )
    first, second = something_something(tmp_path / "train.json", root)
    assert first == Clip(root / "78687.webm", ("Holding something in front of something",))
    assert second.labels == ()
    (tmp_path / "train.csv").write_text("34870;Drumming Fingers\n5\n")
    first, second = jester(tmp_path / "train.csv", root)
    assert first == Clip(root / "34870", ("Drumming Fingers",))
    assert second.labels == ()
    (tmp_path / "train.json").write_text("[{")
    with pytest.raises(ValueError, match=r"train.json: no whole JSON"):
        something_something(tmp_path / "train.json", root)


def test_kinetics(tmp_path):
    root = touch(tmp_path / "videos", "abseiling/0347ZoDXyP0_000095_000105.mp4", "plain.mp4")
    rows = "abseiling,0347ZoDXyP0,95,105,val", "zumba,plain,0,10,val", "zumba,gone,0,10,val"
    (tmp_path / "val.csv").write_text("\n".join(["label,youtube_id,time_start,time_end,split", *rows]))
    clips = kinetics(tmp_path / "val.csv", root)
    assert [(clip.path.name, clip.labels[0], clip.group) for clip in clips] == [
        ("0347ZoDXyP0_000095_000105.mp4", "abseiling", "0347ZoDXyP0"),
        ("plain.mp4", "zumba", "plain"),
    ]
    (tmp_path / "val.csv").write_text("label,id\nzumba,x\n")
    with pytest.raises(ValueError, match=r"has no column youtube_id; it needs youtube_id, time_start, time_end"):
        kinetics(tmp_path / "val.csv", root)


def test_charades(tmp_path):
    root = touch(tmp_path, "46GP8.mp4", "N11GT.mp4")
    table = 'id,subject,actions\n46GP8,HR43,c002 11.90 21.20;c000 0.00 12.60;c002 25.0 30.0\nN11GT,0KZ7,""\n'
    (tmp_path / "train.csv").write_text(table)
    first, second = charades(tmp_path / "train.csv", root, ["a", "b", "c"])
    assert first == Clip(tmp_path / "46GP8.mp4", ("a", "c"), group="HR43")
    assert second.labels == ()


def test_activitynet_and_thumos14(tmp_path):
    root = touch(tmp_path, "v_QOlSCBRmfWY.mp4")
    annotations = [{"label": "Ballet", "segment": [8.3, "36.9"]}]
    database = {"QOlSCBRmfWY": {"subset": "training", "annotations": annotations}, "other": {"subset": "testing"}}
    (tmp_path / "truth.json").write_text(json.dumps({"database": database}))
    learnt = Data(root=str(root), format="activitynet", training=str(tmp_path / "truth.json"), hold_out=False).open()[0]
    assert list(learnt) == [Clip(tmp_path / "v_QOlSCBRmfWY.mp4", ("Ballet",), seconds=(8.3, 36.9), group="QOlSCBRmfWY")]
    real = shared("data", "thumos14", "thumos_gt.json")
    touch(root, *(f"{name}.mp4" for name in json.loads(real.read_text())["database"]))
    truth = str(shared("data", "thumos14", "thumos_gt.json"))
    learnt, held_out, labels = Data(root=str(tmp_path), format="thumos14", training=truth).open()
    assert 3000 < len(held_out) < len(learnt) + 500
    assert labels == tuple(sorted(read_labels("thumos14")))
    assert {label for clip in held_out for label in clip.labels} == set(labels)


def test_ut_interaction_leaves_a_sequence_out():
    root = shared("data", "ut_interaction").resolve()
    manifest = str(root / "manifest.csv")
    seen = []
    for number in range(1, 21):
        data = Data(root=str(root), format="ut-interaction", training=manifest, split=number)
        training, validation, labels = data.open()
        check_split(training, validation)
        assert len(labels) == 6
        assert {clip.path.parent for clip in [*training, *validation]} == {root / ("set1" if number <= 10 else "set2")}
        assert len(training) + len(validation) == 60
        seen += [clip.path for clip in validation]
    assert len(set(seen)) == len(seen) == 120
    with pytest.raises(ValueError, match=r"no group 21 to leave out; there are 20: set1_seq01 to set2_seq20"):
        Data(root=str(root), format="ut-interaction", training=manifest, split=21).open()


def test_data_finds_its_sides(ucf, tmp_path, monkeypatch):
    training, validation, labels = Data(root=str(ucf)).open()
    assert (len(training), len(validation), labels) == (8, 4, ("Archery", "Diving"))
    sides = touch(tmp_path / "sides", "train/wave/a.mp4", "train/clap/b.mp4", "val/wave/c.mp4")
    training, validation, labels = Data(root=str(sides)).open()
    assert (len(training), len(validation), labels) == (2, 1, ("clap", "wave"))
    (tmp_path / "list.txt").write_text("a 10 1\n")
    touch(tmp_path, "a.mp4")
    (tmp_path / "names.txt").write_text("wave\nclap\n")
    data = Data(
        root=str(tmp_path), format="list", training=str(tmp_path / "list.txt"), labels=str(tmp_path / "names.txt")
    )
    training, validation, labels = data.open()
    assert (training[0].labels, len(validation), labels) == (("clap",), 0, ("wave", "clap"))
    monkeypatch.chdir(tmp_path)  # a run can be gone on with from anywhere
    here = Data(root=".", format="list", training="list.txt", labels="names.txt")
    assert here == data
    assert Data(root=".", labels="jester").labels == "jester"
    with pytest.raises(ValueError, match=r"no file .*absent.txt"):
        Data(root=str(tmp_path), format="jester", training=str(tmp_path / "absent.txt")).open()
