"""The idle gate beside an ungated stream: the steps that it saves, and the events that it loses or delays.

    python -m actionstream.benchmarks.gate VIDEO [VIDEO ...] --noise STILL_VIDEO --held-seconds 6 --still-minutes 10

runs an ungated and a gated stream of one engine over each video, as it is and as a scene that begins still and then
moves without a cut: its first frame is held under the noise of a real camera, then the video goes on. It prints one
JSON object. Each disturbance of still_scenes.py runs for --still-minutes on the held first frame of the first video of
each folder. Only steps are counted there, which needs no network; then that video moves under the same disturbance.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from actionstream.benchmarks.alternation import Done, nobody
from actionstream.benchmarks.machine import machine
from actionstream.benchmarks.still_scenes import DISTURBANCES, held, read_noise
from actionstream.engine.engine import Engine
from actionstream.engine.sampling import Sampling
from actionstream.frame import Frame
from actionstream.live.gate import Gate
from actionstream.live.held_back import HeldBack, Scorable
from actionstream.models.card import Card
from actionstream.models.common.errors import ActionstreamError
from actionstream.results import Prediction
from actionstream.sources import open_source

Timed = Iterator[tuple[float, np.ndarray]]
"""Times in seconds, and RGB images, uint8 (height, width, 3)."""


@dataclass(frozen=True)
class Scene:
    """Frames to compare on: `frames` begins them; before moves_seconds the first one of the video is held."""

    name: str
    group: str
    moves_seconds: float
    frames: Callable[[], Timed]


@dataclass
class FoundEvent:
    """An event of a stream: its label, its times, and the time of the frame at which its start was told."""

    label: str
    start_seconds: float
    told_seconds: float
    end_seconds: float = float("inf")

    def overlaps(self, other: FoundEvent) -> bool:
        """Whether the other one is of the same label, and at the same time."""
        return (
            self.label == other.label
            and self.start_seconds <= other.end_seconds
            and other.start_seconds <= self.end_seconds
        )


@dataclass
class Run:
    """What a stream of the engine did: the number of its steps, and its events in order."""

    steps: int = 0
    events: list[FoundEvent] = field(default_factory=list)
    _open: dict[str, FoundEvent] = field(default_factory=dict)

    def take(self, prediction: Prediction, now_seconds: float) -> None:
        """The prediction of a snippet that was scored now; the snippet may be older."""
        self.steps += 1
        for event in prediction.events:
            if event.event == "start":
                self._open[event.id] = FoundEvent(event.label, event.time_seconds, now_seconds)
                self.events.append(self._open[event.id])
            else:
                self._open.pop(event.id).end_seconds = event.time_seconds


def read_video(video: Path) -> Timed:
    """The frames of a video as it is."""
    with closing(open_source(video)) as source:
        for frame in source:
            yield frame.time_seconds, frame.image


def hold_first(video: Path, noise: np.ndarray, *, seconds: float, rate: float, seed: int) -> Timed:
    """The first frame of a video, held under noise at some frames a second, and then the video."""
    frames = read_video(video)
    begin, first = next(frames)
    pictures = held(first, noise, np.random.default_rng(seed))
    for index, image in enumerate(islice(pictures, round(seconds * rate))):
        yield index / rate, image
    yield seconds, first
    for time_seconds, image in frames:
        yield seconds + time_seconds - begin, image


def scenes_of(
    videos: Sequence[Path], noise: np.ndarray, *, held_seconds: float, rate: float, probe_seconds: float
) -> Iterator[Scene]:
    """Each video as it is, and after its held first frame.

    It is held for held_seconds and a share of probe_seconds more, another one for each video: so the movement begins at
    all distances from a probe.
    """
    for number, video in enumerate(videos):
        seconds = held_seconds + probe_seconds * (number % 10) / 10
        frames = partial(hold_first, video, noise, seconds=seconds, rate=rate, seed=number)
        yield Scene(video.name, video.parent.name, 0.0, partial(read_video, video))
        yield Scene(video.name, video.parent.name, seconds, frames)


def compare(engine: Engine, scene: Scene, gate: Gate[Scorable]) -> dict[str, Any]:
    """A row of the report: a scene in an ungated and in a gated stream of the engine, which have to be free."""
    ungated, gated, held_back = Run(), Run(), HeldBack(gate)
    engine.open("ungated")
    engine.open("gated")
    now = 0.0
    for index, (now, image) in enumerate(scene.frames()):
        for name, run in (("ungated", ungated), ("gated", gated)):
            frame = Frame(stream=name, index=index, time_seconds=now, picture=image)
            prepared = engine.prepare(frame)
            earlier: Sequence[Scorable] = ()
            if run is gated:
                prepared, earlier = held_back.push(frame, prepared)
            for pair in (*earlier, (frame, prepared)):
                (result,) = engine.score([pair])
                if isinstance(result, Prediction):
                    run.take(result, now)
    engine.close("ungated")
    engine.close("gated")
    still = [event for event in ungated.events if event.start_seconds < scene.moves_seconds]
    rest = [event for event in ungated.events if event.start_seconds >= scene.moves_seconds]
    return {
        "scene": scene.name,
        "group": scene.group,
        "kind": "held first" if scene.moves_seconds else "as it is",
        "seconds": now,
        "ungated_steps": ungated.steps,
        "gated_steps": gated.steps,
        "events": match(rest, gated.events, engine.card),
        "events_while_held": match(still, gated.events, engine.card),
        "extra_events": sum(not any(map(event.overlaps, ungated.events)) for event in gated.events),
    }


def match(wanted: Sequence[FoundEvent], found: Sequence[FoundEvent], card: Card) -> dict[str, Any]:
    """The number of events of an ungated stream, how many of them a gated one lost, and how late it told others.

    An event is lost where the gated stream has none of its label at the same time. Late events are counted by the
    number of sampled frames from where the ungated stream told the start to where the gated one did.
    """
    late: Counter[int] = Counter()
    lost = 0
    for event in wanted:
        told = [other.told_seconds for other in found if event.overlaps(other)]
        if told:
            late[max(0, round((min(told) - event.told_seconds) / card.interval_seconds))] += 1
        else:
            lost += 1
    return {"number": len(wanted), "lost": lost, "late_frames": {str(frames): late[frames] for frames in sorted(late)}}


def watch_still(
    video: Path, name: str, noise: np.ndarray, engine: Engine, gate: Gate[Any], *, minutes: float, held_seconds: float
) -> dict[str, Any]:
    """A row of the report: the steps of a still scene with a disturbance, and the events when it moves after that.

    The scene is the held first frame of a video; then it is held for held_seconds more, and moves. The gate, which has
    learnt the disturbance for minutes, must not be deaf to what it disturbs, too.

    ratio       snippets, which are the steps of an ungated stream, to the steps of the gated one
    ratio_late  the same in the second half, when the gate has learnt what it can
    """
    card, disturb = engine.card, DISTURBANCES[name]
    rate = 1 / card.frame_seconds
    _, first = next(read_video(video))
    rng = np.random.default_rng(0)
    sampling, gate = Sampling(card), gate.copy()
    steps, wakes = [], 0
    for index, image in enumerate(islice(disturb(held(first, noise, rng), rate, rng), round(60 * minutes * rate))):
        frame = Frame(stream="", index=index, time_seconds=index / rate, picture=image)
        sampled = sampling.push(frame)
        if sampled is not None and sampled.snippet is not None:
            decision = gate.push(sampled.snippet, frame.time_seconds, None)
            steps.append(len(decision.due))
            wakes += decision.why == "wake"
    half = len(steps) // 2

    def frames() -> Timed:
        return _disturbed(hold_first(video, noise, seconds=held_seconds, rate=rate, seed=0), name, rate)

    moving = compare(engine, Scene(video.name, video.parent.name, held_seconds, frames), gate)
    return {
        "disturbance": name,
        "scene": video.name,
        "group": video.parent.name,
        "snippets": len(steps),
        "steps": sum(steps),
        "wakes": wakes,
        "ratio": len(steps) / sum(steps),
        "ratio_late": len(steps[half:]) / max(1, sum(steps[half:])),
        **{key: moving[key] for key in ("events", "events_while_held", "extra_events")},
    }


def _disturbed(frames: Timed, name: str, rate: float) -> Timed:
    times: deque[float] = deque()

    def images() -> Iterator[np.ndarray]:
        for time_seconds, image in frames:
            times.append(time_seconds)
            yield image

    for image in DISTURBANCES[name](images(), rate, np.random.default_rng(1)):
        yield times.popleft(), image


def add_up(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of `compare` added up by group and kind."""
    sums = []
    for group, kind in sorted({(row["group"], row["kind"]) for row in rows}):
        own = [row for row in rows if (row["group"], row["kind"]) == (group, kind)]
        late: Counter[str] = Counter()
        for row in own:
            late.update(row["events"]["late_frames"])
        ungated, gated = (sum(row[f"{name}_steps"] for row in own) for name in ("ungated", "gated"))
        sums.append(
            {
                "group": group,
                "kind": kind,
                "scenes": len(own),
                "ungated_steps": ungated,
                "gated_steps": gated,
                "ratio": ungated / max(1, gated),
                "events": sum(row["events"]["number"] for row in own),
                "lost": sum(row["events"]["lost"] for row in own),
                "late_frames": {frames: late[frames] for frames in sorted(late, key=int)},
                "events_while_held": sum(row["events_while_held"]["number"] for row in own),
                "lost_while_held": sum(row["events_while_held"]["lost"] for row in own),
                "extra_events": sum(row["extra_events"] for row in own),
            }
        )
    return sums


