"""Archives: many videos, each in a process that it may crash, hang or fill."""

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import images, write_video
from poison import poisoned
from pyarrow.fs import FileInfo, FileType

from actionstream.archives import remote
from actionstream.archives.apart import Apart, Limits
from actionstream.archives.attempts import AttemptLog, read_attempts
from actionstream.archives.features_job import FeaturesJob
from actionstream.archives.job_text import read_job, write_job
from actionstream.archives.label_job import LabelJob
from actionstream.archives.listing import list_videos
from actionstream.archives.on_ray import num_processes
from actionstream.archives.remote import fetched
from actionstream.archives.score_job import ScoreJob, read_scores
from actionstream.archives.settings import FILE, pin
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.training.left_out import LeftOut
from actionstream.sources import open_source
from actionstream.videos.scores import score_video
from actionstream.videos.thumbnails import Thumbnails

LIMITS = Limits(stall_seconds=60, most_bytes=4 << 30)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Three videos in two folders, and a file that is none."""
    folder = tmp_path_factory.mktemp("archive")
    for number, name in enumerate(("june/monday", "june/tuesday", "may/monday")):
        path = folder / f"{name}.mp4"
        path.parent.mkdir(exist_ok=True)
        write_video(path, images(20, seed=number), rate=10)
    (folder / "june" / "notes.txt").write_text("rain")
    return folder


@pytest.fixture
def job(exports):
    return LabelJob(
        model=str(exports / "model.onnx"), runtime="onnx", num_threads=1, kinds=("json", "png", "npz"), threshold=0.3
    )


def test_videos_have_the_names_of_their_places(archive, tmp_path):
    left_out = LeftOut()
    film = str(write_video(tmp_path / "film.mp4", images(3)))
    found = list_videos([str(archive), film, "sample"], left_out)
    assert list(found) == ["june/monday", "june/tuesday", "may/monday", "film", "sample"]
    assert found["may/monday"] == str(archive / "may" / "monday.mp4")
    assert "notes.txt" in " ".join(left_out.lines())
    with pytest.raises(ValueError, match=r"the results of .*film.mp4 and .*film.mp4 would both be named film"):
        list_videos([film, film], LeftOut())


@pytest.mark.parametrize("scheme", ["file", "local"])  # of pyarrow, and of fsspec
def test_videos_at_an_address_are_those_of_the_folder(archive, job, tmp_path, scheme):
    left_out = LeftOut()
    found = list_videos([f"{scheme}://{archive}"], left_out)
    assert list(found) == ["june/monday", "june/tuesday", "may/monday"]
    assert "notes.txt" in " ".join(left_out.lines())
    assert list_videos([f"{scheme}://{archive}/june/monday.mp4"], LeftOut()) == {"monday": found["june/monday"]}
    with closing(Apart(job, tmp_path, LIMITS)) as apart:
        for name, video in (("there", found["may/monday"]), ("here", str(archive / "may" / "monday.mp4"))):
            assert apart(name, video).outcome == "done"
        gone = apart("gone", f"{scheme}://{archive}/gone.mp4")
    assert (gone.outcome, gone.reason.count("\n")) == ("failed", 0)
    assert "gone.mp4 cannot be read" in gone.reason
    assert (tmp_path / "there.npz").read_bytes() == (tmp_path / "here.npz").read_bytes()


@pytest.mark.parametrize("scheme", ["file", "local"])
@pytest.mark.parametrize("root", ["my days", "my%20days"])
def test_names_at_an_address_are_any_text(tmp_path, scheme, root):
    names = ("a b", "100%41?#é", "c+d")
    (tmp_path / "my days").mkdir()
    for name in names:
        (tmp_path / "my days" / f"{name}.mp4").write_text(name)
    found = list_videos([f"{scheme}://{tmp_path}/{root}"], LeftOut())
    assert found.keys() == set(names)
    for name, video in found.items():
        with fetched(video, lambda _: None) as path:
            assert Path(path).read_text() == name


def test_a_video_that_is_named_as_the_settings_is_refused(tmp_path, run):
    """Its results would be there before it was labelled."""
    (tmp_path / "days").mkdir()
    write_video(tmp_path / "days" / "job.mp4", images(3))
    code, _, err = run("label", tmp_path / "days", "-o", tmp_path / "out", "--ray", "127.0.0.1:9")
    assert (code, err.count("\n")) == (2, 1)
    assert "the results of a video named job would take the place of job.json" in err


def test_a_name_that_leads_out_of_the_folder_is_left_out(monkeypatch):
    class Store:
        def get_file_info(self, what):
            if isinstance(what, str):
                return FileInfo(what, type=FileType.Directory)
            paths = ("bucket/videos/../../etc/out.mp4", "bucket/videos/in.mp4")
            return [FileInfo(path, type=FileType.File) for path in paths]

    monkeypatch.setattr(remote, "_open", lambda _: (Store(), "bucket/videos"))
    left_out = LeftOut()
    assert list_videos(["s3://bucket/videos"], left_out) == {"in": "s3://bucket/videos/in.mp4"}
    assert "names that lead out of the folder: 1 (../../etc/out.mp4)" in left_out.lines()[0]


def test_addresses_that_cannot_be_listed(tmp_path, run):
    (tmp_path / "notes.txt").write_text("rain")
    for address, why in (
        (f"file://{tmp_path}", "has no videos"),
        (f"file://{tmp_path}/gone", "cannot be listed"),
        ("rtsp://admin:tulip@camera/stream", "cannot be listed"),
        ("s3://key:tulip@", "cannot be listed"),
    ):
        with pytest.raises(ValueError, match=why) as caught:
            list_videos([address], LeftOut())
        assert "tulip" not in str(caught.value)
    code, _, err = run("label", "s3://key:tulip@bucket/videos")
    assert (code, err.count("\n")) == (2, 1)
    assert "is an address; --ray reads those of files" in err
    assert "tulip" not in err


def test_an_archive_is_labelled_as_its_videos_are(archive, exports, tmp_path, run):
    model = ("--model", exports / "model.onnx", "--scores")
    code, out, err = run("label", archive, "-o", tmp_path / "all", *model)
    assert (code, "notes.txt" in err) == (0, True)
    assert "in 3 videos" in out
    code, _, _ = run("label", archive / "may" / "monday.mp4", "-o", tmp_path / "one", *model)
    assert code == 0
    for suffix in (".png", ".npz"):
        assert (tmp_path / "all" / f"may/monday{suffix}").exists()
    with_folder, alone = (
        json.loads(path.read_text())["results"]
        for path in (tmp_path / "all" / "may" / "monday.json", tmp_path / "one" / "monday.json")
    )
    assert with_folder == {"may/monday": alone["monday"]}


def test_a_process_does_one_video_after_the_other(archive, job, tmp_path):
    with closing(Apart(job, tmp_path, LIMITS)) as apart:
        first = apart("june/monday", str(archive / "june" / "monday.mp4"))
        again = apart("june/monday", str(archive / "june" / "monday.mp4"))
        (tmp_path / "broken.mp4").write_text("no video")
        broken = apart("broken", str(tmp_path / "broken.mp4"))
        missing = apart("missing", str(tmp_path / "missing.mp4"))
        last = apart("may/monday", str(archive / "may" / "monday.mp4"))
    assert (first.outcome, first.tries, first.remarks) == ("done", 1, ())
    assert first.seconds == pytest.approx(1.9)  # the time of the last frame
    assert (again.outcome, again.tries) == ("", 0)  # its results are there
    assert (broken.outcome, broken.tries) == ("failed", 1)
    assert "broken.mp4 is not a video that can be read" in broken.reason
    assert (missing.outcome, "no such file" in missing.reason) == ("failed", True)
    assert last.outcome == "done"
    attempts = read_attempts(tmp_path)
    assert [(each.name, each.number, each.outcome) for each in attempts] == [
        ("june/monday", 1, "done"),
        ("broken", 1, "failed"),
        ("missing", 1, "failed"),
        ("may/monday", 1, "done"),
    ]
    assert all(each.begin_seconds < each.end_seconds for each in attempts)


@pytest.mark.parametrize(
    ("kind", "outcome", "tries", "reason"),
    [
        ("hang", "hung", 2, "no frame for 8 s"),
        ("crash", "died", 2, "the process that reads it was ended by SIGSEGV"),
        ("exit", "died", 2, "the process that reads it ended with exit code 7"),
        ("fill", "failed", 1, "there is too little memory"),
    ],
)
def test_a_video_ends_its_process(kind, outcome, tries, reason, archive, job, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(poisoned(tmp_path / "poison"))
    video = tmp_path / f"{kind}.mp4"
    video.write_bytes((archive / "june" / "monday.mp4").read_bytes())
    with closing(Apart(job, tmp_path, Limits(stall_seconds=8, most_bytes=2 << 30))) as apart:
        found = apart(kind, str(video))
        good = apart("june/monday", str(archive / "june" / "monday.mp4"))
    assert (found.outcome, found.tries) == (outcome, tries)
    assert found.reason.startswith(f"{video}: {reason}")
    assert good.outcome == "done"
    assert [each.outcome for each in read_attempts(tmp_path)] == [outcome] * tries + ["done"]


def test_a_model_that_cannot_be_opened_ends_all(archive, job, tmp_path):
    with (
        closing(Apart(replace(job, runtime="graphs"), tmp_path, LIMITS)) as apart,
        pytest.raises(ValueError, match=r"model.onnx is exported; it runs with onnx or openvino, not with graphs"),
    ):
        apart("june/monday", str(archive / "june" / "monday.mp4"))


def test_an_attempt_that_was_stopped_has_no_end(tmp_path):
    with closing(AttemptLog(tmp_path)) as log:
        log.end(log.begin("a", 1), "hung", "no frame")
        log.begin("b", 2)
    (file,) = (tmp_path / "attempts").iterdir()
    with file.open("a") as lines:
        lines.write('{"name": "c", "numb')
    first, second = read_attempts(tmp_path)
    assert (first.name, first.outcome, first.reason) == ("a", "hung", "no frame")
    assert (second.name, second.number, second.outcome, second.end_seconds) == ("b", 2, "", None)


def test_a_second_run_is_made_with_the_same(job, exports, tmp_path, monkeypatch):
    monkeypatch.setenv("ACTIONSTREAM_CACHE", str(tmp_path / "cache"))
    model = tmp_path / "model.onnx"
    model.write_bytes((exports / "model.onnx").read_bytes())
    asked = replace(job, model=str(model), runtime="auto", num_threads=None)
    pinned = pin(asked, tmp_path, num_threads=2)
    assert (pinned.runtime, pinned.precision, pinned.device, pinned.num_threads) == ("onnx", "float32", "cpu", 2)
    assert pin(asked, tmp_path, num_threads=1) == pinned
    with pytest.raises(ValueError, match=r"results that were made with threshold 0.3, not 0.5; take another folder"):
        pin(replace(asked, threshold=0.5), tmp_path, num_threads=2)
    model.write_bytes(model.read_bytes() + b" ")
    with pytest.raises(ValueError, match=r"has results of another file .*model.onnx; take another folder"):
        pin(asked, tmp_path, num_threads=2)
    (tmp_path / FILE).write_text("{")
    with pytest.raises(ValueError, match=r"job.json: no whole JSON"):
        pin(asked, tmp_path, num_threads=2)


def test_kept_scores_are_read_again_or_are_damaged(archive, exports, tmp_path):
    job = ScoreJob(model=str(exports / "model.onnx"), runtime="onnx", num_threads=1, with_pictures=True)
    seen = []
    assert job.open()(str(archive / "june" / "monday.mp4"), tmp_path, "june/monday", seen.append) == []
    assert len(seen) == 20
    assert job.is_done(tmp_path, "june/monday")
    scores, thumbnails = read_scores(tmp_path, "june/monday")
    looked = Thumbnails()
    expected = score_video(open_source(archive / "june" / "monday.mp4"), job.open_scorer(), look=looked.push)
    np.testing.assert_array_equal(scores.scores, expected.scores)
    np.testing.assert_array_equal(scores.begins_anew, expected.begins_anew)
    assert (scores.duration_seconds, scores.cut_short) == (expected.duration_seconds, None)
    for (time, picture), (expected_time, expected_picture) in zip(thumbnails.kept, looked.kept, strict=True):
        assert time == expected_time
        np.testing.assert_array_equal(picture, expected_picture)
    (file,) = (tmp_path / "june").iterdir()
    whole = file.read_bytes()
    for damaged in (b"", b"cut", whole[:-200], whole[:100], whole[:300] + bytes(200) + whole[500:]):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"monday.scores.npz is damaged; remove it, and run the command again"):
            read_scores(tmp_path, "june/monday")


def test_features_of_a_long_video_tell_that_they_go_on(archive, tmp_path):
    job = FeaturesJob(model="motion", weights=None, num_segments=65, device="cpu")
    seen = []
    assert job.open()(str(archive / "june" / "monday.mp4"), tmp_path, "monday", seen.append) == []
    assert job.is_done(tmp_path, "monday")
    assert len(seen) == 9  # 65 segments of 8 frames, 64 frames at once


def test_a_job_of_another_version():
    job = ScoreJob(model="motion")
    assert read_job(write_job(job)) == job
    with pytest.raises(ValueError, match="the job is a CountJob; expected FeaturesJob, LabelJob, ScoreJob"):
        read_job("CountJob {}")


@pytest.mark.parametrize(
    ("resources", "num_cpus", "num_gpus", "num"),
    [
        ({"CPU": 16}, 1, 0, 16),
        ({"CPU": 16}, 3, 0, 5),
        ({"CPU": 2}, 4, 0, 1),
        ({"CPU": 16, "GPU": 2}, 1, 1, 2),
        ({"CPU": 3, "GPU": 2}, 1, 0.5, 3),
        ({"CPU": 16, "GPU": 2}, 1, 0.4, 4),
        ({"CPU": 16, "GPU": 1}, 1, 0.1, 10),
    ],
)
def test_processes_have_their_share_of_the_cluster(resources, num_cpus, num_gpus, num):
    assert num_processes(resources, num_cpus, num_gpus) == num


def test_a_cluster_without_gpus_is_refused_where_they_are_asked_for():
    with pytest.raises(ActionstreamError, match="no machine of the cluster has a GPU; give --device cpu"):
        num_processes({"CPU": 16}, 1, 0.25)
