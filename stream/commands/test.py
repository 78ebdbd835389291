"""The command `test`: the accuracy of a checkpoint on clips that it has not seen."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from actionstream.choices import RuntimeName
from actionstream.commands.tables import open_console, print_table
from actionstream.commands.teach import as_label
from actionstream.engine.engine import Engine
from actionstream.evaluation.false_starts import false_starts
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.labels import NOTHING, find_background
from actionstream.models.locate import CHECKPOINTS, locate
from actionstream.models.training.data import Data
from actionstream.models.training.datasets import Clip, Listing, count_shared
from actionstream.models.training.folders import videos_under
from actionstream.models.training.left_out import LeftOut
from actionstream.models.training.motion import MOVEMENTS, PREPROCESSING
from actionstream.models.training.motion_accuracy import motion_accuracy
from actionstream.models.training.remarks import describe, remarks_on, sureness
from actionstream.models.training.run import Run
from actionstream.models.training.sampling import FrameSampling
from actionstream.models.training.testing import runs_live, test, test_online
from actionstream.models.video import FEATURES
from actionstream.models.weights.checkpoint import read_card, save_card
from actionstream.models.weights.loading import load
from actionstream.runtimes.eager import choose_device
from actionstream.runtimes.opening import open_runtime
from actionstream.sources import open_source

PICTURES_OF_A_VIDEO = 12
PICTURES_IN_MEMORY = 240


def test_clips(
    model: str,
    *,
    data: Path | None,
    num_clips: int,
    num_crops: int,
    num_frames: int | None,
    full: bool,
    online: bool,
    device: str,
    as_json: bool,
) -> None:
    """Measure a checkpoint on the clips of a folder, or a run on its validation clips."""
    found = locate(model)
    network, card = load(found)
    sampling = {"--clips": num_clips > 1, "--crops": num_crops > 1, "--frames": num_frames, "--full": full}
    if runs_live(network, card):
        given = ", ".join(option for option, value in sampling.items() if value)
        if given:
            raise ActionstreamError(f"{model} is tested as it runs live, on whole clips, without {given}; leave it out")
    settings = Run.open(Path(model)).settings if found.kind == "run" else None
    learnt, clips = Listing(), Listing()
    if data is not None:
        clips = Data(root=str(data)).to_test()
        with suppress(ActionstreamError, OSError):  # what a run learnt from may be gone
            learnt = Listing() if settings is None else settings.data.open()[0]
    elif settings is not None:
        clips = settings.data.open()[1]
    if not clips:
        raise ActionstreamError(f"{model} has no clips to be tested on; give a folder of them, --data DIR")
    for line in (f"read: {len(clips)} clips of {len(clips.labels)} labels", *clips.left_out.lines()):
        print(line, file=sys.stderr)
    clips = replace(clips, clips=[_with_known_labels(clip, card.labels) for clip in clips])
    num_shared = count_shared(clips, learnt)
    where = choose_device(device).type
    if online:
        broken: list[str] = []
        right = test_online(network, card, clips, device=where, progress="streaming", broken=broken)
        _show_online(right, broken, as_json=as_json)
        return
    sampled = FrameSampling(
        num_frames=max(card.num_frames, 8),
        interval_seconds=card.interval_seconds,
        frame_seconds=card.frame_seconds,
    )
    if settings is not None:
        sampled = settings.sampled
    sampled = replace(sampled, num_warm=0, num_frames=num_frames or sampled.num_frames)
    result = test(
        network,
        card,
        clips,
        sampled,
        num_clips=num_clips,
        num_crops=num_crops,
        full=full,
        device=where,
        progress="testing",
    )
    figures = result.figures()
    for remark in (*result.remarks, *remarks_on(figures, num_shared=num_shared)):
        print(remark, file=sys.stderr)
    if as_json:
        for message in result.broken:
            _say_left_out(message)
        print(json.dumps(figures))
        return
    console = open_console()
    how = f"each as {num_clips} clips of {num_crops} crops"
    console.print(f"{figures['videos']} videos, {'each streamed whole' if runs_live(network, card) else how}\n")
    per_class = figures.get("per_class", {})
    parts = [
        [[name, f"{100 * value:.1f}"] for name, value in part.items() if isinstance(value, float)]
        for part in (figures, per_class)
    ]
    print_table(console, ["", "%"], *filter(None, parts))
    if sure := sureness(figures):
        console.print(f"\n{describe(sure['right'], sure['tested'])}")
    for message in result.broken:
        console.print(f"left out: {message}")


def _with_known_labels(clip: Clip, labels: Sequence[str]) -> Clip:
    """The clip with the model's label for no action in place of another name of it."""
    background = find_background(labels)
    if background is None:
        return clip
    names = (label if label in labels or as_label(label) != NOTHING else background for label in clip.labels)
    return replace(clip, labels=tuple(names))


