"""Lists of videos: each way of writing a row, and each that is refused with its line."""

import pytest
from helpers import touch

from actionstream.models.labels import read_labels
from actionstream.models.training.data import Data
from actionstream.models.training.frame_lists import frame_list

LABELS = ["right", "left", "brushing hair"]


@pytest.fixture
def root(tmp_path):
    return touch(tmp_path / "videos", "right/c1.mp4", "a b/c 2.mp4", "34/1.jpg", "a,b.mp4", "video 1/1.jpg")


def rows(root, text, labels=LABELS, labelled=True, encoding="utf-8"):
    file = root.parent / "list.txt"
    file.write_bytes(text.encode(encoding))
    listing = frame_list(file, root, labels, labelled=labelled)
    return [(clip.path.relative_to(root).as_posix(), *clip.labels, clip.frames) for clip in listing], listing.left_out


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("right/c1.mp4 2", ("right/c1.mp4", "brushing hair", None)),
        ("right/c1.mp4\t2", ("right/c1.mp4", "brushing hair", None)),
        ("right/c1.mp4,2", ("right/c1.mp4", "brushing hair", None)),
        ("right/c1.mp4, 54, 2", ("right/c1.mp4", "brushing hair", (0, 54))),
        ("right/c1.mp4;54;1", ("right/c1.mp4", "left", (0, 54))),
        ("right/c1.mp4 11 20 1", ("right/c1.mp4", "left", (10, 20))),
        ("right/c1.mp4 0 20 1", ("right/c1.mp4", "left", (0, 20))),
        ("right/c1.mp4 -1 1", ("right/c1.mp4", "left", None)),
        ("right\\c1.mp4 54 1", ("right/c1.mp4", "left", (0, 54))),
        ("right\\c1.mp4,1", ("right/c1.mp4", "left", None)),
        (".\\right\\c1.mp4 1", ("right/c1.mp4", "left", None)),
        ("./right/c1.mp4 1", ("right/c1.mp4", "left", None)),
        ('"right/c1.mp4" 54 1', ("right/c1.mp4", "left", (0, 54))),
        ("'right/c1.mp4',54,1", ("right/c1.mp4", "left", (0, 54))),
        ("right/c1 54 1", ("right/c1.mp4", "left", (0, 54))),  # lists of frames name folders
        ("a b/c 2.mp4 1", ("a b/c 2.mp4", "left", None)),
        ("a b/c 2.mp4 54 1", ("a b/c 2.mp4", "left", (0, 54))),
        ('"a b/c 2.mp4",1', ("a b/c 2.mp4", "left", None)),
        ("34 1", ("34", "left", None)),
        ("34 37 1", ("34", "left", (0, 37))),
        ("video 1 37 1", ("video 1", "left", (0, 37))),  # and not frames 1 to 37 of "video"
        ("video 1 1", ("video 1", "left", None)),
        ("a,b.mp4 10 1", ("a,b.mp4", "left", (0, 10))),
        ('"a,b.mp4",10,1', ("a,b.mp4", "left", (0, 10))),
        ("right/c1.mp4 left", ("right/c1.mp4", "left", None)),
        ("right/c1.mp4 54 brushing hair", ("right/c1.mp4", "brushing hair", (0, 54))),
        ("right/c1.mp4,brushing hair", ("right/c1.mp4", "brushing hair", None)),
        ("path,label\nright/c1.mp4,1", ("right/c1.mp4", "left", None)),
        ("label,path\n1,right/c1.mp4", ("right/c1.mp4", "left", None)),
        (",video_path,class,num_frames\n0,right/c1.mp4,left,54", ("right/c1.mp4", "left", (0, 54))),
        ("# path start end label\nright/c1.mp4 11 20 1", ("right/c1.mp4", "left", (10, 20))),
    ],
)
@pytest.mark.parametrize("form", ["{}\n", "{}", "\ufeff\r\n{}\r\n\r\n", "{}   \n"])
def test_rows(text, row, form, root):
    assert rows(root, form.format(text.replace("\n", "\r\n" if "\r" in form else "\n"))) == ([row], {})


def test_absolute_paths_and_utf16(root):
    text = f"{root}/right/c1.mp4 54 1\n"
    assert rows(root, text, encoding="utf-16")[0] == [("right/c1.mp4", "left", (0, 54))]


