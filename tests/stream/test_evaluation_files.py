"""Files of truth and results: what is written is read, and what is wrong with a file is said in a line."""

import gzip
import json
import math

import numpy as np
import pytest
from evaluation import rows, segments, truth
from helpers import shared
from hypothesis import given, settings
from hypothesis import strategies as st

from actionstream.evaluation import activitynet, thumos14
from actionstream.evaluation.detection_table import read_table, write_table
from actionstream.evaluation.remarks import remarks
from actionstream.evaluation.segments import Segments, Truth

NAMES = ["a", "-b_1", "ü c"]
FOUND = rows(NAMES, ["x", "y, z", 'say "hi"'], backwards=True, max_size=20)


def same(a, b):
    """Equal, when the order within each video is all that counts."""
    return sorted(a.rows(), key=lambda r: r[0]) == sorted(b.rows(), key=lambda r: r[0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@settings(deadline=None)
@given(FOUND, st.sampled_from(["", ".gz"]))
def test_results_come_back(folder, found, packed):
    found = segments(*found)
    activitynet.write_results(folder / f"results.json{packed}", found)
    assert same(activitynet.read_results(folder / f"results.json{packed}", task="detection"), found)
    write_table(folder / f"table.csv{packed}", found)
    assert list(read_table(folder / f"table.csv{packed}").rows()) == list(found.rows())


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=3, max_size=3))
def test_numbers_keep_all_their_digits(folder, numbers):
    found = segments(("a", *numbers[:2], "x", numbers[2]))
    activitynet.write_results(folder / "results.json", found)
    write_table(folder / "table.csv", found)
    assert list(activitynet.read_results(folder / "results.json", task="detection").rows()) == list(found.rows())
    assert list(read_table(folder / "table.csv").rows()) == list(found.rows())


def test_results_of_other_tasks_come_back(tmp_path):
    whole = segments(("a", math.nan, math.nan, "x", 0.5), ("b", math.nan, math.nan, "y", 0.25))
    activitynet.write_results(tmp_path / "results.json", whole, task="classification")
    read = activitynet.read_results(tmp_path / "results.json", task="classification")
    assert read.labels.tolist() == ["x", "y"]
    assert np.isnan(read.intervals).all()
    proposals = segments(("a", 0, 1, "", 0.5))
    activitynet.write_results(tmp_path / "results.json", proposals, task="proposals")
    assert list(activitynet.read_results(tmp_path / "results.json", task="proposals").rows()) == list(proposals.rows())


@settings(max_examples=30, deadline=None)
@given(rows("ab", ["x", "y"], min_size=1, max_size=9), rows("bc", ["Ambiguous"], max_size=3))
def test_truth_comes_back(folder, annotations, unclear):
    known = truth(*(r[:4] for r in annotations), ambiguous=[r[:4] for r in unclear], labels="xy")
    thumos14.write_annotations(folder / "annotation", known, subset="val")
    activitynet.write_truth(folder / "truth.json", known, subset="val")
    for path in (folder / "annotation", folder / "truth.json"):
        read = thumos14.read_truth(path, subset="val")
        assert sorted(read.segments.rows()) == sorted(known.segments.rows())
        assert sorted(read.ambiguous.rows()) == sorted(known.ambiguous.rows())
        assert (read.labels, set(read.durations_seconds)) == (known.labels, set(known.durations_seconds))


def test_truth_in_full(tmp_path):
    data = {
        "taxonomy": [{"nodeName": "z", "nodeId": 1}],
        "database": {
            "a": {"subset": "validation", "duration": 9, "annotations": [{"segment": ["1.5", 2], "label": "x"}]},
            "b": {"subset": "validation", "annotations": [{"label": "x"}]},
            "c": {"subset": "training", "duration": 5, "annotations": [{"segment": [0, 1], "label": "y"}]},
            "d": {"subset": "validation", "duration": 5, "annotations": []},
        },
    }
    (tmp_path / "truth.json").write_text(json.dumps(data))
    known = activitynet.read_truth(tmp_path / "truth.json", subset="validation")
    assert known.labels == ("x", "y", "z")
    assert list(known.durations_seconds) == ["a", "b", "d"]
    assert next(known.segments.rows()) == ("a", 1.5, 2.0, "x", 1.0)
    assert math.isnan(known.segments.start_seconds[1])
    with pytest.raises(ValueError, match="no annotations of subset 'testing'; there are training, validation"):
        activitynet.read_truth(tmp_path / "truth.json", subset="testing")


