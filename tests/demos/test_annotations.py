"""The file of annotations, and the projects of the tab Annotate, without a browser."""

import json
import threading

import pytest
from helpers import images, touch, write_video

from actionstream.demos.page.annotations import Annotations, Changed, Entry, LabelChange
from actionstream.demos.page.projects import open_folder
from actionstream.evaluation.activitynet import read_truth
from actionstream.models.common.errors import ActionstreamError

OTHERS = {
    "version": "VERSION 1.3",
    "made by": {"somebody": [1, 2]},
    "taxonomy": [
        {"nodeName": "Root", "nodeId": 0, "parentName": None},
        {"nodeName": "wave", "nodeId": 1, "parentName": "Root", "color": "#112233"},
        {"nodeName": "clap", "nodeId": 2, "parentName": "Root", "color": "url(//evil.example)"},
    ],
    "database": {
        "film": {
            "subset": "validation",
            "url": "https://films.example/film",
            "duration": 9.5,
            "annotations": [
                {"label": "wave", "segment": [1.0, 2.5], "by": "me"},
                {"label": "nod", "segment": ["3", "4.0"]},
                {"label": "clap"},
                {"label": "clap", "segment": [8, 5]},
            ],
        },
        "elsewhere": {"subset": "testing", "duration": 3.0, "annotations": [{"label": "wave", "segment": [0, 1]}]},
    },
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "segments.json"
    path.write_text(json.dumps(OTHERS))
    return path


def opened(path, **options):
    return Annotations(path, **{"max_bytes": 1e6, **options})


def entry(file, video, *segments, **more):
    """What a page sends that has seen the newest entry, and adds segments."""
    seen = file.entry(video)
    known = {key: seen[key] for key in ("version", "annotations", "proposals", "reviewed")}
    known["annotations"] = [*known["annotations"], *segments]
    return Entry(**{"video": video, "duration": seen["duration"] or 9.0, **known, **more})


def segment(label="wave", start=5.0, end=6.0):
    return {"label": label, "segment": [start, end]}


def test_what_the_page_does_not_know_stays(path):
    annotations = opened(path)
    annotations.save(entry(annotations, "film", segment(), reviewed=True))
    wanted = json.loads(json.dumps(OTHERS))
    wanted["database"]["film"]["annotations"].append(segment())
    wanted["database"]["film"]["reviewed"] = True
    assert json.loads(path.read_text()) == wanted
    annotations.save(entry(annotations, "film", reviewed=False))
    wanted["database"]["film"]["reviewed"] = False
    assert json.loads(path.read_text()) == wanted


def test_a_new_file_is_one_for_training(tmp_path):
    annotations = opened(tmp_path / "new" / "segments.json", labels=["wave", "nod", "wave"])
    annotations.save(entry(annotations, "film", segment(), proposals=[{**segment("nod"), "score": 0.5}]))
    truth = read_truth(tmp_path / "new" / "segments.json", subset="training")
    assert list(truth.segments.rows()) == [("film", 5.0, 6.0, "wave", 1.0)]
    assert (truth.durations_seconds, truth.labels) == ({"film": 9.0}, ("nod", "wave"))
    assert annotations.entry("film")["proposals"] == [{**segment("nod"), "score": 0.5}]


def test_an_entry_that_somebody_else_changed_is_not_replaced(path):
    """By another page, or by another program: each has seen a version, and one of them is late."""
    annotations = opened(path)
    first, second = entry(annotations, "film", segment()), entry(annotations, "film", segment("clap"))
    version = annotations.save(first)
    with pytest.raises(Changed, match="film was changed in another tab or by another program"):
        annotations.save(second)
    assert annotations.entry("film")["version"] == version
    late = entry(annotations, "film", segment("clap"))
    data = json.loads(path.read_text())
    data["database"]["film"]["annotations"].clear()
    path.write_text(json.dumps(data))
    with pytest.raises(Changed, match="film was changed"):
        annotations.save(late)
    annotations.save(entry(annotations, "elsewhere", segment()))  # another video of the same file
    assert json.loads(path.read_text())["database"]["film"]["annotations"] == []


def test_many_threads_lose_nothing(path):
    annotations = opened(path)

    def work(video):
        for number in range(10):
            annotations.save(entry(annotations, video, segment(start=number, end=number + 1)))

    threads = [threading.Thread(target=work, args=(f"film {n}",)) for n in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    database = json.loads(path.read_text())["database"]
    assert [len(database[f"film {n}"]["annotations"]) for n in range(4)] == [10] * 4


def test_labels(path):
    """Groups of the taxonomy are none; a color is a color."""
    annotations = opened(path, labels=["wave", "jump"])
    assert annotations.labels() == [
        {"name": "wave", "color": "#112233"}, {"name": "clap"}, {"name": "jump"}, {"name": "nod"},
    ]  # fmt: skip
    annotations.change_label(LabelChange(was="wave", name="greet"))
    annotations.change_label(LabelChange(was="nod", name="nod", color="#aabbcc"))
    annotations.change_label(LabelChange(was="jump", name=None))
    annotations.change_label(LabelChange(was=None, name="sit", color="#000000"))
    assert annotations.labels() == [
        {"name": "greet", "color": "#112233"}, {"name": "clap"},
        {"name": "nod", "color": "#aabbcc"}, {"name": "sit", "color": "#000000"},
    ]  # fmt: skip
    data = json.loads(path.read_text())
    assert data["taxonomy"][:2] == [OTHERS["taxonomy"][0], {**OTHERS["taxonomy"][1], "nodeName": "greet"}]
    assert [video["annotations"][0]["label"] for video in data["database"].values()] == ["greet", "greet"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"was": None, "name": "clap"}, "there is a label clap already"),
        ({"was": "wave", "name": "clap"}, "there is a label clap already"),
        ({"was": "sit", "name": "stand"}, "there is no label sit"),
        ({"was": "clap", "name": None}, "clap has 2 segments in all videos; delete them first"),
        ({"was": None, "name": " "}, "expected 1 to 200 printable characters"),
        ({"was": None, "name": "a\nb"}, "expected 1 to 200 printable characters"),
        ({"was": None, "name": "a", "color": "red; x"}, "the color is 'red; x'; expected one such as #1c7ed6"),
    ],
)
def test_labels_that_make_no_sense(path, change, words):
    before = path.read_text()
    with pytest.raises(ActionstreamError, match=words):
        opened(path).change_label(LabelChange(**change))
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (segment(end=5.0), "expected a start before its end"),
        (segment(start=-1.0), "expected a start before its end"),
        (segment(end=float("inf")), "is not finite"),
        (segment(end=float("nan")), "is not finite"),
        (segment(end=1e300), "expected a start before its end"),
        (segment(end="9"), "has no times"),
        (segment(start=False), "has no times"),
        ({"label": "wave"}, "has no times"),
        ({"segment": [1, 2]}, "a segment has no label"),
        (segment(label=5), "a segment has no label"),
        (segment(label="\ud800"), "expected 1 to 200 printable characters"),
        ({**segment(), "deep": [[[{"x": float("nan")}]]]}, "is not finite"),
    ],
)
def test_segments_that_make_no_sense(path, wrong, words):
    """Those that the file has already are kept: somebody else wrote them."""
    annotations, before = opened(path), path.read_text()
    for more in ({"annotations": [wrong]}, {"proposals": [wrong]}):
        with pytest.raises(ActionstreamError, match=words):
            annotations.save(entry(annotations, "film", **more))
    assert path.read_text() == before