def test_without_a_list_of_labels(root):
    """Numbers are names of their own, in their order, and so are words."""
    assert rows(root, "right/c1.mp4 10\n34 2\n", labels=())[0] == [("right/c1.mp4", "10", None), ("34", "2", None)]
    file = str(root.parent / "list.txt")
    assert Data(root=str(root), format="list", training=file).open()[2] == ("2", "10")
    assert rows(root, "right/c1.mp4 54 brushing hair", labels=())[0] == [("right/c1.mp4", "brushing hair", (0, 54))]


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("right/c1.mp4", ("right/c1.mp4", None)),
        ("right/c1.mp4 54", ("right/c1.mp4", (0, 54))),
        ("a b/c 2.mp4", ("a b/c 2.mp4", None)),
        ("34 11 20", ("34", (10, 20))),
    ],
)
def test_nothing_is_labelled(text, row, root):
    assert rows(root, text, labelled=False)[0] == [row]


def test_what_is_not_there_is_counted_and_the_rest_is_read(root):
    text = "right/c1.mp4 54 1\ngone/a.mp4 54 0\ngone/b.mp4 54 0\n34 0 2\n34 37 1\n"
    found, left_out = rows(root, text)
    assert [row[0] for row in found] == ["right/c1.mp4", "34"]
    assert left_out.lines() == [
        "left out: videos that are not there: 2 (gone/a.mp4, gone/b.mp4)",
        "left out: rows that say 0 frames: 1 (34)",
        "left out: labels without a clip: 2 (brushing hair, right)",
    ]
    with pytest.raises(ValueError, match=r"none of the clips of .*list.txt can be used, with videos in .*gone/a.mp4"):
        rows(root, "gone/a.mp4 54 0\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "right/c1.mp4 54 1\nright/c1.mp4 54 3\n",
            "line 2 of .* has label 3, and there are 3, from 0 on; it seems to count",
        ),
        ("right/c1.mp4 54 7\n", "line 1 of .* has label 7, and there are 3, from 0 on$"),
        ("right/c1.mp4 54 -1\n", "line 1 of .* has label -1, and there are 3, from 0 on$"),
        (
            "right/c1.mp4 54 up\n",
            "line 1 of .* is 'right/c1.mp4 54 up'; expected path, path num_frames, or path start end",
        ),
        ("right/c1.mp4 1\n\n\nright/c1.mp4\n", "line 4 of .* is 'right/c1.mp4'; expected path"),
        ("right/c1.mp4 20 10 1\n", "line 1 of .*: frames from 20 to 10; expected a start, and an end after it"),
        ("right/c1.mp4 -5 1\n", "line 1 of .*: frames from 1 to -5"),
        ("path,label\nright/c1.mp4\n", "line 2 of .* has 1 fields; the header has path, label"),
        ("path,num_frames,label\nright/c1.mp4,many,1\n", "line 2 of .*: frames is 'many'; expected a number of frames"),
        ("path,label\nright/c1.mp4,up\n", "line 2 of .* has the label 'up', which is none of the 3 labels"),
        ("vid,cls\nright/c1.mp4,1\n", "line 1 of .* is 'vid,cls'; expected path"),
        ("", "list.txt is empty"),
    ],
)
def test_what_cannot_be_understood_is_refused(text, message, root):
    with pytest.raises(ValueError, match=message):
        rows(root, text)


def test_text_in_another_encoding(root):
    with pytest.raises(ValueError, match=r"list.txt is not text in UTF-8 \(line 2: .*; save it as UTF-8"):
        rows(root, "right/c1.mp4 1\ncafé.mp4 1\n", encoding="latin-1")


def test_a_list_counts_as_its_file_of_labels_does(root, tmp_path):
    (tmp_path / "classInd.txt").write_text("1 right\n2 left\n3 brushing hair\n")
    labels = read_labels(tmp_path / "classInd.txt")
    assert rows(root, "right/c1.mp4 1\na,b.mp4 3", labels)[0] == [
        ("right/c1.mp4", "right", None),
        ("a,b.mp4", "brushing hair", None),
    ]
    with pytest.raises(ValueError, match=r"has label 0, and there are 3, from 1 on, as the file of labels"):
        rows(root, "right/c1.mp4 0", labels)
    (tmp_path / "copy.txt").write_text(labels.to_text())  # as a run keeps it
    assert (read_labels(tmp_path / "copy.txt"), read_labels(tmp_path / "copy.txt").first) == (labels, 1)


def test_columns_that_nobody_reads_are_named(root):
    found, left_out = rows(root, "path,start_time,label\nright/c1.mp4,0.5,2\n")
    assert found == [("right/c1.mp4", "brushing hair", None)]
    assert left_out.lines() == ["left out: columns that are not read: 1 (start_time)"]
