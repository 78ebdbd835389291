"""`actionstream bench`: each benchmark runs, and its parts agree. How fast anything is is not tested."""

import io
import json
import math
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation import truth
from helpers import images, shared, write_video
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from actionstream.benchmarks.alternation import Quartiles, alternate, burst, percentiles, ratios, timed
from actionstream.benchmarks.background_load import BackgroundLoad
from actionstream.benchmarks.films import LiveFilm, encode_film, loop_video
from actionstream.benchmarks.machine import machine
from actionstream.benchmarks.networks import card_of, sample_snippets, write_checkpoint
from actionstream.benchmarks.opening import thread_counts, threads
from actionstream.benchmarks.peer import Peer
from actionstream.benchmarks.soak_streams import measure_soak_streams
from actionstream.benchmarks.streams import search
from actionstream.benchmarks.teaching import Seen, draw_examples
from actionstream.commands import bench_tables
from actionstream.engine.engine import Engine
from actionstream.evaluation.activitynet import write_truth
from actionstream.models.weights.loading import load
from actionstream.runtimes.eager import TorchRuntime
from actionstream.sources import open_source
from actionstream.teaching.examples import Example


def measured(run, name, *options):
    """What a benchmark says as JSON, with nothing beside it, after it was shown as a table, too."""
    code, out, err = run("bench", name, *options, "--json")
    assert (code, err) == (0, "")
    report = json.loads(out, parse_constant=pytest.fail)
    assert report["benchmark"] == name
    machine = report["machine"]
    assert machine["cores"] == os.cpu_count()
    assert machine["versions"]["torch"] == torch.__version__.split("+")[0]
    assert time.strftime("%Y-%m-") in machine["date"]
    return report


def shown(show, report) -> str:
    console = Console(width=79, record=True, file=io.StringIO())
    show(console, report)
    bench_tables.show_machine(console, report["machine"])
    text = console.export_text()
    assert max(map(len, text.splitlines()[:-2])) <= 79
    assert "…" not in text
    assert report["machine"]["cpu"] in text
    return text


@pytest.fixture
def slowed(monkeypatch):
    """Let each step of torch's runtime sleep, so that a test knows where the time goes; the batches that it saw."""

    def slowed(seconds):
        """seconds  of a step of so many streams, after so many others"""
        batches = []

        def step(self, snippets, slots, step=TorchRuntime.step):
            time.sleep(seconds(len(snippets), len(batches)))
            batches.append(len(snippets))
            return step(self, snippets, slots)

        monkeypatch.setattr(TorchRuntime, "step", step)
        return batches

    return slowed


@pytest.mark.alone
def test_latency(run, checkpoint, tmp_path, slowed):
    batches = slowed(lambda *_: 0.008)
    picture = tmp_path / "latency.png"
    options = ("--model", checkpoint, "--runtime", "torch", "--rate", 60, "--frames", 72, "--busy", 1)
    report = measured(run, "latency", "sample", *options, "--picture", picture)
    assert report["labelled"] + report["lost"] <= report["frames"] == 72
    assert 0 < report["labelled"] < len(batches)  # those of the first second do not count
    assert 8 < report["parts_ms"]["model"]["p50"] < report["total_ms"]["p50"]
    assert min(each["model"] for each in report["each"]) > 8
    assert max(report["parts_ms"][part]["p50"] for part in ("preprocess", "scoring", "sink")) < 8
    assert len(report["each"]) == report["labelled"]
    for kind, busy in ((report, False), (report["busy"], True)):
        frames = [{**each} for each in report["each"] if each["busy"] is busy]
        parts = {part: [frame[part] for frame in frames] for part in kind["parts_ms"]}
        assert min(map(min, parts.values())) >= -1e-6
        totals = np.sum(list(parts.values()), axis=0)
        assert kind["total_ms"] == pytest.approx(percentiles(totals.tolist()))
        for part, values in parts.items():
            assert kind["parts_ms"][part] == pytest.approx(percentiles(values))
            assert list(kind["parts_ms"][part].values()) == sorted(kind["parts_ms"][part].values())
    busy = report["busy"]
    assert busy["times_as_long"] == pytest.approx(busy["total_ms"]["p50"] / report["total_ms"]["p50"])
    assert busy["share_left"] == pytest.approx(os.cpu_count() / (os.cpu_count() + 1))
    assert busy["times_as_long_by_share"] == pytest.approx(1 / busy["share_left"])
    with Image.open(picture) as drawn:
        assert len(np.unique(np.asarray(drawn.convert("RGB")).reshape(-1, 3), axis=0)) > 20
    text = shown(bench_tables.show_latency, report)
    assert f"{report['labelled']} of 72 frames labelled at 60 frames/s" in text
    assert f"{report['total_ms']['p99']:.2f}" in text