def _show_online(right: dict[float, float], broken: Sequence[str], *, as_json: bool) -> None:
    for message in broken:
        _say_left_out(message)
    if as_json:
        print(json.dumps({"seen": right}))
        return
    head = ["seen", *(f"{100 * part:.0f}" for part in right)]
    row = ["top-1", *(f"{100 * value:.1f}" for value in right.values())]
    print_table(open_console(), head, [row], title="accuracy when so much of a video has been seen, in %\n")


def is_motion(model: str) -> bool:
    """Whether a model is a checkpoint of the recipe `motion`, or an exported file."""
    found = locate(model)
    if found.kind not in CHECKPOINTS:
        return found.kind == "exported"
    card = read_card(found)
    return card.labels == MOVEMENTS and card.preprocessing == PREPROCESSING


def test_motion(
    model: str,
    *,
    runtime: RuntimeName,
    num_clips: int,
    pictures: Path | None,
    background: Path | None,
    write: bool,
    as_json: bool,
) -> None:
    """Measure a checkpoint of the recipe `motion`, or an export of it, and print the figures."""
    found = locate(model)
    opened = open_runtime(found, runtime=runtime)
    card = opened.card
    if card.labels != MOVEMENTS:
        raise ActionstreamError(
            f"{model} is an exported file, and its model is not motion; test the checkpoint that it was made of"
        )
    if write and found.kind == "exported":
        raise ActionstreamError(f"--write is for checkpoints, and {model} is an exported file; leave --write out")

    def score(clips: np.ndarray) -> np.ndarray:
        slots = np.array([opened.allocate() for _ in clips])
        scores = opened.step(clips, slots)
        for slot in slots.tolist():
            opened.free(slot)
        return scores

    figures: dict[str, Any] = {
        "sets": motion_accuracy(
            score,
            card,
            num_clips=num_clips,
            pictures=[] if pictures is None else real_pictures(pictures),
        )
    }
    if background is not None:
        starts, hours = false_starts(Engine(opened), videos(background), nothing=("still",), say=_say_left_out)
        figures["false_starts"] = {"starts": starts, "hours": round(hours, 4), "an_hour": round(starts / hours, 1)}
    if write:
        save_card(found.file(*CHECKPOINTS), replace(card, accuracy=figures))
    if as_json:
        print(json.dumps(figures))
    else:
        show(figures)


def show(figures: dict[str, Any]) -> None:
    """Print the figures as a table."""
    console = open_console()
    moments = next(iter(figures["sets"].values()))["frames"]
    rows = [
        [name, *(f"{100 * share:.1f}" for share in (values["clips"], values["opposites"], *values["frames"].values()))]
        for name, values in figures["sets"].items()
    ]
    head = ["set", "clips", "opposites", *(f"frame {number}" for number in moments)]
    print_table(console, head, rows, title="accuracy, in %\n")
    for name, values in figures["sets"].items():
        each = ", ".join(f"{movement} {100 * share:.0f}" for movement, share in values["by_movement"].items())
        console.print(f"{name}: {each}")
    if "false_starts" in figures:
        found = figures["false_starts"]
        console.print(f"{found['starts']} starts in {found['hours']} hours without action: {found['an_hour']} an hour")


def videos(folder: Path) -> list[Path]:
    """The videos in a folder; ValueError when there is none."""
    left_out = LeftOut()
    found = [path for path in videos_under(folder, left_out) if path.is_file() and path.suffix != FEATURES]
    if not found:
        raise ActionstreamError(
            "; ".join([f"no videos in {folder}; expected files such as NAME.mp4", *left_out.lines()])
        )
    for line in left_out.lines():
        print(line, file=sys.stderr)
    return found


def real_pictures(folder: Path) -> list[np.ndarray]:
    """Pictures from each video of a folder, evenly spread over it."""
    pictures: list[np.ndarray] = []
    for path in videos(folder):
        try:
            every, images = 20, []
            with closing(open_source(path)) as source:
                for frame in source:
                    if frame.index % every == 0:
                        images.append(frame.image)
                    if len(images) == PICTURES_IN_MEMORY:
                        every, images = 2 * every, images[::2]
        except (ActionstreamError, OSError) as error:
            _say_left_out(str(error))
            continue
        chosen = np.linspace(0, len(images) - 1, min(PICTURES_OF_A_VIDEO, len(images))).astype(int)
        pictures += [images[index] for index in chosen]
    if not pictures:
        raise ActionstreamError(f"no video in {folder} can be read")
    return pictures


def _say_left_out(message: str) -> None:
    print(f"left out: {message}", file=sys.stderr)
