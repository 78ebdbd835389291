"""The command `bench`: the speed on this machine, as tables for a person or one JSON object."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from actionstream.benchmarks.decoding import measure_decoders
from actionstream.benchmarks.films import encode_film, parse_size
from actionstream.benchmarks.latency import STRETCHES, measure_latency
from actionstream.benchmarks.peer import NAME, Peer
from actionstream.benchmarks.soak import measure_soak
from actionstream.benchmarks.start import measure_start
from actionstream.benchmarks.streams import MeteredEngine, find_most_streams
from actionstream.choices import RuntimeName
from actionstream.commands.bench_report import described, print_report, stages
from actionstream.commands.bench_tables import (
    show_decoders,
    show_latency,
    show_ratios,
    show_soak,
    show_soak_streams,
    show_start,
    show_streams,
    show_teaching,
    show_throughput,
)
from actionstream.engine.engine import Engine
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.preprocessing import Preprocessing
from actionstream.sources import SAMPLE, SourceError, open_source
from actionstream.sources.address import masked, scheme
from actionstream.sources.video import FileSource

FILM_FRAMES = 300  # length of a film that is encoded for a benchmark
CAMERA_SIZE = "640x480"
SOAK_RATE, SOAK_CONNECTION = 10.0, 300  # frames a second of a stream, and of a connection


def bench_latency(
    source: str,
    *,
    size: str | None,
    rate: float | None,
    num_frames: int,
    num_busy: int,
    picture: Path | None,
    model: str,
    runtime: RuntimeName,
    device: str,
    as_json: bool,
) -> None:
    """Measure the parts of the latency of each frame of a live stream."""
    if num_busy and num_frames < 4 * STRETCHES:
        raise ActionstreamError(
            f"--frames is {num_frames}; expected {4 * STRETCHES} or more with --busy, which divides them into "
            f"{STRETCHES} stretches, quiet and busy in turn"
        )
    if picture is not None:
        _check_folder(picture)
    with stages() as stage, _film(source, size) as path:
        rate = _checked_rate(_own_rate(path) if rate is None else rate)
        engine = Engine(model, runtime=runtime, device=device)
        report = described("latency", model=model, runtime=runtime, source=source, size=size)
        report |= measure_latency(
            engine, path, rate=rate, num_frames=num_frames, num_busy=num_busy, done=stage("latency")
        )
    if picture is not None:
        from actionstream.benchmarks.picture import draw_latency

        quiet = [each for each in report["each"] if not each["busy"]]
        draw_latency(picture, quiet, title=f"{model}, {source} at {rate:g} frames/s")
    print_report(report, show_latency, as_json=as_json)


def bench_throughput(
    *,
    batches: Sequence[int],
    threads: Sequence[int],
    rounds: int,
    model: str,
    runtime: RuntimeName,
    device: str,
    as_json: bool,
) -> None:
    """Measure the frames a second of a runtime's step."""
    from actionstream.benchmarks.opening import check_threads, thread_counts
    from actionstream.benchmarks.throughput import BATCHES, measure_throughput

    for number in threads:
        check_threads(number)
    report = described("throughput", model=model, runtime=runtime, rounds=rounds)
    with stages() as stage:
        report["rows"] = measure_throughput(
            model,
            runtime=runtime,
            device=device,
            batches=batches or BATCHES,
            threads=threads or thread_counts(),
            rounds=rounds,
            done=stage("throughput"),
        )
    print_report(report, show_throughput, as_json=as_json)


def bench_streams(
    source: str,
    *,
    size: str | None,
    rate: float,
    seconds: float,
    most: int,
    model: str,
    runtime: RuntimeName,
    device: str,
    as_json: bool,
) -> None:
    """Find the number of live streams that this machine holds."""
    _checked_rate(rate)
    if not 1 <= seconds <= 3600:
        raise ActionstreamError(f"--seconds is {seconds:g}; expected 1 to 3600")
    if scheme(source) and size is not None:
        raise ActionstreamError("--size is for a file, which is encoded at that size; leave it out for a live source")
    if source == "sample" and size is None:
        size = CAMERA_SIZE
    report = described("streams", model=model, runtime=runtime, source=masked(source), size=size)
    with stages() as stage, ExitStack() as stack:
        played = source if scheme(source) else stack.enter_context(_film(source, size))
        engine = MeteredEngine(model, runtime=runtime, device=device)
        report |= find_most_streams(engine, played, rate=rate, seconds=seconds, most=most, stage=stage)
    print_report(report, show_streams, as_json=as_json)