def test_throughput(run, checkpoint, slowed):
    batches = slowed(lambda *_: 0.03)
    options = ("--model", checkpoint, "--runtime", "torch", "--batch", 3, "--threads", 1, "--rounds", 2)
    report = measured(run, "throughput", *options)
    assert [(row["batch"], row["threads"]) for row in report["rows"]] == [(1, 1), (3, 1)]
    assert set(batches) == {1, 3}
    one, three_at_once = report["rows"]
    assert 10 < one["frames_a_second"] < 1 / 0.03
    assert 30 < three_at_once["frames_a_second"] < 3 / 0.03
    assert 1.5 < three_at_once["over_batch_1"]["median"] < 4  # a step takes as long for three
    alone, three = (np.array(row["rounds_ms"]) for row in report["rows"])
    for row, spent, gain in zip(report["rows"], (alone, three), (alone / alone, 3 * alone / three), strict=True):
        assert row["frames_a_second"] == pytest.approx(1000 * row["batch"] / np.median(spent))
        assert list(row["step_ms"].values()) == pytest.approx(np.quantile(spent, [0.5, 0.25, 0.75]))
        assert list(row["over_batch_1"].values()) == pytest.approx(np.quantile(gain, [0.5, 0.25, 0.75]))
    assert "over batch 1" in shown(bench_tables.show_throughput, report)


@pytest.mark.alone
def test_streams(run, checkpoint, tmp_path, slowed):
    """Two frames a second, and a model that needs 325 ms for each: of two streams it cannot label all in time."""
    batches = slowed(lambda num_streams, _: 0.325 * num_streams)
    film = write_video(tmp_path / "film.mp4", images(20))
    options = ("--model", checkpoint, "--runtime", "torch", "--source", film, "--seconds", 2)
    report = measured(run, "streams", *options, "--rate", 2, "--most", 8)
    assert (report["streams"], report["too_many"], report["limit"]) == (1, 2, "model")
    *_, alone, two, again = report["tries"]  # one stream is tried twice where this machine has other things to do
    assert (alone["streams"], two["streams"], again["streams"]) == (1, 2, 2)
    assert (alone["frames"], alone["labelled"], alone["lost"], alone["held"]) == (4, 4, 0, True)
    assert 325 < alone["latency_ms"]["p50"] <= alone["latency_ms"]["p99"] < 500
    for each in (two, again):
        assert (each["frames"], each["held"]) == (8, False)
        assert each["labelled"] + each["lost"] <= 8
        assert each["lost"] > 0 or each["latency_ms"]["max"] > 500
    for each in report["tries"]:
        assert 0.4 < each["busy_seconds"]["model"] < 1.05
        assert sum(each["busy_seconds"][part] for part in ("scoring", "sink")) < 0.4
    assert sum(each["labelled"] for each in report["tries"]) < sum(batches)
    assert "1 streams of 2 frames/s" in shown(bench_tables.show_streams, report)


