"""Folders of videos: what is read, what is left out and said, which folder is which side."""

import pytest
from helpers import images, touch
from PIL import Image

from actionstream.models.annotations.subsets import side_of
from actionstream.models.training.data import Data, report
from actionstream.models.training.folders import Videos, find_sides, folder_tree, videos_under
from actionstream.models.training.left_out import LeftOut


def read(root):
    """What is said of a folder."""
    data = Data(root=str(root))
    training, validation, labels = data.open()
    return report(data, training, validation, labels)


@pytest.mark.parametrize("suffix", ["MTS", "ts", "m2ts", "wmv", "flv", "3gp", "ogv", "gif", "MP4", "mxf"])
def test_a_class_in_another_container_is_there(suffix, tmp_path):
    root = touch(tmp_path, "left/1.mp4", "left/2.mp4", f"right/1.{suffix}", f"right/2.{suffix}")
    assert read(root) == ["read: 2 clips to learn from, 2 of validation, 2 labels"]


def test_an_animated_picture_is_a_video_and_a_still_one_is_none(tmp_path):
    pictures = [Image.fromarray(picture) for picture in images(3, height=32, width=32)]
    for label in ("left", "right"):
        (tmp_path / label).mkdir()
        pictures[0].save(tmp_path / label / "moves.webp", save_all=True, append_images=pictures[1:])
        pictures[0].save(tmp_path / label / "still.png")
    listing = folder_tree(tmp_path)
    assert [clip.path.name for clip in listing] == ["moves.webp", "moves.webp"]
    name = tmp_path.name
    assert listing.left_out.lines() == [
        f"left out: pictures that are not in a folder of frames: 2 ({name}/left/still.png, {name}/right/still.png)"
    ]


def test_what_is_left_out_is_counted_by_reason_and_named(tmp_path):
    root = touch(
        tmp_path / "data",
        *("left/a.mp4", "left/b.npy", "left/frames/1.jpg", "left/._a.mp4", "left/.DS_Store", "left/notes.txt"),
        *("right/a.xyz", "right/b.xyz", "right/c.xyz", "right/d.xyz"),
        *("up/person1/a.mp4", "up/person1/b.mp4", "up/person1/thumb.jpg"),
        *("down/1.jpg", "down/2.jpg", "beside.mp4", "readme.md", ".git/x.mp4"),
    )
    (root / "nothing").mkdir()
    (root / "left" / "empty").mkdir()
    listing = folder_tree(root)
    assert [clip.path.name for clip in listing] == ["a.mp4", "b.npy", "frames"]
    assert listing.left_out.summary() == {
        "videos beside the folders of the classes": {"count": 1, "names": ["data/beside.mp4"]},
        "pictures that are not in a folder of frames": {"count": 2, "names": ["data/down/1.jpg", "data/down/2.jpg"]},
        "folders of classes without a clip": {"count": 4, "names": ["data/down", "data/nothing", "data/right"]},
        "hidden files": {"count": 1, "names": ["data/left/._a.mp4"]},
        "folders without a video": {"count": 1, "names": ["data/left/empty"]},
        "files that are no videos by their suffix": {
            "count": 5,
            "names": ["data/left/notes.txt", "data/right/a.xyz", "data/right/b.xyz"],
        },
        "videos in folders that are deeper than CLASS/VIDEO": {
            "count": 2,
            "names": ["data/up/person1/a.mp4", "data/up/person1/b.mp4"],
        },
    }
    line = (
        "left out: files that are no videos by their suffix: 5 (data/left/notes.txt, data/right/a.xyz, data/right/b.xyz"
    )
    assert f"{line}, ...)" in listing.left_out.lines()


def test_a_folder_without_a_clip_says_what_is_in_it(tmp_path):
    with pytest.raises(
        ValueError, match=r"has no folder with videos .* \(left out: .*wave/a.xyz\); .* classes without a clip: 1"
    ):
        folder_tree(touch(tmp_path, "wave/a.xyz"))


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev", "VAL", "Valid", "Val_Set"])
@pytest.mark.parametrize("train", ["train", "Train", "training", "TRAIN"])
def test_validation_is_that_beside_train_and_test_is_not_touched(name, train, tmp_path):
    sides = [f"{side}/{label}/{side}1.mp4" for side in (train, name, "test") for label in ("left", "right")]
    data = Data(root=str(touch(tmp_path, *sides)))
    training, validation, labels = data.open()
    assert {clip.path.parent.parent.name for clip in training} == {train}
    assert {clip.path.parent.parent.name for clip in validation} == {name}
    assert report(data, training, validation, labels)[1:] == [
        "left out: folders for testing, on which no epoch is chosen: 1 (test)"
    ]
    assert {clip.path.parent.parent.name for clip in data.to_test()} == {"test"}