def bench_decode(source: str, *, size: str | None, num_frames: int, rounds: int, pixels: int, as_json: bool) -> None:
    """Compare the installed decoders."""
    report = described("decode", source=source, size=size, resized_to=[pixels, pixels], rounds=rounds)
    with stages() as stage, _film(source, size) as path:
        preprocessing = Preprocessing(height=pixels, width=pixels)
        report |= measure_decoders(path, preprocessing, num_frames=num_frames, rounds=rounds, done=stage("decoders"))
    print_report(report, show_decoders, as_json=as_json)


def bench_history(folder: Path, reports: Sequence[Path], *, picture: Path | None) -> None:
    """Keep reports in a folder, and draw all that are there."""
    from actionstream.benchmarks.history import draw, keep

    if picture is not None:
        _check_folder(picture)
    for path in keep(reports, folder):
        print(path)
    if picture is not None:
        print(f"{picture} shows {draw(folder, picture)} reports")


def bench_ratios(
    *,
    networks: Sequence[str],
    runtimes: Sequence[str],
    pixels: int,
    threads: int,
    rounds: int,
    peer: Path | None,
    as_json: bool,
) -> None:
    """Measure the target figures of the project."""
    from actionstream.benchmarks.networks import WEIGHTS
    from actionstream.benchmarks.opening import check_threads
    from actionstream.benchmarks.ratios import (
        REFERENCE,
        Plan,
        check_networks,
        check_variants,
        installed_variants,
        measure_ratios,
    )

    check_networks(networks)
    check_variants(runtimes)
    check_threads(threads)
    report = described("ratios", weights=WEIGHTS, height=pixels, width=pixels, threads=threads, rounds=rounds)
    beside = None if peer is None else Peer(peer, num_threads=threads)
    report["left_out"] = [] if beside else [f"{NAME}: --peer FOLDER says where its TFLite file is"]
    with tempfile.TemporaryDirectory() as folder, stages() as stage:
        plan = Plan(
            folder=Path(folder),
            networks=networks,
            runtimes=[name for name in runtimes or installed_variants() if name != REFERENCE],
            size=pixels,
            num_threads=threads,
            rounds=rounds,
            peer=beside,
        )
        report["rows"] = measure_ratios(plan, stage=stage)
    print_report(report, show_ratios, as_json=as_json)


def bench_soak(*, num_frames: int, model: str, runtime: RuntimeName, device: str, as_json: bool) -> None:
    """Measure the growth of memory and latency."""
    report = described("soak", model=model, runtime=runtime)
    engine = Engine(model, runtime=runtime, device=device)
    with closing(open_source(SAMPLE)) as source:
        images = [frame.image for frame in islice(source, 100)]
    with stages() as stage:
        report |= measure_soak(engine, images, num_frames=num_frames, done=stage("soak"))
    print_report(report, show_soak, as_json=as_json)


def bench_soak_streams(
    *, num_frames: int, num_streams: int, model: str, runtime: RuntimeName, device: str, as_json: bool
) -> None:
    """Measure the growth of memory, threads and files with many live streams."""
    from actionstream.benchmarks.soak_streams import measure_soak_streams

    report = described("soak", model=model, runtime=runtime, size=CAMERA_SIZE)
    engine = Engine(model, runtime=runtime, device=device)
    with stages() as stage, _film("sample", CAMERA_SIZE) as film:
        report |= measure_soak_streams(
            engine,
            film,
            num_streams=num_streams,
            num_frames=num_frames,
            rate=SOAK_RATE,
            frames_a_connection=SOAK_CONNECTION,
            done=stage("soak"),
        )
    print_report(report, show_soak_streams, as_json=as_json)