@pytest.mark.alone
def test_a_rate_that_not_one_stream_holds(run, checkpoint, tmp_path):
    """1000 frames a second are a label in less than a millisecond."""
    film = write_video(tmp_path / "film.mp4", images(20))
    options = ("--model", checkpoint, "--rate", 1000, "--seconds", 1, "--source", film)
    report = measured(run, "streams", *options)
    assert [each["streams"] for each in report["tries"]] == [1, 1]
    assert (report["streams"], report["too_many"]) == (0, 1)
    busy = report["tries"][-1]["busy_seconds"]
    assert busy[report["limit"]] == max(busy.values())
    assert f"1 are too many: most of the time goes into {report['limit']}" in shown(bench_tables.show_streams, report)


def test_decoders(run):
    report = measured(run, "decode", "sample", "--size", "64x48", "--frames", 12, "--rounds", 1, "--pixels", 32)
    assert (report["frames"], report["width"], report["height"]) == (12, 64, 48)
    names = [row["decoder"] for row in report["decoders"]]
    assert len(set(names)) == len(names) / 2 == 4
    for row in report["decoders"]:
        assert row["frames_a_second"] == pytest.approx(1000 / row["ms_a_frame"]["median"])
    assert "OpenCV, resized" in shown(bench_tables.show_decoders, report)


@pytest.mark.slow
def test_ratios(run):
    options = ("--network", "tsm_resnet18", "--runtime", "torch", "--runtime", "onnx")
    report = measured(run, "ratios", *options, "--pixels", 32, "--threads", 1, "--rounds", 2)
    rows = report["rows"]
    figures = {name: {row["figure"] for row in rows if row["runtime"] == name} for name in ("torch", "onnx")}
    assert sum(map(len, figures.values())) == len(rows)
    assert figures["onnx"] == figures["torch"]
    assert {
        "with shift / without",
        "clip of 8 / one step",
        "8 steps / batch of 8",
        "eager torch / this runtime",
        "matrix product / this runtime",
    } < figures["torch"]
    for row in rows:
        pairs = np.array(row["rounds_ms"])
        assert row["left"]["median_ms"] == pytest.approx(np.median(pairs[:, 0]))
        assert row["right"]["median_ms"] == pytest.approx(np.median(pairs[:, 1]))
        quartiles = np.quantile(pairs[:, 0] / pairs[:, 1], [0.25, 0.5, 0.75])
        assert [row["ratio"][name] for name in ("lower", "median", "upper")] == pytest.approx(quartiles)
        least, most = row["at_least"] or 0.0, row["at_most"] or math.inf
        assert row["met"] is (least <= row["ratio"]["median"] <= most)
    products = {row["runtime"]: row for row in rows if row["figure"] == "matrix product / this runtime"}
    # tsm_resnet18 has 1.81 G multiply-adds at 224 x 224 (`actionstream models`)
    assert all(row["left"]["what"].startswith("37 million multiply-adds") for row in products.values())
    assert report["left_out"] == ["MoViNet-A0-Stream: --peer FOLDER says where its TFLite file is"]
    text = shown(bench_tables.show_ratios, report)
    assert [row["figure"] for row in rows if row["figure"] not in text] == []


@pytest.mark.alone
def test_soak_of_streams_that_lose_their_connections(checkpoint, tmp_path):
    film = write_video(tmp_path / "film.mp4", images(20))
    engine = Engine(checkpoint, runtime="torch", device="cpu")
    report = measure_soak_streams(engine, film, num_streams=2, num_frames=400, rate=60, frames_a_connection=20)
    assert (report["frames"], report["streams"]) == (400, 2)
    assert report["reconnects"] >= 4
    assert 0 < report["labelled"] <= 400
    for name in ("megabytes", "threads", "files"):
        assert 0 < report[name]["after_warm_up"] <= report[name]["highest"] >= report[name]["last"]
    assert len(report["frames_a_second"]) == 2
    report["machine"] = machine()
    assert f"2 streams of 60 frames/s, {report['reconnects']} reconnects" in shown(
        bench_tables.show_soak_streams, report
    )
    with pytest.raises(ValueError, match="400 frames are too few for 5 streams: 100 of each, or more"):
        measure_soak_streams(engine, film, num_streams=5, num_frames=400, rate=60, frames_a_connection=20)