def measure(
    videos: Sequence[Path],
    noise: np.ndarray,
    engine: Engine,
    *,
    held_seconds: float,
    still_minutes: float,
    done: Done = nobody,
) -> dict[str, Any]:
    """The whole report, as plain numbers; the engine has no streams "ungated" and "gated"."""
    card = engine.card
    gate: Gate[Any] = Gate.of(card)
    rows = []
    scenes = scenes_of(
        videos, noise, held_seconds=held_seconds, rate=1 / card.frame_seconds, probe_seconds=gate.probe_seconds
    )
    for number, scene in enumerate(scenes, start=1):
        rows.append(compare(engine, scene, gate.copy()))
        done(number / (2 * len(videos)))
    still = [
        watch_still(video, name, noise, engine, gate, minutes=still_minutes, held_seconds=held_seconds)
        for video in {video.parent: video for video in reversed(videos)}.values()
        for name in DISTURBANCES
    ]
    return {
        "machine": machine(),
        "settings": {name: getattr(gate, name) for name in ("probe_seconds", "hold_seconds", "lead_seconds")},
        "groups": add_up(rows),
        "still": still,
        "scenes": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m actionstream.benchmarks.gate", description="The idle gate.")
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--noise", type=Path, required=True, help="a video of a still scene")
    parser.add_argument("--held-seconds", type=float, default=6.0, help="for which the first frame is held")
    parser.add_argument("--still-minutes", type=float, default=10.0, help="of each disturbance of a still scene")
    parser.add_argument("--model", default="motion")
    parser.add_argument("--threshold", type=float)
    parser.add_argument("--background", help="the label that is no event")
    arguments = parser.parse_args()
    try:
        engine = Engine(arguments.model, threshold=arguments.threshold, background=arguments.background)
        report = measure(
            arguments.videos,
            read_noise(arguments.noise),
            engine,
            held_seconds=arguments.held_seconds,
            still_minutes=arguments.still_minutes,
        )
    except (ActionstreamError, OSError) as error:
        sys.exit(f"gate: {error}")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