def test_no_epoch_is_chosen_on_test(tmp_path):
    """Beside a test folder alone, a part of train is held out."""
    names = [f"{side}/{label}/{n}.mp4" for side in ("train", "Test") for label in ("left", "right") for n in range(5)]
    data = Data(root=str(touch(tmp_path, *names)))
    training, validation, _ = data.open()
    assert (len(training), len(validation)) == (8, 2)
    assert {clip.path.parent.parent.name for clip in [*training, *validation]} == {"train"}
    assert "left out: folders for testing, on which no epoch is chosen: 1 (Test)" in read(tmp_path)
    assert len(data.to_test()) == 10


def test_sides_that_are_not_clear(tmp_path):
    touch(tmp_path / "two", "train/a/1.mp4", "val/a/1.mp4", "valid/a/1.mp4")
    with pytest.raises(
        ValueError, match=r"two/val and .*two/valid are both for validation; give one of them another name"
    ):
        Data(root=str(tmp_path / "two")).open()
    touch(tmp_path / "more", "train/a/1.mp4", "val/a/2.mp4", "extra/a/1.mp4", "annotations/x.txt", "list.txt", "x.mp4")
    assert read(tmp_path / "more")[1:] == [
        "left out: folders and videos that are of no side of the data set: 3 (annotations, extra, x.mp4)"
    ]
    thumbs = touch(tmp_path / "thumbs", "train/a/1.mp4", "train/a/1.jpg", "train/b/1.mp4", "train/b/1.jpg")
    assert find_sides(thumbs) == {"training": thumbs / "train"}
    stills = touch(tmp_path / "stills", "train/a/1.jpg", "val/a/1.jpg")
    with pytest.raises(ValueError, match=r"stills/train has no folder with videos .*pictures that are not in a folder"):
        Data(root=str(stills)).open()
    classes = touch(tmp_path / "traffic", "train/1.mp4", "bus/1.mp4", "train/frames/1.jpg")
    assert find_sides(classes) == {}
    assert Data(root=str(classes)).open()[2] == ("bus", "train")
    assert side_of("train1") is None
    with pytest.raises(ValueError, match="lists and annotations have a format of their own; give it, --format list"):
        Data(root=str(classes), training="list.txt")


def test_labels_of_one_side_only(tmp_path):
    root = touch(tmp_path, "train/a/1.mp4", "train/b/1.mp4", "val/a/2.mp4", "val/B/2.mp4", "val/c/2.mp4")
    line = "left out: labels of 2 clips of validation that no clip of training has: 2 (B, c)"
    assert read(root) == ["read: 2 clips to learn from, 1 of validation, 2 labels", line]
    (root / "val" / "a" / "2.mp4").unlink()
    with pytest.raises(ValueError, match=r"2 labels of 2 clips of validation .*: B, c; none is left to validate on"):
        read(root)
    (root / "labels.txt").write_text("a\nb\nc\nB\n")
    training, validation, labels = Data(root=str(root), labels=str(root / "labels.txt")).open()
    assert (len(training), len(validation), labels) == (2, 2, ("a", "b", "c", "B"))


def test_videos_by_their_names(tmp_path):
    root = touch(tmp_path, "a b/x.avi", "c.mp4", "d/1.jpg", "e.npy", "v_f.mkv", "g.h.mp4", "empty/x.txt", "odd.dat")
    videos = Videos(root)
    for name, found in {
        "a b/x.avi": "a b/x.avi",
        "a b/x": "a b/x.avi",
        "a b/x.mp4": "a b/x.avi",
        "a b\\x.avi": "a b/x.avi",
        "./c.mp4": "c.mp4",
        str(root / "c.mp4"): "c.mp4",
        "d": "d",
        "d.mp4": "d",
        "e.mp4": "e.npy",
        "f": "v_f.mkv",
        "g.h": "g.h.mp4",
        "odd.dat": "odd.dat",  # a list may know better
    }.items():
        assert videos.find(name) == root / found, name
    for name in ("x", "c.txt", "empty", "nothing.mp4", "C:\\videos\\c.mp4", "odd"):
        assert videos.find(name) is None, name
    assert videos.find_anywhere("x") == root / "a b" / "x.avi"


def test_all_videos_of_a_tree(tmp_path):
    root = touch(tmp_path / "in", "a/1.jpg", "a/2.jpg", "b/c/x.MTS", "b/thumb.jpg", "y.mp4", "._y.mp4", "notes.pdf")
    (root / "b" / "again").symlink_to(root)  # a loop has an end
    left_out = LeftOut()
    found = [path.relative_to(root).as_posix() for path in videos_under(root, left_out)]
    assert found == ["a", "b/c/x.MTS", "y.mp4"]
    assert left_out.lines() == [
        "left out: hidden files: 1 (in/._y.mp4)",
        "left out: files that are no videos by their suffix: 1 (in/notes.pdf)",
    ]