def test_soak(run, checkpoint, slowed):
    """It gets slower towards its end, and says so."""
    batches = slowed(lambda _, before: 0.005 if before < 52 else 0.2)
    report = measured(run, "soak", "--model", checkpoint, "--runtime", "torch", "--frames", 60)
    assert len(batches) == 60
    assert report["first_tenth_ms"] > 5
    assert report["last_tenth_ms"] > 200
    assert report["drift"] > 2
    assert report["latency_ms"]["p50"] < 200 < report["latency_ms"]["p95"]
    assert (report["frames"], report["warm_up_frames"]) == (60, 6)
    memory = report["megabytes"]
    if memory["last"] is not None:  # Linux tells
        assert 0 < memory["after_warm_up"] <= memory["highest"] >= memory["last"] > 0
        assert report["growth_megabytes"] == pytest.approx(memory["last"] - memory["after_warm_up"])
    assert report["drift"] == pytest.approx(report["last_tenth_ms"] / report["first_tenth_ms"])
    assert report["latency_ms"]["p50"] <= report["latency_ms"]["p99"] <= report["latency_ms"]["max"]
    assert f"{report['drift']:.3f} times" in shown(bench_tables.show_soak, report)


@pytest.mark.slow
def test_clips(run):
    report = measured(run, "clips", "--cameras", 2, "--seconds", 7, "--rounds", 1)
    (row,) = report["rounds"]
    assert row == report["median_percent"]
    assert row["all"] == pytest.approx(row["way"] + row["clips"])
    assert min(row.values()) > 0
    assert report["clips"]["written"] == 2
    assert 3 < report["megabits_a_second"] < 5
    assert f"{row['clips']:.2f}" in shown(bench_tables.show_clips, report)


@pytest.mark.slow
def test_serve_soak(run):
    report = measured(run, "soak", "--serve", "--minutes", 0.25, "--cameras", 2)
    hours = [look["hours"] for look in report["looks"]]
    assert hours == sorted(hours)
    assert {look["cameras"] for look in report["looks"]} >= {1, 2}  # the schedule was gone through
    assert report["labelled"] > 100
    assert report["looks"][-1]["json_files"] > 1
    text = shown(bench_tables.show_serve_soak, report)
    assert f"{report['growth']['megabytes']['to']:.1f}" in text


def test_outages_are_shown():
    """They are measured in test_service.py."""
    sink = {"records": 1200, "missing": 0, "unknown": 0, "came_again": 7, "in_order": True}
    report = {
        **{"seconds": 1800.0, "cameras": 4, "kills": 100, "broker_away_seconds": 600.0, "events": 300},
        **{"ended_by_restart": 80, "unpaired": 0, "sinks": {"mqtt": sink, "webhook": {**sink, "in_order": False}}},
        "frames_a_second": {"with_broker": 60.0, "without_broker": 59.4, "ratio": 0.99},
        "machine": machine(),
    }
    text = shown(bench_tables.show_outages, report)
    assert re.search(r"mqtt +1200 +0 +0 +7 +yes", text)
    assert re.search(r"webhook .*NO", text)
    assert "0.990 times" in text


