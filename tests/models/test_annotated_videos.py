"""Annotated videos: one reader for all layouts, and what of them can be learnt from."""

import gzip
import json
import math

import pytest
from helpers import images, shared, write_video

from actionstream.evaluation.activitynet import read_truth
from actionstream.models.annotations.annotated import AnnotatedVideo, Annotation
from actionstream.models.annotations.read import read_annotations
from actionstream.models.labels import read_labels
from actionstream.models.training.annotated import annotated_seconds, read_annotated_videos, summary

SECONDS = 12


@pytest.fixture(scope="module")
def picture():
    return images(1, height=32, width=32)[0]


@pytest.fixture
def videos(tmp_path, picture):
    """What makes videos of SECONDS in a folder, by their names."""

    def make(*names, seconds=SECONDS):
        for name in names:
            path = tmp_path / "videos" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_video(path, [picture] * seconds, rate=1)
        return tmp_path / "videos"

    return make


def written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def database(**entries):
    """Videos by name: (subset, (start, end, label), ...)."""
    return {
        "database": {
            name: {
                **({} if subset is None else {"subset": subset}),
                "annotations": [{"segment": [start, end], "label": label} for start, end, label in annotations],
            }
            for name, (subset, *annotations) in entries.items()
        }
    }


def video(name, *annotations, subset=None, group=None):
    return AnnotatedVideo(name, tuple(Annotation(*each) for each in annotations), subset, group or name)


@pytest.mark.parametrize("divider", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table(divider, encoding, tmp_path):
    table = (
        "Video,start_seconds,end_seconds,label,group,subset\r\n"
        "a,1,2.5,wave,monday,train\r\nb,,,,,val\r\n\r\na,1:02.5,1:00:03,clap,monday,train\r\n"
    )
    path = tmp_path / "a.csv"
    path.write_bytes(table.replace(",", divider).encode(encoding))
    found = read_annotations(path)
    assert found.videos == (
        video("a", (1, 2.5, "wave"), (62.5, 3603, "clap"), subset="train", group="monday"),
        video("b", subset="val"),
    )
    assert found.labels == ("clap", "wave")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,1,2\n", "line 2 of .* has 3 fields and no label"),
        ("a,1,late,wave\n", "line 2 of .*: end_seconds is 'late'; expected seconds, such as 83.4 or 1:23.4"),
        ("a,1:75,99,wave\n", "line 2 of .*: start_seconds is '1:75'; expected seconds"),
        ("a,1,inf,wave\n", "line 2 of .*: end_seconds is 'inf'"),
        ("a,,2,wave\n", "line 2 of .*: start_seconds is ''"),
        (",1,2,wave\n", "line 2 of .* names no video"),
        ("", "has a header and no row"),
    ],
)
def test_a_table_in_another_layout(rows, message, tmp_path):
    path = written(tmp_path / "a.csv", f"video,start_seconds,end_seconds,label\n{rows}")
    with pytest.raises(ValueError, match=message):
        read_annotations(path)


def test_what_a_table_says_twice(tmp_path):
    table = "video,start_seconds,end_seconds,label,subset\na,1,2,wave,train\na,1,2,wave,\n"
    with pytest.raises(ValueError, match=r"line 3 of .*: the subset of video a is '', and before it is 'train'"):
        read_annotations(written(tmp_path / "a.csv", table))
    table = "video,start_seconds,end_seconds,label,subset\na,1,2,wave,train\nb,1,2,wave,\n"
    with pytest.raises(ValueError, match=r"video b of .* does not say which subset it is in, and others do"):
        read_annotations(written(tmp_path / "a.csv", table))


