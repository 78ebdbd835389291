"""Files of labels: read by their numbers, whatever the layout, or refused; never off by one."""

import gzip
import json

import pytest

from actionstream.models.common import limits
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import read_text
from actionstream.models.labels.files import read_label_file

LABELS = ["right", "left", "point up"]


@pytest.mark.parametrize(
    "text",
    [
        "right\nleft\npoint up\n",
        "right\r\nleft\r\npoint up\r\n\r\n",
        "right  \n left\t\npoint up",
        "0 right\n1 left\n2 point up\n",
        "1 right\n2 left\n3 point up\n",  # classInd.txt of UCF101
        "c000 right\nc001 left\nc002 point up\n",  # Charades
        "0\tright\n1\tleft\n2\tpoint up\n",
        "0,right\n1,left\n2,point up\n",
        '0,"right"\n1,"left"\n2,"point up"\n',
        "0: right\n1: left\n2: point up\n",
        "right,0\nleft,1\npoint up,2\n",
        "right;1\nleft;2\npoint up;3\n",
        "right 0\nleft 1\npoint up 2\n",
        "2 point up\n0 right\n1 left\n",  # the numbers say the order
        "left,1\npoint up,2\nright,0\n",
        "id,name\n0,right\n1,left\n2,point up\n",
        "id;name\r\n1;right\r\n2;left\r\n3;point up\r\n",
        "name\tid\nright\t0\nleft\t1\npoint up\t2\n",
        "label,name\n0,right\n1,left\n2,point up\n",
        "class,label\nright,0\nleft,1\npoint up,2\n",
        ",label\n2,point up\n0,right\n1,left\n",  # as pandas writes an index
        "index,mid,display_name\n0,/m/1,right\n1,/m/2,left\n2,/m/3,point up\n",  # AudioSet
        "nummer;bezeichnung\n0;right\n1;left\n2;point up\n",
        '"id","name"\n"0","right"\n"1","left"\n"2","point up"\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text(text, encoding, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_bytes(text.encode(encoding))
    assert read_label_file(path) == LABELS


@pytest.mark.parametrize(
    "value",
    [
        LABELS,
        {"right": 0, "left": 1, "point up": 2},
        {"point up": "2", "left": "1", "right": "0"},  # Something-Something's
        {"0": "right", "1": "left", "2": "point up"},
        {"1": "right", "3": "point up", "2": "left"},
        [{"id": 1, "name": "left"}, {"name": "right", "id": 0}, {"id": 2, "name": "point up"}],
        {"classes": LABELS},
        {"model_type": "x", "id2label": {"0": "right", "1": "left", "2": "point up"}},
    ],
)
@pytest.mark.parametrize("name", ["labels.json", "labels.txt"])
def test_json(value, name, tmp_path):
    (tmp_path / name).write_text(json.dumps(value), encoding="utf-8-sig")
    assert read_label_file(tmp_path / name) == LABELS


@pytest.mark.parametrize(
    "labels",
    [
        ["3 pointers", "2 points"],
        ["step 1", "step 2", "step 3"],
        ["tench, Tinca tinca", "goldfish, Carassius auratus"],
        ["[Something] falling", "{odd}"],
        ["upper class", "middle class"],
    ],
)
def test_numbers_and_marks_that_belong_to_labels(labels, tmp_path):
    (tmp_path / "labels.txt").write_text("\n".join(labels))
    assert read_label_file(tmp_path / "labels.txt") == labels


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", b"wave\n\nclap\n", r"line 2 of .*a.txt is empty; each line is a label"),
        ("a.txt", b"wave\ncaf\xe9\n", r"a.txt is not text in UTF-8 \(line 2: .*save it as UTF-8"),
        ("a.txt", b"wave\nclap\nwave\n", "has the label 'wave' twice"),
        ("a.csv", b"0,wave\n1,wave\n", "has the label 'wave' twice"),
        ("a.txt", b"name\nwave\nclap\n", "line 1 of .* is 'name', which may be a header or a label; remove a header"),
        ("a.csv", b"name,comment\nwave,x\nclap,y\n", "line 1 of .* is 'name, comment', which looks like a header"),
        ("a.csv", b"id,name\n0,wave\n1,clap, fast\n", "line 3 of .* has 3 fields; expected id, name"),
        ("a.txt", b"gestures\n0 wave\n1 clap\n", "line 1 of .* is 'gestures', and the others begin with their numbers"),
        ("a.csv", b"0,wave\n2,clap\n", r"has 2 labels with numbers, and 1 is not there; expected each number from 0"),
        ("a.csv", b"id,name\n0,wave\n1,clap\n1,nod\n", r"has 3 labels with numbers, and 1 \('nod'\) is there twice"),
        ("a.txt", b"0 wave\n1 clap\n3 nod\n", "2 is not there"),
        ("a.json", b'{"wave": 0, "clap": 0}', r"0 \('clap'\) is there twice"),
        ("a.json", b'{"wave": 0, "wave": 1}', "a.json cannot be read as labels in JSON: 'wave' is there twice"),
        ("a.json", b'{"wave": [1]}', "a.json has other JSON; expected a list of labels"),
        ("a.json", b"[1, 2]", "a.json has other JSON"),
        ("a.json", b"wave\nclap\n", "a.json cannot be read as labels in JSON"),
        ("a.txt", b"", "line 1 of .* is empty"),
    ],
)
def test_what_may_be_off_by_one_is_refused(name, text, message, tmp_path):
    (tmp_path / name).write_bytes(text)
    with pytest.raises(ValueError, match=message):
        read_label_file(tmp_path / name)


def test_text_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setenv("ACTIONSTREAM_MAX_TEXT_BYTES", "1000")
    (tmp_path / "bomb.txt.gz").write_bytes(gzip.compress(b"wave\n" * 10**6))
    with pytest.raises(ActionstreamError, match=r"bomb.txt.gz is longer than 1,000 bytes, .*MAX_TEXT_BYTES"):
        read_text(tmp_path / "bomb.txt.gz")
    (tmp_path / "a.txt").write_bytes(b"wave\ncl\0ap\n")
    with pytest.raises(ActionstreamError, match=r"a\.txt is not text: line 2 has a NUL"):
        read_text(tmp_path / "a.txt")


@pytest.mark.parametrize("wrong", ["", "0", "-1", "1e6", "much", str(2**60)])
def test_limits_in_the_environment_are_numbers(monkeypatch, wrong):
    for variable, limit in (
        ("ACTIONSTREAM_MAX_TEXT_BYTES", limits.max_text_bytes),
        ("ACTIONSTREAM_MAX_WEIGHTS_BYTES", limits.max_weights_bytes),
        ("ACTIONSTREAM_MAX_PIXELS", limits.max_pixels),
    ):
        monkeypatch.setenv(variable, "1000")
        assert limit() == 1000
        monkeypatch.setenv(variable, wrong)
        with pytest.raises(ValueError, match=f"{variable} is '{wrong}'; expected a number of (bytes|pixels) from 1 to"):
            limit()