@pytest.mark.alone
@pytest.mark.slow
def test_start(run, checkpoint):
    report = measured(run, "start", "--model", checkpoint, "--rounds", 1)
    seconds = {row["what"]: row["seconds"]["median"] for row in report["rows"]}
    alone, help_text, label = seconds.values()
    assert 0 < alone < help_text < label  # each does what the one before does, and more
    assert "actionstream --help" in shown(bench_tables.show_start, report)
    code, _, err = run("bench", "start", "--model", "nothing", "--rounds", 1)
    assert (code, len(err.splitlines())) == (2, 1)
    assert "no model 'nothing'" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("latency", "gone.mp4"), "no such file: gone.mp4"),
        (("latency", "rtsp://camera/1"), "is no video file; expected one, or sample"),
        (("latency", "--size", "640"), "a size is WIDTHxHEIGHT"),
        (("latency", "--size", "641x480"), "even numbers of pixels"),
        (("latency", "--rate", "0"), "--rate is 0; expected 0.1 to 1000 frames a second"),
        (("latency", "--busy", "1", "--frames", "20"), "--frames is 20; expected 32 or more with --busy"),
        (("latency", "--picture", "gone/latency.png"), "there is no folder gone"),
        (("latency", "--model", "nothing"), "no model 'nothing'"),
        (("latency", "--runtime", "graphs", "--device", "cpu"), "the runtime graphs is for cuda, and this is cpu"),
        (("throughput", "--threads", "100000"), "100000 threads are more than this machine has cores"),
        (("streams", "--rate", "nan"), "--rate is nan; expected 0.1 to 1000"),
        (("streams", "--seconds", "0.5"), "--seconds is 0.5; expected 1 to 3600"),
        (("streams", "--source", "rtsp://camera/1", "--size", "64x48"), "--size is for a file"),
        (("streams", "--source", "gone.mp4"), "no such file: gone.mp4"),
        (("decode", "pictures"), "pictures is no video file; give --size 640x480 to make one from it"),
        (("decode", "text.mp4"), "text.mp4 is not a video that can be read"),
        (("ratios", "--network", "tsm_resnet"), "tsm_resnet has no twin without shift; these have: tsm_"),
        (("ratios", "--network", "tsn_resnet50"), "tsn_resnet50 has no twin without shift"),
        (("ratios", "--runtime", "onyx"), "no runtime 'onyx' to measure; there are torch, compile, onnx"),
        (("ratios", "--peer", "pictures"), "pictures has 0 TFLite files"),
    ],
)
def test_what_cannot_be_measured_is_told_in_one_line(run, tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    Path("pictures").mkdir()
    Image.new("RGB", (32, 32)).save("pictures/1.png")
    Path("text.mp4").write_text("no video")
    code, out, err = run("bench", *arguments, "--json")
    assert (code, out, len(err.splitlines())) == (2, "", 1), err
    assert told in err


# The pieces.


def test_what_is_compared_takes_turns():
    turns = []
    sides = {name: timed(lambda name=name: turns.append(name)) for name in "abc"}
    done = []
    found = alternate(sides, rounds=3, done=done.append)
    assert "".join(turns) == "cbaabccbaabc"  # a round that does not count, and then forth and back
    assert {name: len(values) for name, values in found.items()} == {"a": 3, "b": 3, "c": 3}
    assert done == [0.25, 0.5, 0.75, 1]


def test_a_burst_is_timed_without_its_first_call():
    calls = []
    assert burst(lambda: calls.append(0) or (time.sleep(0.2) if len(calls) == 1 else None), 3)() < 0.2 / 4
    assert len(calls) == 4


@given(st.lists(st.floats(1e-6, 1e6), min_size=1))
def test_percentiles_are_in_order_and_among_the_values(values):
    p50, p95, p99, most = percentiles(values).values()
    assert min(values) <= p50 <= p95 * (1 + 1e-9) <= p99 * (1 + 1e-9) ** 2
    assert most == max(values)
    quartiles = Quartiles.of(values)
    assert quartiles.median == p50
    assert quartiles.lower <= quartiles.median <= quartiles.upper
    assert ratios(values, values) == Quartiles(1, 1, 1)


def test_percentiles_of_the_numbers_to_a_hundred():
    found = percentiles(range(1, 101))
    assert found == pytest.approx({"p50": 50.5, "p95": 95.05, "p99": 99.01, "max": 100})
    assert Quartiles.of(range(1, 101)) == Quartiles(50.5, 25.75, 75.25)
    assert ratios([1, 2, 9], [1, 1, 3]) == Quartiles(2, 1.5, 2.5)


@given(st.integers(0, 40), st.integers(1, 40))
def test_the_search_finds_where_it_ends(capacity, most):
    tried = []
    held, failed = search(lambda number: tried.append(number) or number <= capacity, most)
    assert (held, failed) == (min(capacity, most), capacity + 1 if capacity < most else None)
    assert len(set(tried)) == len(tried) <= 2 * math.log2(most) + 2
    assert max(tried) <= most


def test_a_film_as_a_camera_sends_it(tmp_path):
    path = write_video(tmp_path / "film.mp4", images(5))
    film = LiveFilm(path, rate=200)
    frames = []
    for frame in film:
        frames.append(frame)
        if len(frames) == 12:
            film.stop()
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.time_seconds for frame in frames] == pytest.approx([n / 200 for n in range(12)])
    for frame, again in zip(frames, frames[5:], strict=False):
        assert np.array_equal(frame.image, again.image)
    assert not np.array_equal(frames[0].image, frames[1].image)
    assert np.diff(film.arrived) == pytest.approx(1 / 200)
    assert all(frame.available >= came for frame, came in zip(frames, film.arrived, strict=True))
    assert film.decode_cpu_seconds > 0