def test_all_layouts_say_the_same(tmp_path):
    content = database(a=("val", (1, 2.5, "Dive"), (4, 5, "Shot")), b=("test", (0.5, 3, "Dive")))
    table = "video,start_seconds,end_seconds,label,subset\na,1,2.5,Dive,val\na,4,5,Shot,val\nb,0.5,3,Dive,test\n"
    written(tmp_path / "thumos" / "Dive_val.txt", "a 1 2.5\n")
    written(tmp_path / "thumos" / "Shot_val.txt", "a 4 5\n")
    written(tmp_path / "thumos" / "Dive_test.txt", "b 0.5 3\n")
    expected = (
        video("a", (1, 2.5, "Dive"), (4, 5, "Shot"), subset="val"),
        video("b", (0.5, 3, "Dive"), subset="test"),
    )
    for source in (
        written(tmp_path / "a.json", content),
        written(tmp_path / "a.json.gz", content),
        written(tmp_path / "a.csv", table),
        written(tmp_path / "a.CSV.gz", table),
        written(tmp_path / "a.tsv", table.replace(",", "\t")),
        tmp_path / "thumos",
    ):
        found = read_annotations(source)
        assert (found.videos, found.labels) == (expected, ("Dive", "Shot"))
        assert [each.name for each in found.of_subset("validation")] == ["a"]
        assert [each.name for each in found.of_subset("Test")] == ["b"]


def test_what_is_no_file_of_annotations(tmp_path):
    with pytest.raises(ValueError, match=r"a.xml ends in '.xml'; expected annotations as .json"):
        read_annotations(written(tmp_path / "a.xml", "<a/>"))
    with pytest.raises(ValueError, match=r"no file .*b.json"):
        read_annotations(tmp_path / "b.json")
    with pytest.raises(ValueError, match=r"has no annotations CLASS_val.txt or CLASS_test.txt"):
        read_annotations(tmp_path)


def test_a_subset_by_its_own_name_comes_first(tmp_path):
    content = database(a=("val", (1, 2, "x")), b=("validation", (1, 2, "x")), c=("dev", (1, 2, "x")))
    found = read_annotations(written(tmp_path / "a.json", content))
    assert [each.name for each in found.of_subset("validation")] == ["b"]
    assert [each.name for each in found.of_subset("eval")] == ["a", "b", "c"]
    assert found.of_subset("fold 3") == []


def test_videos_in_full(tmp_path, videos):
    """What cannot be used is named, and the rest is learnt from."""
    root = videos("v_a.mp4", "deep/b.mkv", "quiet.mp4", "c.mp4", "j.mp4", "t.mp4", "stranger.mp4")
    (root / "broken.mp4").write_text("no video")
    (root / "notes.xyz").touch()
    odd = [(5, 4, "wave"), (6, 6, "wave"), (-1, 2, "wave"), (30, 40, "wave"), (1, 3, "wave"), (2, 4, "Ambiguous")]
    content = database(
        a=("Train", (1, 3, "wave"), (10, 20, "clap"), *odd),
        b=("train", (2, 4, "clap"), (3, 5, "clap"), (0, 9, "background")),
        quiet=("train",),
        gone=("train", (1, 2, "nod")),
        broken=("train", (1, 2, "wave")),
        c=("val", (1, 2, "wave"), (4, 5, "jump")),
        j=("val", (1, 2, "jump")),
        t=("test", (1, 2, "swim")),
        f=("fold 3", (1, 2, "wave")),
    )
    content["database"]["a"] |= {"duration": 500, "group": "monday"}
    data = read_annotated_videos(written(tmp_path / "a.json", content), root)
    assert data.labels == ("clap", "wave")
    assert [(each.name, each.path.relative_to(root).as_posix()) for each in data.training] == [
        ("a", "v_a.mp4"),
        ("b", "deep/b.mkv"),
        ("quiet", "quiet.mp4"),
    ]
    a, b, quiet = data.training
    assert a.annotations == (Annotation(1, 3, "wave"), Annotation(10, SECONDS, "clap"))
    assert a.ignored == (Annotation(2, 4, "Ambiguous"),)
    assert a.duration_seconds == SECONDS, "that of the video, not of the file"
    assert (b.annotations, b.ignored) == ((Annotation(2, 4, "clap"), Annotation(3, 5, "clap")), ())
    assert (quiet.annotations, quiet.ignored, quiet.duration_seconds) == ((), (), SECONDS)
    assert (a.group, b.group) == ("monday", "b")
    held_out, of_jumps = data.validation
    assert (of_jumps.annotations, of_jumps.ignored) == ((), (Annotation(1, 2, "jump"),))
    assert (held_out.annotations, held_out.ignored) == ((Annotation(1, 2, "wave"),), (Annotation(4, 5, "jump"),))
    broken = f"{root / 'broken.mp4'} is not a video that can be read: invalid data found when processing input"
    assert data.left_out == {
        "videos of a subset that is not for training, validation or test": {"f": None},
        "videos for testing, on which nothing is chosen": {"t": None},
        "videos that are not there": {"gone": None},
        "videos that cannot be read": {broken: None},
        "segments that end before they begin": {"a [5, 4] wave": None},
        "segments that end where they begin": {"a [6, 6] wave": None},
        "segments that begin before their video": {"a [-1, 2] wave": None},
        "segments after the end of their video": {"a [30, 40] wave": None},
        "segments that are there twice": {"a [1, 3] wave": None},
        "segments that are marked as ambiguous": {"a [2, 4] Ambiguous": None},
        "parts of segments after the end of their video": {"a [10, 20] clap": None},
        "files that are no videos by their suffix": {"videos/notes.xyz": None},
        "videos that the annotations do not name": {"stranger.mp4": None},
        "labels without a segment to learn from": {"jump": None, "nod": None, "swim": None},
    }
    assert summary(data)[:3] == [
        "read: 3 videos to learn from, of the subset Train and train, 2 of the subset for validation, 0.02 hours, "
        "1 videos in which nothing happens",
        "5 segments of 2 labels: clap 3, wave 2",
        "segments last 1.0 to 2.0 s, 2.0 s at the median; 87 % of the time is not annotated",
    ]
    assert summary(data)[3:] == data.left_out.lines()