def test_annotation_folders_as_released():
    folder = shared("data", "thumos14")
    known = thumos14.read_truth(folder / "annotation_test")
    assert (len(known.segments), len(known.ambiguous), len(known.durations_seconds)) == (3358, 99, 213)
    expected = json.loads((folder / "expected.json").read_text())
    assert known.labels == tuple(expected["classes"])
    for label, number in expected["ground_truth_segments"].items():
        assert (known.segments.labels == label).sum() == number
    validation = thumos14.read_truth(folder / "annotation_val", subset="val")
    assert (len(validation.segments), len(set(validation.segments.videos))) == (3007, 200)


def test_truth_in_a_table(tmp_path):
    """Whatever the subset is called: one that means the same, or none."""
    head = "video,start_seconds,end_seconds,label"
    written(tmp_path, "all.csv", f"{head}\na,1,0:02,x\nb,,,\na,3,4,Ambiguous\n")
    written(tmp_path, "sides.csv", f"{head},subset\na,1,2,x,Test\nb,,,,Test\na,3,4,Ambiguous,Test\nc,5,6,y,train\n")
    for name, labels in (("all.csv", ("x",)), ("sides.csv", ("x", "y"))):
        known = thumos14.read_truth(tmp_path / name)
        assert list(known.segments.rows()) == [("a", 1, 2, "x", 1)]
        assert list(known.ambiguous.rows()) == [("a", 3, 4, "Ambiguous", 1)]
        assert (list(known.durations_seconds), known.labels) == (["a", "b"], labels)
    with pytest.raises(ValueError, match="no annotations of subset 'validation'; there are Test, train"):
        activitynet.read_truth(tmp_path / "sides.csv", subset="validation")


def test_text_of_thumos14(tmp_path):
    path = tmp_path / "run.txt"
    path.write_text("video_test_0000004.mp4 0.5 1.5 7 0.25\nvideo_test_0000004\t2\t3\t99\t1e-3\n")
    found = list(thumos14.read_detections(path, classes={"7": "BaseballPitch"}).rows())
    assert found == [
        ("video_test_0000004", 0.5, 1.5, "BaseballPitch", 0.25),
        ("video_test_0000004", 2.0, 3.0, "class 99", 0.001),
    ]
    path.write_text("video_test_0000004.mpeg " + " ".join(map(str, range(101))) + "\n")
    scores = thumos14.read_recognition_scores(path)
    assert (len(scores), scores.labels[0], scores.labels[100], scores.scores[100]) == (
        101,
        "ApplyEyeMakeup",
        "YoYo",
        100,
    )
    assert set(scores.videos.tolist()) == {"video_test_0000004"}