def test_films_of_another_size_and_length(tmp_path):
    encode_film("sample", tmp_path / "small.mp4", width=64, height=48, num_frames=7)
    frames = list(open_source(tmp_path / "small.mp4"))
    assert [frame.image.shape for frame in frames] == 7 * [(48, 64, 3)]
    original = next(iter(open_source("sample"))).image
    assert frames[0].image.mean() == pytest.approx(original.mean(), abs=3)  # the same picture, smaller
    loop_video(tmp_path / "small.mp4", tmp_path / "long.mkv", seconds=1)
    times = [frame.time_seconds for frame in open_source(tmp_path / "long.mkv")]
    assert len(times) == 28
    assert np.diff(times) == pytest.approx(1 / 30, abs=2e-3)


def test_a_network_without_trained_weights_keeps_its_signal(tmp_path):
    card = card_of("tsm_mobilenet_v2", size=64)
    write_checkpoint(tmp_path / "network.safetensors", card)
    network, read = load(tmp_path / "network.safetensors")
    assert read == card
    sizes = []
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_hook(lambda _, __, out: sizes.append(out.std().item()))
    frames = read.preprocessing.normalise(torch.from_numpy(sample_snippets(card, 9)[None, 8:]))
    with torch.inference_mode():
        scores, _ = network(frames, None)
    assert len(sizes) > 50
    assert 0.2 < min(sizes) <= max(sizes) < 5
    assert scores.std() > 0.01


def test_neighbours_compute_only_when_they_should():
    with BackgroundLoad(2) as neighbours:
        processes = list(neighbours._processes)
        assert neighbours.share_left == pytest.approx(os.cpu_count() / (os.cpu_count() + 2))
        for on, wanted in ((None, "T"), (True, "RS"), (False, "T")):
            if on is not None:
                neighbours.busy(on)
            limit = time.monotonic() + 20
            while not all(_state(process.pid) in wanted for process in processes):
                assert time.monotonic() < limit
                time.sleep(0.01)
    assert [process.returncode for process in processes] == [-9, -9]


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_threads_are_put_back():
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    counts = thread_counts()
    assert counts == sorted(set(counts))
    assert (counts[0], counts[-1]) == (1, os.cpu_count())


def test_the_peer_remembers_and_another_one_does_the_same():
    folder = shared("data", "weights", "peer_movinet_a0_stream")
    image = np.random.default_rng(0).random((1, 1, 172, 172, 3), dtype=np.float32)
    peers = [Peer(folder, num_threads=1) for _ in range(2)]
    assert (peers[0].height, peers[0].width) == (172, 172)
    assert card_of("tsm_mobilenet_v2", size=peers[0].height).preprocessing.height == 172  # as `ratios` does
    (first, second), (same, also) = [[peer.step(image) for _ in range(2)] for peer in peers]
    assert first.shape == (1, 7)
    assert np.array_equal(first, same)
    assert np.array_equal(second, also)
    assert not np.allclose(first, second)


