"""Lists of labels."""

import pytest
from helpers import shared
from torchvision.models import ResNet50_Weights
from torchvision.models.video import R3D_18_Weights

from actionstream.models.labels import find_background, list_labels, read_labels


def test_the_lists_have_as_many_labels_as_their_data_sets():
    sizes = {name: len(read_labels(name)) for name in list_labels()}
    assert sizes == {
        "activitynet": 200,
        "hmdb51": 51,
        "imagenet": 1000,
        "jester": 27,
        "kinetics400": 400,
        "something-something": 174,
        "thumos14": 20,
        "ucf101": 101,
    }


def test_they_are_in_the_order_of_the_weights():
    assert read_labels("kinetics400") == R3D_18_Weights.DEFAULT.meta["categories"]
    assert read_labels("imagenet") == ResNet50_Weights.DEFAULT.meta["categories"]
    for name in ("activitynet", "hmdb51", "jester", "something-something", "thumos14"):
        assert read_labels(name) == sorted(read_labels(name))


def test_they_are_those_of_the_data_sets():
    assert read_labels("ucf101") == read_labels(shared("data", "ucf101", "classInd.txt"))
    assert set(read_labels("jester")) == set(read_labels(shared("data", "jester", "jester-v1-labels.csv")))
    assert set(read_labels("thumos14")) < set(read_labels("ucf101"))


def test_files(tmp_path):
    path = tmp_path / "labels.txt"
    for text in ("\ufeffwave\n clap \n\n", "0 wave\n1 clap\n", "1, wave\n2, clap", "c000 wave\nc001 clap\n"):
        path.write_text(text, encoding="utf-8")
        assert read_labels(path) == ["wave", "clap"]
    path.write_text("3 pointers\n2 points\n")  # these are no numbers of lines
    assert read_labels(path) == ["3 pointers", "2 points"]


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"wave\n\nclap\n", r"line 2 of .*labels.txt is empty; each line is a label"),
        (b"caf\xe9", r"labels.txt is not text in UTF-8"),
        (b"wave\nclap\nwave\n", "has the label 'wave' twice"),
    ],
)
def test_files_of_no_use(contents, message, tmp_path):
    path = tmp_path / "labels.txt"
    path.write_bytes(contents)
    with pytest.raises(ValueError, match=message):
        read_labels(path)
    with pytest.raises(ValueError, match="no labels 'kinetics': give a file, or one of activitynet"):
        read_labels("kinetics")


def test_which_label_is_background():
    assert find_background(("a", "background")) == "background"
    assert find_background(("nothing", "a")) == "nothing"
    assert find_background(("a", "b")) is None
    assert find_background(("a", "background"), "a") == "a"
    with pytest.raises(ValueError, match=r"no label is called 'c'; there are a, b"):
        find_background(("a", "b"), "c")


def test_a_local_file_wins_over_a_list_of_the_package(tmp_path, monkeypatch):
    (tmp_path / "jester").write_text("wave\nclap\n")
    monkeypatch.chdir(tmp_path)
    with pytest.warns(RuntimeWarning, match="the labels jester are those of the file .*jester, not the list"):
        assert read_labels("jester") == ["wave", "clap"]
    assert len(read_labels("ucf101")) == 101
