"""An archive on a cluster of several nodes: a worker, a node and the driver are killed in the middle."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from helpers import images, write_video
from poison import poisoned
from pyarrow import parquet

from actionstream.archives.attempts import read_attempts

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

NUM_VIDEOS = int(os.environ.get("ACTIONSTREAM_VIDEOS", "60"))
POISON = ("crash", "exit", "fill", "hang")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Short videos in two folders, of which some are copies of others, and five that cannot be labelled."""
    folder = tmp_path_factory.mktemp("archive")
    made = [write_video(folder / f"{seed}.mp4", images(12, seed=seed), rate=10) for seed in range(6)]
    for number in range(NUM_VIDEOS):
        path = folder / ("june" if number % 2 else "may") / f"{number:03}.mp4"
        path.parent.mkdir(exist_ok=True)
        shutil.copy(made[number % len(made)], path)
    for name in POISON:
        shutil.copy(made[0], folder / "may" / f"{name}.mp4")
    (folder / "may" / "broken.mp4").write_text("no video")
    for path in made:
        path.unlink()
    return folder


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Three nodes beside the head, of a core each."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        poison = poisoned(tmp_path_factory.mktemp("poison") / "path")
        patch.setenv("PYTHONPATH", f"{poison}:{os.environ.get('PYTHONPATH', '')}")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        made.nodes = [made.add_node(num_cpus=1) for _ in range(3)]
        yield made
        ray.shutdown()
        made.shutdown()


def label(archive, folder, exports, *more):
    command = [sys.executable, "-m", "actionstream", "label", archive.name, "-o", folder, "--scores", "--threads", "1"]
    command += ["--model", exports / "model.onnx", "--stall", "6", "--max-memory", "2000", *more]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(list(map(str, command)), cwd=archive.parent, start_new_session=True, **pipes)


def until(holds, driver, seconds=120):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        assert driver.poll() is None, driver.communicate()
        time.sleep(0.05)