@pytest.mark.slow
def test_teach(run, tmp_path):
    """Two movements of the sample in three recordings, each a little later; reversed they are two more."""
    lines = ["path,label,camera"]
    source = open_source("sample")
    frames = list(source)
    source.close()
    for label, begin in (("right", 2.5), ("down", 6.6)):
        for camera in range(3):
            first = round(30 * begin) + 5 * camera
            path = tmp_path / f"{label}_{camera}.mp4"
            write_video(path, [frame.image for frame in frames[first : first + 45]])
            lines.append(f"{path.name},{label},{camera}")
    manifest = tmp_path / "clips.csv"
    manifest.write_text("\n".join(lines))
    options = "--group", "camera", "--groups", "1", "--groups", "2", "--each", "1", "--draws", "2", "--reverse"
    report = measured(run, "teach", str(manifest), *options, "--backbone", "motion")
    assert [(row["part"], row["labels"], row["groups"]) for row in report["rows"]] == [("all", 4, 1), ("all", 4, 2)]
    assert all(row["accuracy"]["at_the_end"] >= 0.75 for row in report["rows"])
    assert all(row["accuracy"]["single_pictures"] <= 0.5 for row in report["rows"])  # they do not show the direction
    assert report["clips"] == 6
    assert report["step"]["ratio"] > 0
    assert "false_starts" not in report
    assert "detection" not in report

    still = [frame.image for frame in frames if 10.4 <= frame.time_seconds < 12.2]
    quiet = ["path,label,camera"]
    for camera in range(3):
        write_video(tmp_path / f"still_{camera}.mp4", [still[number % len(still)] for number in range(1000)])
        quiet.append(f"still_{camera}.mp4,nothing,{camera}")
    background = tmp_path / "background.csv"
    background.write_text("\n".join(quiet))
    options = "--group", "camera", "--groups", "2", "--draws", "2", "--backbone", "motion", "--background", background
    report = measured(run, "teach", str(manifest), *map(str, options), "--false-starts", "120")
    (row,) = report["false_starts"]
    assert (row["part"], row["promised_per_hour"], row["draws_in_interval"]) == ("all", 120, 2)
    assert row["minutes_of_a_draw"] == pytest.approx(1000 / 30 / 60, rel=0.05)
    assert row["counted_per_hour"] * row["minutes_of_a_draw"] / 60 <= 3
    assert 0 <= row["missed"] <= 1
    assert "2 of 2 draws" in shown(bench_tables.show_teaching, report)

    write_video(tmp_path / "whole.mp4", [frame.image for frame in frames[:600]])
    known = truth(("whole", 2.5, 4.2, "right"), ("whole", 6.6, 8.3, "down"))
    write_truth(tmp_path / "truth.json", known, subset="validation")
    report = measured(run, "teach", str(manifest), *map(str, options), "--videos", str(tmp_path / "truth.json"))
    assert report["detection"]["videos"] == 1
    assert report["detection"]["mAP"]["0.3"] >= 0.5
    assert "mAP of detection in 1 whole videos" in shown(bench_tables.show_teaching, report)

    code, _, err = run("bench", "teach", str(manifest), "--group", "hall")
    assert code == 2
    assert "has no column 'hall'; expected a head with path, label, hall" in err


@pytest.mark.parametrize(
    ("num_groups", "message"), [(2, "all 2 recordings are examples"), (3, "no 3 of 2 recordings have clips of all 2")]
)
def test_draws_leave_recordings_for_the_test(num_groups, message):
    clips = [
        Seen(Example(label, "", np.zeros((1, 9, 4), np.float16)), group, "all", np.zeros(4))
        for label in ("a", "b")
        for group in ("one", "two")
    ]
    examples, tests = draw_examples(clips, 1, None, np.random.default_rng(0))
    assert {clip.group for clip in examples} ^ {clip.group for clip in tests} == {"one", "two"}
    with pytest.raises(ValueError, match=message):
        draw_examples(clips, num_groups, None, np.random.default_rng(0))
