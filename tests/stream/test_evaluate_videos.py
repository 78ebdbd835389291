"""The command `evaluate --videos`."""

import json
import shutil

import numpy as np
import pytest
from evaluation import segments, truth
from helpers import images, write_video

from actionstream.commands.evaluate_videos import THRESHOLDED, UNIFORM
from actionstream.evaluation import activitynet, thumos14
from actionstream.models import read_card
from actionstream.sources import SAMPLE

MOVEMENTS = ["right", "left", "down", "up", "shaking", "closer", "away", "clockwise", "anticlockwise"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The sample in a folder, under the name that ActivityNet's downloads have, and the truth of it and of others."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos" / "deep").mkdir(parents=True)
    shutil.copy(SAMPLE, tmp_path / "videos" / "deep" / "v_sample.mp4")
    (tmp_path / "videos" / "broken.mkv").write_text("no video")
    (tmp_path / "videos" / "other.mp4").write_text("not of the truth")
    rows = [("sample", 2 * n, 2 * n + 2, label) for n, label in enumerate(MOVEMENTS, 1)]
    known = truth(*rows, ("gone", 3, 40, "fly"), videos=["broken"], labels=["still"])
    activitynet.write_truth(tmp_path / "truth.json", known, subset="validation")
    return tmp_path


def test_detection(run, folder):
    """The figures are those of the file that was written, which `evaluate --results` gives again."""
    arguments = ["evaluate", "activitynet", "--truth", "truth.json", "--iou", 0.3, "--iou", 0.6]
    code, out, err = run(*arguments, "--videos", "videos", "--results", "mine.json", "--background", "still", "--json")
    figures = json.loads(out)
    assert code == 1, "one could not be labelled"
    assert err.splitlines() == [
        "actionstream: left out: videos that are not there: 1 (gone)",
        "actionstream: broken.mkv is not a video that can be read: invalid data found when processing input",
    ]
    (folder / "gone.txt").write_text("gone")
    _, again, _ = run(*arguments, "--results", "mine.json", "--blocked", "gone.txt", "--json")
    again = json.loads(again)
    assert {name: figures[name] for name in ("mAP", "average_mAP", "AP", "results")} == {
        name: again[name] for name in ("mAP", "average_mAP", "AP", "results")
    }
    assert figures["AP"]["left"]["0.6"] == 1
    assert figures["mAP"]["0.3"] == 1, "a video that is not there does not count"
    assert figures["remarks"] == {
        "labels_without_truth": 2,
        "videos_not_there": 1,
        "videos_not_labelled": 1,
    }
    assert json.loads((folder / "mine.json").read_text())["results"].keys() == {"sample"}
    beside = figures["baselines"]
    assert list(beside) == [UNIFORM, THRESHOLDED]
    for each in beside.values():
        assert 0 < each["average_mAP"] <= figures["average_mAP"]
    assert beside[UNIFORM]["mAP"]["0.3"] < 0.5
    assert "online" not in again, "a file of results has no rows, and no announcements"
    online = figures["online"]
    assert (online["videos"], online["hours"]) == (1, pytest.approx(22 / 3600, rel=0.01))
    assert 0.9 < online["frame_mAP"] < online["frame_calibrated_mAP"] <= 1
    assert list(online["start_mAP"]) == [str(n) for n in range(1, 11)]
    assert online["start_mAP"]["1"] == online["F1"]["0.25"] == 1
    assert list(online["segments_by_class"]) == sorted(MOVEMENTS), "those of the model"
    every = online["segments"]
    assert [every[name] for name in ("true", "announced", "in_time", "repeated", "false_alarms")] == [9, 9, 9, 0, 0]
    assert 0.3 < every["lateness_seconds_median"] <= every["lateness_seconds_p90"] < 1
    code, _, err = run(*arguments, "--videos", "videos", "--results", "mine.json")
    assert (code, "mine.json is there already; remove it, or give another name" in err) == (2, True)


def test_the_screen_and_labels_that_are_not_of_the_truth(run, folder):
    """`still` is no label of the background here, and unknown to the truth: it is counted, and does not count."""
    thumos14.write_annotations(folder / "annotation", truth(("sample", 2, 4, "right"), ("sample", 4, 6, "left")))
    code, out, _ = run("evaluate", "thumos14", "--truth", "annotation", "--videos", "videos", "--iou", 0.5)
    lines = [line.split() for line in out.splitlines() if line.strip()]
    assert code == 0
    assert ["mAP", "100.00", "100.00"] in lines
    assert [line[:-2] for line in lines if line[0] in ("uniform", "thresholded")] == [
        UNIFORM.split(),
        THRESHOLDED.split(),
    ]
    found = activitynet.read_results(folder / "results.json", task="detection")
    unknown = np.count_nonzero(~np.isin(found.labels, ["left", "right"]))
    assert f"results of labels that the truth does not know, which do not count: {unknown}" in out


def test_the_online_figures_on_the_screen_and_pictures(run, folder):
    """One that starts 1.8 s before the model sees it is late; `still`, with annotations elsewhere, is a false alarm."""
    rows = [("sample", 2, 4, "right"), ("sample", 4.2, 8, "down"), ("sample", 1, 21, "up"), ("gone", 0, 1, "still")]
    activitynet.write_truth(folder / "few.json", truth(*rows), subset="validation")
    few = ["evaluate", "activitynet", "--truth", "few.json", "--videos", "videos", "--pictures", "pictures/new"]
    code, out, _ = run(*few)
    lines = [line.split() for line in out.splitlines() if line.strip()]
    assert code == 0
    totals = next(line for line in lines if line[0] == "all")
    assert (totals[1:4], totals[6:8]) == (["3", "3", "1"], ["0", "2"]), "number, announced, in 1 s; repeated, false"
    for words in (["mAP", "of", "frames"], ["calibrated", "mAP"], ["mAP", "of", "starts"], ["F1", "of", "segments"]):
        assert any(line[: len(words)] == words for line in lines)
    assert "videos of the truth that were not there, and do not count: 1 (gone)" in out
    assert [path.name for path in (folder / "pictures" / "new").iterdir()] == ["sample.png"]
    (folder / "results.json").unlink()
    (folder / "pictures" / "new" / "sample.png").unlink()
    (folder / "pictures" / "new" / "sample.png").mkdir()
    code, out, err = run(*few)
    assert (code, "sample.png cannot be written" in err, "mAP of frames" in out) == (1, True, True)


def test_truth_that_is_odd_is_counted_named_and_passed_over(run, folder):
    """Beyond the end of the video, an end before the start, a video that is not there, and one that is none."""
    segment = {"right": [2, 4], "left": [4, 90], "down": [9, 7], "up": [100, 120]}
    entries = [{"segment": span, "label": label} for label, span in segment.items()]
    database = {
        name: {"subset": "validation", "duration": 22, "annotations": entries} for name in ("sample", "gone", "broken")
    }
    (folder / "odd.json").write_text(json.dumps({"taxonomy": [], "database": database}))
    arguments = ["--truth", "odd.json", "--videos", "videos", "--pictures", "pictures"]
    code, out, err = run("evaluate", "activitynet", *arguments, "--json")
    figures = json.loads(out)
    assert code == 1
    assert "videos that are not there: 1 (gone)" in err
    assert "broken.mkv is not a video that can be read" in err
    assert figures["remarks"]["annotations_beyond_the_end"] == 4
    assert figures["remarks"]["annotations_without_duration"] == 2
    assert figures["remarks_on"]["annotations_without_duration"] == ["sample", "broken"]
    assert figures["remarks_on"]["videos_not_there"] == ["gone"]
    assert figures["remarks_on"]["videos_not_labelled"] == ["broken"]
    assert (figures["online"]["segments"]["true"], figures["online"]["segments"]["announced"]) == (4, 2)
    assert figures["AP"]["right"]["0.5"] == pytest.approx(1 / 2), "one of the two that are there can be read"
    assert (folder / "pictures" / "sample.png").exists()


def test_a_table_that_names_a_video_by_its_path(run, folder):
    """It has no durations, so that of the video counts; the picture lies in the folder of pictures."""
    header = "video,start_seconds,end_seconds,label"
    (folder / "t.csv").write_text(f"{header}\ndeep/v_sample,2,4,right\ndeep/v_sample,25,28,left\n")
    arguments = ["--truth", "t.csv", "--videos", "videos", "--pictures", "pictures"]
    code, out, _ = run("evaluate", "activitynet", *arguments, "--json")
    assert (code, json.loads(out)["remarks"]["annotations_beyond_the_end"]) == (0, 1)
    assert [path.name for path in (folder / "pictures").iterdir()] == ["deep-v_sample.png"]


def test_classification(run, folder):
    arguments = ["--truth", "truth.json", "--task", "classification", "--videos", "videos"]
    code, out, _ = run("evaluate", "activitynet", *arguments, "--background", "still", "--json")
    figures = json.loads(out)
    assert code == 1
    assert figures["mAP"] == 1
    assert "baselines" not in figures
    found = activitynet.read_results(folder / "results.json", task="classification")
    assert set(found.labels) == set(read_card("motion").labels) - {"still"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "evaluate has no results; give --results FILE, or --videos DIR and a --model"),
        (["--videos", "nowhere"], "no folder nowhere; --videos is one with the videos of the truth"),
        (["--videos", "twice"], "the video sample is there twice, twice/sample.mkv and twice/v_sample.mp4; remove one"),
        (["--videos", "unreadable"], "none of the 1 videos could be labelled: results.json is not written"),
        (["--videos", "quiet"], "none of the 1 videos of the truth in quiet has annotations"),
        (["--results", "r.json", "--device", "cpu"], "--device is for --videos, which are labelled first"),
        (["--results", "r.json", "--model", "motion"], "--model is for --videos"),
        (["--results", "r.json", "--pictures", "p"], "--pictures is for --videos"),
        (["--videos", "videos", "--pictures", "p", "--task", "proposals"], "--pictures is for detection"),
        (["--videos", "clips"], "clips has none of the 3 videos of the truth, such as broken.mp4, but 1 others"),
        (["--videos", "videos", "--results", "gone/r.json"], "no folder gone for the results"),
        (["--videos", "videos", "--background", "swim"], "no label is called 'swim'"),
        (["--videos", "videos", "--model", "random.safetensors"], "random.safetensors has no label of the truth"),
        (["--videos", "videos", "--truth", "whole.json"], "an annotation of video sample has no start and end"),
        (["--videos", "videos", "--iou", "30"], "--iou is 30.0; expected a number from 0 to 1"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_labelled(run, folder, checkpoint, arguments, message):
    shutil.copy(checkpoint, folder / "random.safetensors")
    whole = {"subset": "validation", "duration": 22, "annotations": [{"label": "left"}]}
    (folder / "whole.json").write_text(json.dumps({"taxonomy": [], "database": {"sample": whole}}))
    (folder / "clips").mkdir()
    write_video(folder / "clips" / "a.mp4", images(3))
    for name in ("twice/sample.mkv", "twice/v_sample.mp4", "unreadable/sample.mp4", "quiet/broken.mp4"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("no video")
    code, _, err = run("evaluate", "activitynet", "--truth", "truth.json", *arguments)
    assert (code, err.count("\n")) == (2, 1 + 2 * ("unreadable" in arguments)), "what is left out, too"
    assert message in err
    assert not (folder / "results.json").exists()


def test_truth_and_results_that_are_odd(run, folder):
    """What is beyond the end, twice, unknown, empty or cut in half is counted, or said in a line."""
    text = json.dumps(
        {
            "taxonomy": [{"nodeName": "fly"}],
            "database": {
                "a": {
                    "subset": "validation",
                    "duration": 5,
                    "annotations": [{"segment": segment, "label": "wave"} for segment in ([1, 9], [2, 3], [2, 3])],
                }
            },
        }
    )
    (folder / "odd.json").write_text(text)
    results = folder / "r.json"
    evaluate = ["evaluate", "activitynet", "--truth", "odd.json", "--results", results]
    activitynet.write_results(results, segments(*[("a", 2, 3, "wave", 0.5)] * 3, ("z", 2, 2, "wave", 0.1)))
    code, out, _ = run(*evaluate)
    assert code == 0
    for line in (
        "annotations that reach beyond the end of their video: 1",
        "annotations that are there twice: 1",
        "labels without an annotation in this subset, which do not count: 1",
        "videos of the results that are not in the truth: 1",
        "results that end where they start, or before: 1",
        "results that are there twice: 2",
    ):
        assert line in out
    activitynet.write_results(results, segments(("a", 2, 3, "swim", 0.5), ("a", 2, 3, "wave", 0.5)))
    code, _, err = run(*evaluate)
    assert (code, "1 labels of the results are not in the truth: 'swim'" in err, err.count("\n")) == (2, True, 1)
    activitynet.write_results(results, segments())
    code, out, _ = run(*evaluate)
    assert (code, "0 results" in out, "videos with annotations that have no results: 1" in out) == (0, True, True)
    activitynet.write_results(results, segments(("a", 2, 3, "wave", 0.5)))
    results.write_text(results.read_text()[:60])
    code, _, err = run(*evaluate)
    assert (code, "it may have been cut short" in err, err.count("\n")) == (2, True, 1)