def bench_start(*, rounds: int, model: str, runtime: RuntimeName, as_json: bool) -> None:
    """Measure the time from the start of a command to its first output."""
    report = described("start", model=model, runtime=runtime, rounds=rounds)
    with stages() as stage:
        report["rows"] = measure_start(model, runtime=runtime, rounds=rounds, done=stage("start"))
    print_report(report, show_start, as_json=as_json)


def bench_teach(
    manifest: Path,
    *,
    group: str,
    within: str | None,
    groups: Sequence[int],
    leave_out: Sequence[str],
    each: int | None,
    draws: int,
    background: Path | None,
    false_starts: Sequence[float],
    videos: Path | None,
    with_reverse: bool,
    backbones: Sequence[str],
    as_json: bool,
) -> None:
    """Measure the accuracy of taught models on clips of recordings that are not among the examples."""
    from actionstream.benchmarks.teaching import Clip, look_at_clips, measure_teaching, read_clips
    from actionstream.benchmarks.teaching_live import (
        look_at_footage,
        measure_detection,
        measure_false_starts,
        measure_step,
        read_videos,
    )
    from actionstream.teaching import Teacher

    def read(table: Path) -> list[Clip]:
        return [clip for clip in read_clips(table, group=group, within=within) if clip[2] not in leave_out]

    clips = read(manifest)
    quiet = [] if background is None else read(background)
    truth, whole = (None, []) if videos is None else read_videos(videos)
    teacher = Teacher(backbones=backbones)
    report = described("teach", clips=len(clips), draws=draws, each=each, backbones=list(backbones))
    report["rows"] = []
    with stages() as stage:
        seen = look_at_clips(clips, teacher, with_reverse=with_reverse, done=stage("clips"))
        for number in groups:
            done = stage(f"{number} recordings")
            report["rows"] += measure_teaching(seen, teacher, num_groups=number, each=each, draws=draws, done=done)
        report["step"] = measure_step(teacher, done=stage("a live step"))
        of_live: dict[str, Any] = {"num_groups": groups[-1], "each": each, "draws": draws}
        footage = look_at_footage(quiet, teacher, done=stage("background")) if quiet else []
        if footage and truth is None:
            report["false_starts"] = measure_false_starts(
                seen, footage, teacher, **of_live, per_hour=false_starts, done=stage("false starts")
            )
        if truth is not None:
            found = look_at_footage(whole, teacher, done=stage("videos"))
            features = {each.group: each.features for each in found}
            report["detection"] = measure_detection(
                seen, footage, features, truth, teacher, **of_live, done=stage("detection")
            )
    print_report(report, show_teaching, as_json=as_json)


@contextmanager
def _film(source: str, size: str | None) -> Iterator[Path]:
    """The video file of a source; with a size, a copy that is encoded at this size."""
    if scheme(source) or source == "-" or source.isdecimal():
        raise ActionstreamError(f"{source} is no video file; expected one, or sample, the clip of the package")
    wanted = None if size is None else parse_size(size)
    with closing(open_source(source)) as opened:
        is_file = isinstance(opened, FileSource)
    if wanted is None:
        if not is_file:
            raise SourceError(f"{source} is no video file; give --size {CAMERA_SIZE} to make one from it")
        path = Path(source)
        yield path if path.exists() else SAMPLE
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        encode_film(source, path, width=wanted[0], height=wanted[1], num_frames=FILM_FRAMES)
        yield path


def _own_rate(path: Path) -> float:
    with closing(open_source(path)) as source:
        return source.rate


def _checked_rate(rate: float) -> float:
    if not 0.1 <= rate <= 1000:
        raise ActionstreamError(f"--rate is {rate:g}; expected 0.1 to 1000 frames a second")
    return rate


def _check_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise ActionstreamError(f"{path} cannot be written: there is no folder {path.parent}")