def test_a_file_does_not_grow_without_end(path):
    """Neither by segments nor by the name of their label."""
    annotations = opened(path, max_bytes=20_000)
    annotations.save(entry(annotations, "film", *[segment("a", n, n + 1) for n in range(300)]))
    before = path.read_text()
    with pytest.raises(ActionstreamError, match="the most are 20,000"):
        annotations.save(entry(annotations, "film", *[segment("b", n, n + 1) for n in range(300)]))
    with pytest.raises(ActionstreamError, match="the most are 20,000"):
        annotations.change_label(LabelChange(was="a", name="\N{GRINNING FACE}" * 200))
    assert path.read_text() == before
    assert "a" in {each["name"] for each in annotations.labels()}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "expected an object"),
        ("{", "no whole JSON"),
        ('{"database": []}', "has no object 'database'"),
        ('{"database": {}, "taxonomy": {}}', "taxonomy is no list of labels"),
    ],
)
def test_other_files_are_not_opened(tmp_path, text, words):
    (tmp_path / "segments.json").write_text(text)
    with pytest.raises(ActionstreamError, match=words):
        opened(tmp_path / "segments.json")
    assert (tmp_path / "segments.json").read_text() == text


@pytest.mark.parametrize("broken", [[], {"annotations": 5}, {"annotations": [{"label": "a", "segment": [0, 1e999]}]}])
def test_a_video_in_another_layout_is_not_opened(tmp_path, broken):
    (tmp_path / "segments.json").write_text(json.dumps({"database": {"film": broken or 7, "other": {}}}))
    annotations = opened(tmp_path / "segments.json")
    with pytest.raises(ActionstreamError, match=r"video film of segments\.json"):
        annotations.entry("film")
    assert annotations.counts(["film", "other", "new"])[1:] == [
        {"name": name, "segments": 0, "reviewed": False} for name in ("other", "new")
    ]
    assert annotations.entry("other")["annotations"] == []