def workers(results):
    """The processes that do videos of this folder of results; other tests may have some, too."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_bytes().split(b"\0")
            if b"actionstream.archives.worker" in command and str(results).encode() in command:
                found.append(int(place.name))
        except OSError:
            continue
    return found


def test_all_videos_are_labelled_once_whatever_dies(archive, exports, cluster, tmp_path):
    results = tmp_path / "results"

    def num_done():
        return sum(1 for _ in results.rglob("*.npz"))

    driver = label(archive, results, exports, "--ray", cluster.address)
    until(lambda: num_done() > NUM_VIDEOS // 10, driver)
    os.kill(workers(results)[0], signal.SIGKILL)
    until(lambda: num_done() > NUM_VIDEOS // 5, driver)
    cluster.remove_node(cluster.nodes[0], allow_graceful=False)
    until(lambda: num_done() > NUM_VIDEOS // 2, driver)
    driver.kill()
    driver.communicate()
    end = time.monotonic() + 30
    while workers(results):  # they leave with the actors, and those with the driver
        assert time.monotonic() < end
        time.sleep(0.1)
    assert num_done() < NUM_VIDEOS

    driver = label(archive, results, exports, "--ray", cluster.address)
    out, err = driver.communicate(timeout=300)
    assert driver.returncode == 1, err
    assert "5 failed" in out
    failures = parquet.read_table(results / "failures.parquet").to_pylist()
    assert {(each["name"], each["outcome"]) for each in failures} == {
        ("may/broken", "failed"),
        ("may/crash", "died"),
        ("may/exit", "died"),
        ("may/fill", "failed"),
        ("may/hang", "hung"),
    }
    attempts = read_attempts(results)
    done = Counter(each.name for each in attempts if each.outcome == "done")
    assert set(done.values()) == {1}
    untold = {each.name for each in attempts if each.outcome == ""}  # killed with the results there, or before
    assert {path.relative_to(results).with_suffix("").as_posix() for path in results.rglob("*.npz")} <= {*done, *untold}
    under_way = [each for each in attempts if each.outcome == "" or (each.outcome == "died" and each.name in done)]
    assert 1 <= len(under_way) <= 1 + 1 + 3  # of the worker, the node and the driver
    assert parquet.read_table(results / "attempts.parquet").num_rows == len(attempts)
    segments = parquet.read_table(results / "segments.parquet").to_pylist()
    assert {each["video"] for each in segments} <= {*done, *untold}

    alone = label(archive, tmp_path / "alone", exports)
    alone.communicate(timeout=300)
    for path in (tmp_path / "alone").rglob("*.*"):
        if path.name != "results.json":
            same = results / path.relative_to(tmp_path / "alone")
            assert same.read_bytes() == path.read_bytes(), path
    assert sum(1 for _ in (tmp_path / "alone").rglob("*.npz")) == NUM_VIDEOS


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    """Three videos, a file that is none, and what happens in them."""
    folder = tmp_path_factory.mktemp("days")
    for seed, name in enumerate(("monday", "tuesday", "june/wednesday")):
        (folder / name).parent.mkdir(exist_ok=True)
        write_video(folder / f"{name}.mp4", images(60, seed=seed), rate=10)
    (folder / "broken.mp4").write_text("no video")
    rows = ["monday,1,3,left", "tuesday,2,4,right", "broken,0,1,left", "wednesday,0,2,up"]
    (folder / "days.csv").write_text("\n".join(["video,start_seconds,end_seconds,label", *rows]))
    return folder


def command(folder, *arguments):
    """Its exit code, and what it prints."""
    ended = subprocess.run(
        [sys.executable, "-m", "actionstream", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


def test_features_are_those_of_one_machine(days, cluster, tmp_path):
    wanted = ("features", days, "--model", "motion", "--segments", "4", "-o")
    alone = command(tmp_path, *wanted, "alone")
    shared = command(tmp_path, *wanted, "shared", "--ray", cluster.address)
    assert shared[1].replace("shared", "alone").splitlines()[:2] == alone[1].splitlines()[:2]
    assert shared[0] == alone[0] == 0, shared
    assert "broken.mp4" in shared[2]
    files = sorted(path.relative_to(tmp_path / "alone") for path in (tmp_path / "alone").rglob("*.*"))
    assert [path.as_posix() for path in files if path.suffix == ".npy"] == [
        "june/wednesday.npy",
        "monday.npy",
        "tuesday.npy",
    ]
    for path in files:
        assert (tmp_path / "shared" / path).read_bytes() == (tmp_path / "alone" / path).read_bytes(), path
    again = command(tmp_path, *wanted, "shared", "--ray", "127.0.0.1:9")
    assert (again[0], "no Ray cluster answers" in again[2]) == (2, True)  # the one that is no video is tried again


def test_an_evaluation_is_that_of_one_machine(days, cluster, tmp_path):
    wanted = ("evaluate", "activitynet", "--videos", days, "--truth", days / "days.csv", "--json", "--results")
    alone = command(tmp_path, *wanted, "alone.json", "--pictures", "alone")
    shared = command(tmp_path, *wanted, "shared.json", "--pictures", "shared", "--ray", cluster.address)
    assert alone[0] == 1, alone
    assert "broken.mp4" in alone[2]
    assert shared[:2] == alone[:2], shared
    assert "broken.mp4" in shared[2]
    assert (tmp_path / "shared.json").read_bytes() == (tmp_path / "alone.json").read_bytes()
    pictures = sorted((tmp_path / "alone").iterdir())
    assert len(pictures) == 3
    for path in pictures:
        assert (tmp_path / "shared" / path.name).read_bytes() == path.read_bytes()
    assert parquet.read_table(tmp_path / "shared.scores" / "failures.parquet")["name"].to_pylist() == ["broken"]
    (tmp_path / "shared.json").unlink()
    (tmp_path / "shared.scores" / "failures.parquet").unlink()
    (days / "broken.mp4").rename(days / "broken")
    try:
        again = command(tmp_path, *wanted, "shared.json", "--pictures", "shared", "--ray", "127.0.0.1:9")
        assert again[0] == 0, again
    finally:
        (days / "broken").rename(days / "broken.mp4")
    assert (tmp_path / "shared.json").read_bytes() == (tmp_path / "alone.json").read_bytes()


def test_no_cluster(run, tmp_path):
    code, _, err = run("label", "sample", "-o", tmp_path, "--ray", "127.0.0.1:9")
    assert (code, err.count("\n")) == (2, 1)
    assert "no Ray cluster answers at 127.0.0.1:9" in err