def test_time_that_is_in_several_segments_counts_once():
    overlapping = video("a", (5, 7, "x"), (1, 4, "x"), (2, 3, "y"), (6, 9, "y"))
    assert annotated_seconds(overlapping) == 3 + 4
    assert annotated_seconds(video("a")) == 0


@pytest.mark.parametrize(
    ("subsets", "learnt", "held_out", "unused"),
    [
        ({"a": "training", "b": "validation", "c": "test"}, "a", "b", "c"),
        ({"a": "validation", "b": "test"}, "a", "", "b"),
        ({"a": "Val", "b": "dev"}, "ab", "", ""),
        ({"a": "train", "b": "test"}, "a", "", "b"),
        ({"a": None, "b": None}, "ab", "", ""),
    ],
)
def test_subsets_to_learn_from(subsets, learnt, held_out, unused, tmp_path, videos):
    content = database(**{name: (subset, (1, 2, "x")) for name, subset in subsets.items()})
    data = read_annotated_videos(written(tmp_path / "a.json", content), videos(*(f"{name}.mp4" for name in subsets)))
    assert "".join(each.name for each in data.training) == learnt
    assert "".join(each.name for each in data.validation) == held_out
    assert "".join(data.left_out.get("videos for testing, on which nothing is chosen", {})) == unused


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (database(a=("test", (1, 2, "x"))), "no videos of the subset 'training'; its subsets: test; expected one such"),
        (database(a=(None, (1, 2, "nothing"))), "all segments of .* are nothing; expected segments of actions, too"),
        (database(a=(None,)), "no segment of .* can be learnt from.*: its videos have no annotations; expected"),
        (database(a=(None, (3, 2, "x"))), r"can be learnt .*: segments that end before they begin: 1 \(a \[3, 2\]"),
        (
            database(gone=(None, (1, 2, "x"))),
            r"can be learnt from.*: videos that are not there: 1 \(gone\); .*NAME.mp4",
        ),
        (database(twice=(None, (1, 2, "x"))), r"the video twice is there twice, .*twice.mkv and .*v_twice.mp4"),
        ({"database": {"a": {"annotations": [{"label": "x"}]}}}, "labels of whole videos, without a segment: 1"),
    ],
)
def test_nothing_is_left(content, message, tmp_path, videos):
    root = videos("a.mp4", "twice.mkv", "v_twice.mp4")
    source = written(tmp_path / "a.json", content)
    with pytest.raises(ValueError, match=message) as raised:
        read_annotated_videos(source, root)
    assert "\n" not in str(raised.value)
    with pytest.raises(ValueError, match=r"no folder .*nowhere; expected the folder of the videos that .* names"):
        read_annotated_videos(source, tmp_path / "nowhere")