def test_the_videos_of_a_folder(tmp_path, path):
    """By their names in the file that goes on; what is hidden, or no video, is none."""
    folder = touch(
        tmp_path / "videos", "b.mp4", "film.mkv", "elsewhere.avi", "a.webm", ".c.mp4", "notes.txt", "in/d.mp4"
    )
    data = {**OTHERS, "database": {**OTHERS["database"], "b.mp4": {"subset": "training"}}}
    path.write_text(json.dumps(data))
    project = open_folder([folder], path, labels="wave, sit")
    assert list(project.videos) == ["a", "b.mp4", "elsewhere", "film"]
    assert project.state()["file"] == str(path)
    train, annotate = project.state()["commands"].splitlines()
    assert train == f"actionstream train --data {folder} --annotations {path} -o runs/live"
    assert annotate == f"actionstream annotate {folder} -o {path} --model runs/live"
    assert "sit" in {each["name"] for each in project.state()["labels"]}
    assert list(open_folder([folder / "a.webm", folder / "in"], path, labels=None).videos) == ["a", "d"]
    (tmp_path / "labels.txt").write_text("one\ntwo\n")
    for labels, message in ((" ,", "--labels is ' ,'; expected names"), ("lables.txt", "lables.txt")):
        with pytest.raises(ActionstreamError, match=message):
            open_folder([folder], tmp_path / "none.json", labels=labels)
    assert not (tmp_path / "none.json").exists()
    named = open_folder([folder], tmp_path / "new.json", labels=str(tmp_path / "labels.txt"))
    assert [each["name"] for each in named.state()["labels"]] == ["one", "two"]


@pytest.mark.parametrize(
    ("videos", "out", "words"),
    [
        ("nothing", "out.json", "no file or folder"),
        ("empty", "out.json", "has no video"),
        ("twice", "out.json", "have the same name"),
        ("twice", "out.csv", "expected a name that ends in .json"),
        ("twice", "empty.json", "cannot be written"),
    ],
)
def test_what_cannot_be_annotated(run, tmp_path, videos, out, words):
    touch(tmp_path, "empty/notes.txt", "twice/a.mp4", "twice/a.mkv", "empty.json/x")
    code, printed, err = run("annotate", tmp_path / videos, "-o", tmp_path / out)
    assert (code, printed, len(err.splitlines())) == (2, "", 1)
    assert words in err


def test_only_this_machine_gets_the_folder(run, monkeypatch, tmp_path):
    """There is no option for another address."""
    given = []
    monkeypatch.setattr("actionstream.demos.page.server.serve", lambda **options: given.append(options))
    command = (
        "annotate",
        touch(tmp_path / "videos", "a.mp4"),
        "-o",
        tmp_path / "segments.json",
        "--labels",
        "wave,nod",
    )
    assert run(*command)[0] == 0
    assert (given[0]["host"], given[0]["share"], given[0]["proxies"]) == ("127.0.0.1", False, ())
    assert list(given[0]["project"].videos) == ["a"]
    assert [each["nodeName"] for each in json.loads((tmp_path / "segments.json").read_text())["taxonomy"]] == [
        "wave", "nod",
    ]  # fmt: skip
    assert run(*command, "--host", "0.0.0.0")[0] == 2
    assert len(given) == 1


def test_the_length_of_a_video(tmp_path):
    """As its file says, unless the annotations say it."""
    write_video(tmp_path / "film.mp4", images(20), rate=10)
    project = open_folder([tmp_path], tmp_path / "segments.json", labels=None)
    found = project.entry("film")
    assert (found["duration"], found["rate"]) == (pytest.approx(2.0), 10)
    project.annotations.save(entry(project.annotations, "film", duration=1.75))
    assert project.entry("film")["duration"] == 1.75
    with pytest.raises(ActionstreamError, match="no video 'other' is open here"):
        project.entry("other")
