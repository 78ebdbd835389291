"""Annotations that are not as they should be: what cannot be used is left out by name, what is not clear is refused."""

import json
from dataclasses import replace

import pytest
from helpers import touch

from actionstream.models.training.annotations import (
    charades,
    hmdb51_split,
    jester,
    kinetics,
    something_something,
    ucf101_split,
    ut_interaction,
)
from actionstream.models.training.data import Data, report
from actionstream.models.training.folders import folder_tree


def written(folder, name, content, encoding="utf-8"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((content if isinstance(content, str) else json.dumps(content)).encode(encoding))
    return path


def segment(start, end, label="right", **more):
    return {"segment": [start, end], "label": label, **more}


def database(**videos):
    """Videos by name: (subset, annotations) or (subset, annotations, duration)."""
    entries = {
        name: dict(zip(("subset", "annotations", "duration"), video, strict=False)) for name, video in videos.items()
    }
    return {"database": entries}


KNOWN = [segment(2.5, 4.4), segment(4.6, 6.3, "left")]


def names(listing):
    return [(clip.path.stem, *clip.labels, clip.seconds) for clip in listing]


def test_segments_of_no_use_do_not_refuse_the_file(tmp_path):
    odd = [segment(0, 0), segment(5, 4), segment(-1, 2), segment(30, 40), segment(1, 2, "Ambiguous"), segment(29, 31)]
    file = written(tmp_path, "truth.json", database(a=("training", KNOWN + odd, 30.0)), "utf-8-sig")
    listing, _, _ = Data(root=str(touch(tmp_path, "v_a.mp4")), format="activitynet", training=str(file)).open()
    assert names(listing) == [
        ("v_a", "right", (2.5, 4.4)),
        ("v_a", "left", (4.6, 6.3)),
        ("v_a", "right", (29, 31)),  # what is beyond the end is cut off as it is read
    ]
    assert listing.left_out.lines() == [
        "left out: segments that end where they begin: 1 (a [0, 0] right)",
        "left out: segments that end before they begin: 1 (a [5, 4] right)",
        "left out: segments that begin before their video: 1 (a [-1, 2] right)",
        "left out: segments after the end of their video: 1 (a [30, 40] right)",
        "left out: segments that are marked as ambiguous: 1 (a [1, 2] Ambiguous)",
    ]


def test_videos_that_are_not_there_are_counted_once(tmp_path):
    lost = [segment(1, 2, "jump"), segment(2, 3, "jump")]
    videos = database(a=("training", KNOWN), b=("training", lost), c=("validation", KNOWN), d=("fold 3", KNOWN))
    root = touch(tmp_path / "videos", "train/v_a.webm", "c/1.jpg")
    data = Data(root=str(root), format="activitynet", training=str(written(tmp_path, "truth.json", videos)))
    training, validation, labels = data.open()
    assert (len(training), len(validation), labels) == (2, 2, ("left", "right"))
    assert report(data, training, validation, labels)[1:] == [
        "left out: videos that are not there: 1 (b)",
        "left out: labels without a clip: 1 (jump)",
        "left out: videos of a subset that is not for training, validation or test: 1 (d)",
    ]
    (root / "train" / "v_a.webm").unlink()
    with pytest.raises(
        ValueError, match=r"none of the clips of .*truth.json can be used, with videos in .*: 2 \(a, b\)"
    ):
        data.open()


@pytest.mark.parametrize(
    ("format", "videos"),
    [
        ("activitynet", {}),
        ("activitynet", {"gone": ("validation", KNOWN)}),
        ("activitynet", {"c": ("test", KNOWN)}),
        ("thumos14", {"gone": ("test", KNOWN)}),
        ("activitynet", {"c": ("validation", [segment(1, 2, "jump")])}),
    ],
)
def test_a_part_is_held_out_where_no_clip_is_for_validation(format, videos, tmp_path):
    learnt = dict.fromkeys(("a", "b"), ("train", KNOWN))
    file = written(tmp_path, "truth.json", database(**learnt, **videos))
    root = touch(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    data = Data(root=str(root), format=format, training=str(file))
    training, validation, labels = data.open()
    assert (len(training), len(validation), labels) == (2, 2, ("left", "right"))
    assert {clip.group for clip in training}.isdisjoint(clip.group for clip in validation)
    said = ["left out: videos that are not there: 1 (gone)"] * ("gone" in videos)
    said += ["left out: labels of validation that no clip of training has: 1 (jump)"] * ("jump" in str(videos))
    assert report(data, training, validation, labels)[1:] == said


def test_nothing_is_held_out_of_few_clips(tmp_path):
    file = written(tmp_path, "truth.json", database(a=("train", KNOWN), b=("train", KNOWN)))
    root = touch(tmp_path, "a.mp4", "b.mp4")
    data = Data(root=str(root), format="activitynet", training=str(file), hold_out=False)
    training, validation, _ = data.open()
    assert (len(training), len(validation)) == (4, 0)
    videos = database(a=("train", KNOWN), b=("val", [segment(1, 2, "jump")]))
    other = replace(data, training=str(written(tmp_path, "other.json", videos)))
    training, validation, _ = other.open()
    assert (len(training), len(validation)) == (2, 0)
    with pytest.raises(ValueError, match=r"jump; none is left to validate on; expected labels of training, such as le"):
        replace(other, validation=other.training).open()


def test_one_subset_of_thumos14_alone(tmp_path):
    """What is learnt from the validation subset is not validated on it."""
    root, val = touch(tmp_path / "videos", "a.mp4", "b.mp4"), tmp_path / "val"
    written(val, "Diving_val.txt", "a 1.5 2.5\na 4 5\nb 3 4\n")
    data = Data(root=str(root), format="thumos14", training=str(val))
    training, validation, labels = data.open()
    assert len({clip.group for clip in training}) == len({clip.group for clip in validation}) == 1
    assert len(training) + len(validation) == 3
    assert report(data, training, validation, labels)[1:] == []
    (val / "Diving_val.txt").rename(val / "Diving_test.txt")
    with pytest.raises(ValueError, match="no videos of the subset 'training'; its subsets: test"):
        data.open()


def test_clips_from_a_table(tmp_path):
    table = "video,start_seconds,end_seconds,label,subset\na.mp4,1,2.5,right,train\nb,0:03,4,right,val\nc,,,,val\n"
    root = touch(tmp_path, "a.mp4", "deep/b.mp4", "c.mp4")
    data = Data(root=str(root), format="activitynet", training=str(written(tmp_path, "truth.csv", table)))
    training, validation, _ = data.open()
    assert (names(training), names(validation)) == ([("a", "right", (1, 2.5))], [("b", "right", (3, 4))])


def test_validation_in_a_file_of_its_own(tmp_path):
    first = written(tmp_path, "train.json", database(a=("training", KNOWN)))
    for subset in ("validation", "test", None):
        second = written(tmp_path, "val.json", database(b=(subset, KNOWN)))
        data = Data(root=str(touch(tmp_path, "a.mp4", "b.mp4")), format="activitynet", training=str(first))
        training, validation, labels = replace(data, validation=str(second)).open()
        assert ([clip.group for clip in training], [clip.group for clip in validation]) == (["a"] * 2, ["b"] * 2)
        said = report(data, training, validation, labels)[1:]
        assert said == (
            ["the best epoch is chosen on clips for testing; the last one is kept, too"] * (subset == "test")
        )
    both = written(tmp_path, "both.json", database(b=("validation", KNOWN), c=("test", KNOWN)))
    touch(tmp_path, "c.mp4")
    for format, group in (("activitynet", "b"), ("thumos14", "c")):
        _, validation, _ = replace(data, format=format, validation=str(both)).open()
        assert {clip.group for clip in validation} == {group}
    second = written(tmp_path, "val.json", database(b=("training", KNOWN)))
    with pytest.raises(ValueError, match=r"val.json has no videos of the subset 'validation'; its subsets: training"):
        replace(data, validation=str(second)).open()


def test_labels_that_only_validation_has(tmp_path):
    videos = database(a=("training", KNOWN), c=("validation", [*KNOWN, segment(7, 8, "jump")]))
    file = written(tmp_path, "truth.json", videos)
    data = Data(root=str(touch(tmp_path, "a.mp4", "c.mp4")), format="activitynet", training=str(file))
    training, validation, labels = data.open()
    assert len(validation) == 2
    line = "left out: labels of 1 clips of validation that no clip of training has: 1 (jump)"
    assert report(data, training, validation, labels)[1:] == [line]


@pytest.mark.parametrize(
    ("format", "subsets"),
    [
        ("activitynet", ("training", "validation")),
        ("activitynet", ("train", "val")),
        ("activitynet", ("Training", "Validation")),
        ("thumos14", ("train", "test")),
        ("thumos14", ("validation", "test")),  # THUMOS14 is learnt from its validation
        ("thumos14", ("Val", "Test")),
    ],
)
def test_subsets_by_the_names_they_have(format, subsets, tmp_path):
    file = written(tmp_path, "truth.json", database(a=(subsets[0], KNOWN), b=(subsets[1], KNOWN)))
    data = Data(root=str(touch(tmp_path, "a.mp4", "b.mp4")), format=format, training=str(file))
    training, validation, labels = data.open()
    assert ({clip.group for clip in training}, {clip.group for clip in validation}) == ({"a"}, {"b"})
    said = report(data, training, validation, labels)
    on_test = ["the best epoch is chosen on clips for testing; the last one is kept, too"]
    assert said[1:] == (on_test if format == "thumos14" else [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "truth.json: no whole JSON"),
        ([], r"truth.json: the value is \[\]; expected an object"),
        ({"results": {}}, "truth.json has no object 'database'"),
        (database(a=("train 1", KNOWN)), "has no videos of the subset 'training'; its subsets: train 1"),
        (
            database(a=("testing", KNOWN), b=("fold", KNOWN)),
            "no videos of the subset 'training'; its subsets: fold, testing",
        ),
        ({"database": {}}, "has no videos of the subset 'training'; its subsets: none; expected one such as train or"),
        ({"database": {"a": {}, "b": {"subset": "training"}}}, "video a of .* does not say which subset it is in"),
        (database(a=("training", {})), "video a of .* has no list of annotations"),
        (database(a=("training", [{"segment": [0, 1]}])), "annotation 1 of video a of .* is .*; expected {'segment': "),
        (database(a=("training", [{"label": "x"}])), "labels of whole videos, without a segment: 1 "),
        ({"database": {"a": {"subset": "training"}}, "taxonomy": 3}, "the taxonomy is no list of objects"),
        (
            database(a=("training", [segment(0, "late")])),
            "annotation 1 of video a of .*: end is 'late'; expected a number",
        ),
        (
            database(a=("training", [{"segment": 3, "label": "x"}])),
            r"the segment is 3; expected \[start, end\] in seconds",
        ),
        (database(a=("training", [segment(0, float("inf"))])), "end is inf; expected a number"),
        (database(a=("training", KNOWN, "long")), "video a of .*: duration is 'long'; expected a number"),
    ],
)
def test_annotations_in_another_layout(content, message, tmp_path):
    file = written(tmp_path, "truth.json", content)
    data = Data(root=str(touch(tmp_path, "a.mp4")), format="activitynet", training=str(file))
    with pytest.raises(ValueError, match=message):
        data.open()


def test_a_folder_that_has_no_annotations(tmp_path):
    data = Data(root=str(tmp_path), format="activitynet", training=str(tmp_path))
    with pytest.raises(ValueError, match=r"has no annotations CLASS_val.txt or CLASS_test.txt"):
        data.open()


def test_annotations_of_thumos14_as_released(tmp_path):
    root, val, test = touch(tmp_path / "videos", "a.mp4", "b.mp4"), tmp_path / "val", tmp_path / "test"
    written(val, "Diving_val.txt", "a  1.5 2.5\r\na 3 3\r\ngone 1 2\r\n", "utf-8-sig")
    written(val, "Ambiguous_val.txt", "a 5 6\n")
    written(val, "._Diving_val.txt", "Mac OS X")
    written(test, "Diving_test.txt", "b 1 2\n")
    data = Data(root=str(root), format="thumos14", training=str(val), validation=str(test))
    training, validation, labels = data.open()
    assert (names(training), names(validation), labels) == (
        [("a", "Diving", (1.5, 2.5))],
        [("b", "Diving", (1, 2))],
        ("Diving",),
    )
    assert report(data, training, validation, labels)[2:] == [
        "left out: videos that are not there: 1 (gone)",
        "left out: segments that are marked as ambiguous: 1 (a [5, 6] Ambiguous)",
        "left out: segments that end where they begin: 1 (a [3, 3] Diving)",
    ]
    written(val, "Diving_test.txt", "b 1 2\n")
    both = Data(root=str(root), format="thumos14", training=str(val)).open()
    assert (names(both[0]), names(both[1])) == (names(training), names(validation))
    written(val, "Diving_val.txt", "a 1 2\na 3\n")
    with pytest.raises(ValueError, match=r"line 2 of .*Diving_val.txt has 2 fields instead of 3: VIDEO START END"):
        data.open()


@pytest.mark.parametrize("divider", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_kinetics_in_any_spelling_and_with_lost_videos(divider, encoding, tmp_path):
    table = (
        "Label, youtube_id,time_start,time_end,split\r\nright,a,1,11,train\r\n\r\nleft,b,1,11,train\r\nup,c,1,11,train"
    )
    file = written(tmp_path, "train.csv", table.replace(",", divider) + "\r\n", encoding)
    root = touch(tmp_path / "videos", "a_000001_000011.MKV", "right/b.mp4", "left/b.mp4")
    listing = kinetics(file, root)
    assert [(clip.path.relative_to(root).as_posix(), *clip.labels) for clip in listing] == [
        ("a_000001_000011.MKV", "right"),
        ("left/b.mp4", "left"),
    ]
    assert listing.left_out.lines() == [
        "left out: videos that are not there: 1 (c_000001_000011)",
        "left out: labels without a clip: 1 (up)",
    ]


def test_kinetics_as_folders_of_frames(tmp_path):
    file = written(tmp_path, "train.csv", "label,youtube_id,time_start,time_end\nright,a,1,11\n")
    root = touch(tmp_path / "frames", "right/a_000001_000011/00001.jpg")
    assert [clip.path.name for clip in kinetics(file, root)] == ["a_000001_000011"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("label,id\nzumba,x\n", "has no column youtube_id; it needs youtube_id, time_start, time_end"),
        ("label,youtube_id,time_start,time_end\n", "has a header and no row"),
        ("label,youtube_id,time_start,time_end\na,b,1,nan\n", "line 2 of .*: time_end is 'nan'; expected a number"),
        ("label,youtube_id,time_start,time_end\na,b,1,11\nzumba,x\n", "line 3 of .* has 2 fields and no time_start"),
        (
            "label,youtube_id,time_start,time_end\n\na,b,one,11\n",
            "line 3 of .*: time_start is 'one'; expected a number",
        ),
    ],
)
def test_tables_that_cannot_be_understood(content, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        kinetics(written(tmp_path, "train.csv", content), tmp_path)


def test_ids_with_lost_videos(tmp_path):
    root = touch(tmp_path / "videos", "1.webm", "2/1.jpg", "deep/3.mp4", "7/notes.txt")
    entries = [
        {"id": 1, "template": "Holding [something]"},
        {"id": "4", "template": "Moving"},
        {"id": "3", "template": ""},
    ]
    listing = something_something(written(tmp_path, "train.json", entries, "utf-8-sig"), root)
    assert [(clip.path.name, clip.labels) for clip in listing] == [("1.webm", ("Holding something",)), ("3.mp4", ())]
    assert listing.left_out["videos that are not there"] == {"4": None}
    with pytest.raises(ValueError, match=r"entry 1 of .*train.json has no id; expected \{'id': "):
        something_something(written(tmp_path, "train.json", [{"template": "x"}]), root)
    for text in (
        "2;Swiping Left\r\n7;Shaking, fast\r\n3;Stop\r\n",
        "video_id,label\n2,Swiping Left\n7,x\n3,Stop\n",
        "2,Swiping Left\n7,x\n3,Stop\n",
        "label\tid\nSwiping Left\t2\nx\t7\nStop\t3\n",
    ):
        listing = jester(written(tmp_path, "train.csv", text, "utf-8-sig"), root)
        assert [(clip.path.name, *clip.labels) for clip in listing] == [("2", "Swiping Left"), ("3.mp4", "Stop")]
        assert listing.left_out["videos that are not there"] == {"7": None}  # an empty folder is no video
    with pytest.raises(ValueError, match=r"line 2 of .* is '3;a;b'; expected id;label, or id alone"):
        jester(written(tmp_path, "train.csv", "2;a\n3;a;b\n"), root)


def test_charades_with_lost_videos(tmp_path):
    root, labels = touch(tmp_path / "videos", "A.mp4", "B.mp4"), ["a", "b", "c"]
    table = 'id,subject,actions\nA,P1,c002 11.90 21.20;c000 0.00 12.60\nB,P2,""\nC,P3,c001 1 2\n'
    file = written(tmp_path, "train.csv", table)
    names = written(tmp_path, "labels.txt", "c000 a\nc001 b\nc002 c\n")
    data = Data(root=str(root), format="charades", training=str(file), labels=str(names))
    training, validation, labels = data.open()
    assert [clip.labels for clip in training] == [("a", "c")]
    assert report(data, training, validation, labels)[1:] == [
        "left out: videos that are not there: 1 (C)",
        "left out: labels without a clip: 1 (b)",
        "left out: clips without a label: 1 (B.mp4)",
    ]
    for action, message in (("x 1 2", "line 2 of .* has the action 'x 1 2'"), ("c003 1 2", "label 3, and there are 3")):
        with pytest.raises(ValueError, match=message):
            charades(written(tmp_path, "train.csv", f"id,actions\nA,{action}\n"), root, labels)


def test_official_splits_with_lost_videos(tmp_path):
    root = touch(tmp_path / "videos", "right/c1.avi", "left/c1.avi", "right/c2/1.jpg", "right/c3.avi")
    tree = folder_tree(root)
    lines = "right/c1.avi 1\nright\\c2.avi 1\nleft/c9.avi 2\nc3.avi\nup/c1.avi\n"
    listing = ucf101_split(tree, written(tmp_path, "trainlist01.txt", lines.replace("\n", "\r\n"), "utf-8-sig"))
    assert [clip.path.relative_to(root).as_posix() for clip in listing] == ["right/c1.avi", "right/c2", "right/c3.avi"]
    assert listing.left_out.lines() == [
        "left out: videos that are not there: 2 (left/c9.avi, up/c1.avi)",
        "left out: labels without a clip: 2 (left, up)",
    ]
    with pytest.raises(
        ValueError, match=r"line 1 of .* is 'c1.avi', a video of left and right; expected CLASS/VIDEO.avi"
    ):
        ucf101_split(tree, written(tmp_path, "trainlist01.txt", "c1.avi\n"))
    written(tmp_path, "lists/right_test_split1.txt", "c1.avi 1 \nc9.avi\t1\nc3.avi 2\n", "utf-8-sig")
    written(tmp_path, "lists/left_test_split1.txt", "c1.avi 2\n")
    written(tmp_path, "lists/._left_test_split1.txt", "\0")
    listing = hmdb51_split(tree, tmp_path / "lists", 1, test=False)
    assert [clip.path.relative_to(root).as_posix() for clip in listing] == ["right/c1.avi"]
    assert listing.left_out.lines() == ["left out: videos that are not there: 1 (right/c9.avi)"]
    data = Data(root=str(root), format="hmdb51", training=str(tmp_path / "lists"))
    touch(root, "right/c3.xyz")
    written(tmp_path, "lists/left_test_split1.txt", "c1.avi 1\n")
    assert report(data, *data.open())[2:] == [
        "left out: videos that are not there: 1 (right/c9.avi)",
        "left out: files that are no videos by their suffix: 1 (videos/right/c3.xyz)",
        "left out: videos that no list names: 1 (right/c2)",
    ]
    written(tmp_path, "lists/left_test_split1.txt", "c1.avi two\n")
    with pytest.raises(
        ValueError, match=r"line 1 of .*left_test_split1.txt is 'c1.avi two'; expected VIDEO.avi and 0, 1"
    ):
        hmdb51_split(tree, tmp_path / "lists", 1, test=False)


def test_a_recipe_takes_no_data_set_with_holes(tmp_path):
    root = touch(tmp_path, "a.avi")
    file = written(tmp_path, "manifest.csv", "path,label,split_group\na.avi,hug,set1_seq01\nb.avi,hug,set1_seq02\n")
    with pytest.raises(
        ValueError, match=r"the data set is not complete: left out: videos that are not there: 1 \(b.avi"
    ):
        ut_interaction(file, root).complete()