def written(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no whole JSON"),
        ('{"results": {"a": [{"label": "x", "segm', "no whole JSON, it may have been cut short"),
        ('{"results": {"a": [{"label": "x"', "no whole JSON, it may have been cut short"),
        ("[]", r"the value is \[\]; expected an object"),
        ('{"results": []}', "no object 'results'"),
        ('{"results": {"a": {}}}', "video a has no list"),
        ('{"results": {"a": [{"label": "x", "score": 1}]}}', "video a: number 1 has no 'segment'"),
        ('{"results": {"a": [{"segment": [0, 1], "score": 1}]}}', "number 1 has no 'label'; needed are segment, label"),
        ('{"results": {"a": [3]}}', "number 1 has no 'segment'"),
        ('{"results": {"a": [{"label": "x", "score": 1, "segment": [0]}]}}', r"\[start, end\] in seconds, not \[0\]"),
        ('{"results": {"a": [{"label": "x", "score": 1, "segment": [0, "b"]}]}}', "end is 'b', which is no number"),
        ('{"results": {"a": [{"label": "x", "score": null, "segment": [0, 1]}]}}', "score is None"),
        ('{"results": {"a": [{"label": "x", "score": NaN, "segment": [0, 1]}]}}', "score of video a is not a finite"),
        ('{"results": {"a": [{"label": "x", "score": 1, "segment": [0, Infinity]}]}}', "at infinity"),
        (b"\xff\xfe\x00", "is not text in UTF-8"),
    ],
)
def test_bad_results(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        activitynet.read_results(written(tmp_path, "results.json", content), task="detection")


def test_files_cut_in_half(tmp_path):
    found = segments(*((f"video{n}", n, n + 1, "x", n / 9) for n in range(50)))
    activitynet.write_results(tmp_path / "whole.json", found)
    activitynet.write_results(tmp_path / "whole.json.gz", found)
    for name in ("whole.json", "whole.json.gz"):
        data = (tmp_path / name).read_bytes()
        for part in range(1, len(data) - 1, 7):
            with pytest.raises(ValueError, match=r"no whole (JSON|gzip)"):
                activitynet.read_results(written(tmp_path, f"cut_{name}", data[:part]), task="detection")
    write_table(tmp_path / "whole.csv", found)
    text = (tmp_path / "whole.csv").read_text()
    with pytest.raises(ValueError, match=r"line 27 of .*cut.csv has 2 fields instead of 5"):
        read_table(written(tmp_path, "cut.csv", text[: text.index("video25,") + 10]))
    with pytest.raises(ValueError, match="no whole gzip file"):
        read_table(written(tmp_path, "cut.csv.gz", gzip.compress(text.encode())[:-20]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "begins with ''; expected the header video,start_seconds"),
        ("a,0,1,x,0.5\n", "begins with 'a,0,1,x,0.5'"),
        ("video,start_seconds,end_seconds,label,score\na,0,1,x\n", "line 2 of .* has 4 fields instead of 5"),
        ("video,start_seconds,end_seconds,label,score\na,0,end,x,1\n", "line 2 of .*: could not convert"),
        (
            "video,start_seconds,end_seconds,label,score\na,0,1,x,nan\n",
            "line 2 of .*: 0,1,x,nan .* is not a finite number",
        ),
        (
            "video,start_seconds,end_seconds,label,score\na,0,1,x,1\na,0,inf,x,1\n",
            "line 3 of .* is not a finite number",
        ),
    ],
)
def test_bad_tables(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_table(written(tmp_path, "table.csv", content))


def test_empty_results_are_no_error(tmp_path):
    head = "video,start_seconds,end_seconds,label,score\n"
    assert len(read_table(written(tmp_path, "table.csv", head + "\n"))) == 0
    path = written(tmp_path, "results.json", '{"results": {"a": []}}')
    assert len(activitynet.read_results(path, task="detection")) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"database": {"a": {"annotations": []}, "b": {"subset": "validation"}}}',
            "video a of .* does not say which subset it is in, and others do",
        ),
        ('{"database": {"a": {"annotations": []}}}', "no annotations of subset 'validation'; there are none"),
        (
            '{"database": {"a": {"subset": "validation", "annotations": [{"segment": [0, 1]}]}}}',
            "annotation 1 of video a",
        ),
        ('{"database": {"a": {"subset": "validation", "duration": "long", "annotations": []}}}', "duration is 'long'"),
        ('{"results": {}}', "no object 'database'"),
    ],
)
def test_bad_truth(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        activitynet.read_truth(written(tmp_path, "truth.json", content), subset="validation")


def test_bad_annotation_folders(tmp_path):
    with pytest.raises(ValueError, match=r"no annotations CLASS_val\.txt or CLASS_test\.txt"):
        thumos14.read_truth(tmp_path)
    written(tmp_path, "Diving_test.txt", "video_test_1 0.5 1.5\n\nvideo_test_1 2\n")
    with pytest.raises(ValueError, match=r"line 3 of .*Diving_test.txt has 2 fields instead of 3: VIDEO START END"):
        thumos14.read_truth(tmp_path)
    written(tmp_path, "Diving_test.txt", "video_test_1 0.5 later\n")
    with pytest.raises(ValueError, match=r"line 1 of .*: 'later' is no number"):
        thumos14.read_truth(tmp_path)
    with pytest.raises(ValueError, match=r"line 2 of .*run.txt: 'nan' is not a finite number"):
        thumos14.read_detections(written(tmp_path, "run.txt", "a 0 1 7 1\na 0 1 7 nan\n"), classes={})
    written(tmp_path, "Diving_test.txt", "video_test_1 0.5 1.5\n")
    assert thumos14.read_truth(tmp_path).labels == ("Diving",)
    written(tmp_path, "detclasslist.txt", "7 Diving\n9 Shotput\n")
    with pytest.raises(ValueError, match=r"no file .*Shotput_test.txt"):
        thumos14.read_truth(tmp_path)
    with pytest.raises(ValueError, match="has 2 fields instead of 102: a video and 101 scores"):
        thumos14.read_recognition_scores(written(tmp_path, "scores.txt", "video_test_1 0.5\n"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_as_windows_saves_them(encoding, tmp_path):
    """With a byte order mark, and with CRLF."""

    def saved(name, text):
        return written(tmp_path, name, text.replace("\n", "\r\n").encode(encoding))

    table = saved("a.csv", "video,start_seconds,end_seconds,label,score\na,0,1,x,0.5\n\n")
    assert list(read_table(table).rows()) == [("a", 0, 1, "x", 0.5)]
    results = saved("a.json", '{"results": {"a": [{"segment": [0, 0], "label": "x", "score": 0.5}]}}\n')
    assert list(activitynet.read_results(results, task="detection").rows()) == [("a", 0, 0, "x", 0.5)]
    database = '{"a": {"subset": "validation", "annotations": [{"segment": [0, 0], "label": "x"}]}}'
    known = activitynet.read_truth(saved("t.json", f'{{"database":\n{database}}}'), subset="validation")
    assert list(known.segments.rows()) == [("a", 0, 0, "x", 1)]
    assert remarks(known, segments(), task="detection")["annotations_without_duration"] == ["a"]
    saved("Diving_test.txt", "a 0 1\na 2 2\n")
    saved("._Diving_test.txt", "Mac OS X")
    assert thumos14.read_truth(tmp_path).labels == ("Diving",)
    saved("detclasslist.txt", "7 Diving\n")
    assert len(thumos14.read_truth(tmp_path).segments) == 2
    found = thumos14.read_detections(saved("run.txt", "a 0 1 7 0.5\n"), classes={"7": "Diving"})
    assert list(found.rows()) == [("a", 0, 1, "Diving", 0.5)]


def test_segments_check_themselves():
    column, name = np.zeros(2), np.array(["a", "b"])
    with pytest.raises(ValueError, match="the columns of segments are all"):
        Segments(name, column, column, name, np.zeros(3))
    with pytest.raises(ValueError, match="video b has annotations, but is not among"):
        Truth(segments(("b", 0, 1, "x")), segments(), {"a": 3.0}, ("x",))
    with pytest.raises(ValueError, match="label 'x' has annotations, but is not among"):
        Truth(segments(("a", 0, 1, "x")), segments(), {"a": 3.0}, ("y",))


def counts(odd):
    return {kind: len(names) for kind, names in odd.items()}


def test_remarks():
    known = Truth(
        segments(("a", 0, 5, "x"), ("a", 0, 5, "x"), ("b", 3, 3, "x"), ("b", 8, 11, "y"), ("b", 8, 10, "y")),
        segments(),
        {"a": 10.0, "b": 10.0, "c": math.nan},
        ("x", "y", "z"),
    )
    found = segments(("a", 1, 1, "x"), ("a", 1, 1, "x", 0.5), ("c", 3, 2, "y"), ("d", 0, 1, "q"))
    every = {
        "annotations_without_duration": 1,
        "annotations_beyond_the_end": 1,
        "annotations_twice": 1,
        "labels_without_truth": 1,
        "videos_without_results": 1,
        "videos_without_truth": 1,
        "results_without_duration": 3,
        "results_twice": 1,
        "results_of_unknown_labels": 1,
    }
    odd = remarks(known, found, task="detection")
    assert counts(odd) == every
    assert (odd["annotations_without_duration"], odd["annotations_beyond_the_end"]) == (["b"], ["b"])
    assert (odd["labels_without_truth"], odd["results_of_unknown_labels"]) == (["z"], ["q"])
    assert (odd["videos_without_truth"], odd["results_without_duration"]) == (["d"], ["a", "a", "c"])
    of_segments = {name: number for name, number in every.items() if "labels" not in name}
    assert counts(remarks(known, found, task="proposals")) == of_segments
    of_videos = {name: number for name, number in every.items() if "annotations" not in name and "duration" not in name}
    assert counts(remarks(known, found, task="classification")) == of_videos
    assert remarks(known, segments(), task="detection")["videos_without_results"] == ["a", "b"]
    perfect = truth(("a", 0, 5, "x"))
    assert remarks(perfect, perfect.segments, task="detection") == {}


def test_a_video_without_results_can_be_named(tmp_path):
    activitynet.write_results(tmp_path / "r.json", segments(("b", 0, 1, "x", 0.5)), videos=["a", "b"])
    written = json.loads((tmp_path / "r.json").read_text())["results"]
    assert written == {"a": [], "b": [{"segment": [0, 1], "label": "x", "score": 0.5}]}
    assert list(activitynet.read_results(tmp_path / "r.json", task="detection").videos) == ["b"]


def test_tables_of_old_programs(tmp_path):
    """Lines that end in carriage returns alone, and a field that no program of tables takes."""
    table = tmp_path / "results.csv"
    table.write_bytes(b"video,start_seconds,end_seconds,label,score\rv,1,2,jump,0.5\r")
    assert len(read_table(table)) == 1
    table.write_text(f"video,start_seconds,end_seconds,label,score\nv,1,2,{'x' * 200_000},0.5\n")
    with pytest.raises(ValueError, match=r"results.csv cannot be read as a table: field larger than"):
        read_table(table)
