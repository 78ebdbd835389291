"""The recipes `ut-interaction` and `arrow-of-time`: leave-one-sequence-out folds, and a table of all results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from actionstream.commands.tables import open_console, print_table
from actionstream.models.common.checked import checked, parse_json, read_json
from actionstream.models.common.choices import Shift
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import write_text
from actionstream.models.networks.mobilenet_v2 import MobileNetV2
from actionstream.models.training.pictures import draw_confusion
from actionstream.models.training.testing import Tested
from actionstream.models.training.ut_interaction import (
    NETWORKS,
    FoldResult,
    Task,
    count_controls,
    find_maps,
    recipe_for,
    run_folds,
)
from actionstream.models.weights.loading import load

SEEN = (0.25, 0.5, 0.75, 1.0)
NAMES = {"none": "", "uni": "online ", "bi": "bidirectional "}


def train_ut_interaction(
    task: Task,
    output: Path,
    *,
    data: Path | None = None,
    start: str | None = None,
    model: str = "tsm_mobilenet_v2",
    shift: Shift = "uni",
    epochs: int | None = None,
    seed: int,
    device: str,
    workers: int,
) -> None:
    """Train and test a network on all folds that are not done yet, and print the table of `output`."""
    root, start = _given_both(data, start)
    if model not in NETWORKS or (model != "tsm_mobilenet_v2" and shift != "uni"):
        raise ActionstreamError(
            f"no recipe for {model} with shift {shift}; it is for tsm_mobilenet_v2, or for "
            "tam_mobilenet_v2_causal with shift uni"
        )
    given = {} if epochs is None else {"epochs": epochs}
    recipe = recipe_for(task, root=str(root), start=start, network=model, shift=shift, seed=seed, **given)
    _claim(output, {"task": task, "data": str(root), "start": start})
    folder = output / f"{NETWORKS[model].lower()}-{shift}-{seed}"
    results = run_folds(recipe, folder, device=device, workers=workers)
    truth, scores = _joined(results)
    labels = results[0].labels
    draw_confusion(folder / "confusion.png", Tested(scores.mean(axis=2), truth, labels, ()).confusion(), labels)
    figures = {"settings": asdict(recipe), **figures_of(results)}
    write_text(folder / "summary.json", json.dumps(figures, indent=1))
    if not (controls := output / "controls.json").exists():
        write_text(controls, json.dumps(count_controls(recipe, find_maps(recipe, output)), indent=1))
    _show(output)


def _claim(folder: Path, what: Mapping[str, str]) -> None:
    """Claim a folder for one table; ValueError where its results are of another task, data or start."""
    file = folder / "table.json"
    if file.exists() and (there := read_json(file, dict[str, Any])) != what:
        name = next(name for name in {**what, **there} if what.get(name) != there.get(name))
        raise ActionstreamError(
            f"{folder} has results of {name} {there.get(name)}, not {what.get(name)}; take another folder"
        )
    write_text(file, json.dumps(what, indent=1))


def _given_both(data: Path | None, start: str | None) -> tuple[Path, str]:
    if data is None or not (data / "manifest.csv").is_file():
        raise ActionstreamError("give the folder of UT-Interaction's clips with its manifest.csv: --data DIR")
    if start is None:
        raise ActionstreamError("give a checkpoint of MobileNetV2 to start from, such as --start mobilenet-v2-imagenet")
    network, card = load(start)  # raise errors before a folder is made
    if not isinstance(network, MobileNetV2):
        raise ActionstreamError(
            f"{start} is {card.network}, and the recipe starts from MobileNetV2, as mobilenet-v2-imagenet"
        )
    return data.resolve(), start


def figures_of(results: Sequence[FoldResult]) -> dict[str, Any]:
    """Numbers of correct clips by set: with all views, with the first view only, and after parts of the clips."""
    sets = sorted({result.group.split("_")[0] for result in results})
    figures: dict[str, Any] = {}
    for name in [*sets, "all"]:
        truth, scores = _joined([result for result in results if name in ("all", result.group.split("_")[0])])
        wanted = truth.argmax(axis=1)
        figures[name] = {
            "clips": len(wanted),
            "right": _right(scores.mean(axis=(1, 2)), wanted),
            "right_in_one_view": _right(scores[:, 0].mean(axis=1), wanted),
        }
        if (rows := scores.shape[2]) > 1:
            seen = {part: scores[:, :, : max(1, round(part * rows))].mean(axis=(1, 2)) for part in SEEN}
            figures[name]["seen"] = {str(part): _right(each, wanted) for part, each in seen.items()}
    return figures


def _right(scores: np.ndarray, wanted: np.ndarray) -> int:
    return int((scores.argmax(axis=1) == wanted).sum())


def _joined(results: Sequence[FoldResult]) -> tuple[np.ndarray, np.ndarray]:
    """Truth (N, K) and scores (N, V, T, K) of folds."""
    truth = np.concatenate([result.truth for result in results])
    scores = np.concatenate([result.scores for result in results])
    return np.eye(scores.shape[-1], dtype=bool)[truth], scores


@checked
class _Figures:
    """Numbers of correct clips of a set, see `figures_of`."""

    clips: int
    right: int
    right_in_one_view: int
    seen: dict[str, int] = field(default_factory=dict)


@checked
class _Settings:
    network: Literal["tsm_mobilenet_v2", "tam_mobilenet_v2_causal"]
    shift: Shift
    seed: int


def _read_summary(file: Path) -> tuple[_Settings, dict[str, _Figures]]:
    """The settings and the figures of a summary, by set."""
    parts = read_json(file, dict[str, dict[str, Any]])
    settings = parts.pop("settings", {})
    shown = {name: value for name, value in settings.items() if name in ("network", "shift", "seed")}
    figures = {name: parse_json(json.dumps(part), _Figures, f"{file}: {name}") for name, part in parts.items()}
    return parse_json(json.dumps(shown), _Settings, f"{file}: settings"), figures


def _show(output: Path) -> None:
    files = sorted(output.glob("*-*-*/summary.json"))
    summaries = [_read_summary(file) for file in files]
    sets = list(summaries[0][1])
    for file, (_, figures) in zip(files, summaries, strict=True):
        if [*figures] != sets or "all" not in figures:
            raise ActionstreamError(
                f"{file} has the sets {', '.join(figures)}; expected {', '.join(sets)}: delete the folder that is wrong"
            )
    head = ["", "seed", *(f"{name} of {summaries[0][1][name].clips}" for name in sets), "one view"]
    rows = []
    for settings, figures in summaries:
        whole = figures["all"]
        row: list[Any] = [figures[name].right for name in sets] + [whole.right_in_one_view]
        row += [whole.seen.get(str(part), "") for part in SEEN[:-1]]
        name = "TSN" if settings.shift == "none" else f"{NAMES[settings.shift]}{NETWORKS[settings.network]}"
        rows.append([name, str(settings.seed), *map(str, row)])
    if (file := output / "controls.json").exists():
        for name, right in read_json(file, dict[str, dict[str, int]]).items():
            row = [sum(n for group, n in right.items() if each in ("all", group.split("_")[0])) for each in sets]
            rows.append([name, "", *map(str, row)])
    title = "correct clips, each labelled by a network that has not seen its sequence\n"
    print_table(open_console(), [*head, *(f"{100 * part:.0f} % seen" for part in SEEN[:-1])], rows, title=title)