def test_a_table_names_videos_by_their_paths(tmp_path, videos):
    root = videos("monday/a.mp4", "tuesday/a.mp4", "b.mp4")
    table = "video,start_seconds,end_seconds,label\nmonday/a.mp4,1,2,x\ntuesday\\a,1,2,x\nb.avi,1,2,x\n"
    data = read_annotated_videos(written(tmp_path / "a.csv", table), root)
    assert [each.path.relative_to(root).as_posix() for each in data.training] == [
        "monday/a.mp4",
        "tuesday/a.mp4",
        "b.mp4",
    ]


def test_thumos14_as_released(tmp_path, videos):
    """Two of its validation videos; the files of both subsets in one folder, as some copies have it."""
    source = shared("data", "thumos14")
    val, both = source / "annotation_val", tmp_path / "both"
    found = read_annotations(val)
    assert len(found.videos) == 200
    assert {each.subset for each in found.videos} == {"val"}
    assert sum(each.label != "Ambiguous" for known in found.videos for each in known.annotations) == 3007
    names = [known.name for known in found.videos[:2]]
    root = videos(*(f"{name}.mp4" for name in names), seconds=400)
    data = read_annotated_videos(val, root)
    assert [known.name for known in data.training] == names
    assert set(data.labels) <= set(read_labels("thumos14"))
    assert len(data.left_out["videos that are not there"]) == 198
    both.mkdir()
    for path in (*val.iterdir(), *(source / "annotation_test").iterdir()):
        (both / path.name).write_bytes(path.read_bytes())
    again = read_annotated_videos(both, root)
    assert (again.training, again.labels, again.validation) == (data.training, data.labels, ())
    assert len(again.left_out["videos for testing, on which nothing is chosen"]) == 213
    as_strings = read_annotations(source / "thumos_gt.json")
    assert len(as_strings.of_subset("training")) == 200
    assert all(math.isfinite(each.end_seconds) for known in as_strings.videos for each in known.annotations)


def test_activitynet_as_published(tmp_path, videos):
    source = shared("data", "activitynet", "activity_net.v1-3.rebuilt.json.gz")
    found = read_annotations(source)
    assert len(found.videos) == 19_228
    assert len(found.labels) == 200
    learnt, held_out = (found.of_subset(subset)[0] for subset in ("training", "validation"))
    root = videos(f"v_{learnt.name}.mp4", f"v_{held_out.name}.mp4", seconds=300)
    data = read_annotated_videos(source, root)
    assert [known.name for known in (*data.training, *data.validation)] == [learnt.name, held_out.name]
    assert data.training[0].annotations == learnt.annotations
    assert len(data.left_out["labels without a segment to learn from"]) == 200 - len(data.labels)


def test_a_video_that_was_only_begun_is_not_one_without_actions(tmp_path, videos):
    """As `annotate` leaves it: somebody has drafted or undone something, and has not said that nothing happens."""
    folder = videos("done.mp4", "begun.mp4", "half.mp4", "quiet.mp4", "old.mp4")
    file = written(
        tmp_path / "segments.json",
        {
            "database": {
                "done": {"annotations": [{"segment": [1, 2], "label": "wave"}], "reviewed": True},
                "begun": {"annotations": [], "proposals": [{"segment": [1, 2], "label": "wave"}], "reviewed": False},
                "half": {"annotations": [{"segment": [1, 2], "label": "wave"}], "reviewed": False},
                "quiet": {"annotations": [], "reviewed": True},
                "old": {"annotations": []},
            }
        },
    )
    data = read_annotated_videos(file, folder)
    assert [each.name for each in data.training] == ["done", "half", "quiet", "old"]
    said = summary(data)
    assert "left out: videos that are not annotated, and not marked as reviewed: 1 (begun)" in said
    assert "not marked as reviewed: 1 videos; what is not annotated in them counts as background" in said
    assert not any("do not name" in line for line in said)
    assert "begun" not in read_truth(file, subset="training").durations_seconds


def test_a_file_in_which_all_videos_were_only_begun(tmp_path, videos):
    file = written(tmp_path / "segments.json", {"database": {"a": {"annotations": [], "reviewed": False}}})
    with pytest.raises(ValueError, match=r"none of the 1 videos of .* is annotated, or marked as reviewed; accept"):
        read_annotated_videos(file, videos("a.mp4"))
