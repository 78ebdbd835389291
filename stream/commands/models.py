"""The command `models`: the catalogue as a table, and one network in detail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from actionstream.models.catalogue import create_empty, find_entry
from actionstream.models.common.cache import cached_file
from actionstream.models.locate import PACKAGED, locate, packaged
from actionstream.models.networks.costs import COLUMNS, open_live, read_table
from actionstream.models.published import PUBLISHED
from actionstream.models.weights.checkpoint import read_card


def print_table() -> None:
    """Print a line for each network, with its cost, and a line for each checkpoint that has a name."""
    _print_lines(
        [COLUMNS, *(row.cells for row in read_table())], right=("parameters", "multiply-adds", "live, a frame", "state")
    )
    print()
    lines: list[tuple[str, ...]] = [("checkpoint", "network", "labels", "licence", "where")]
    for name in packaged():
        card = read_card(PACKAGED / f"{name}.safetensors")
        lines.append((name, card.network, "its own", card.licence, "packaged"))
    for name, entry in PUBLISHED.items():
        where = "in the cache" if cached_file(entry.address).is_file() else urlsplit(entry.address).netloc
        lines.append((name, entry.network, entry.labels, entry.licence, where))
    _print_lines(lines)


def _print_lines(lines: list[tuple[str, ...]], right: tuple[str, ...] = ()) -> None:
    """Print columns, each with a head; the columns in `right` are numbers."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            cell.rjust(width) if head in right else cell.ljust(width)
            for cell, width, head in zip(line, widths, lines[0], strict=True)
        ]
        print("  ".join(cells).rstrip())


def print_model(model: str) -> None:
    """Print the facts about a model, its layers with their parameters, and the state of a live stream."""
    found = locate(model)
    if found.kind == "network":
        _print_entry(found.name)
    elif found.kind == "published":
        published = PUBLISHED[found.name]
        _print_fields({**asdict(published), "kept at": found.path})
        print()
        _print_entry(published.network)
    else:
        card = read_card(found)
        size = card.preprocessing
        _print_fields(
            {
                "kept at": found.path,
                "network": card.network,
                **{name: _short(value) for name, value in card.arguments.items()},
                "labels": ", ".join(card.labels),
                "modality": size.modality,
                "interval_seconds": round(card.interval_seconds, 4),
                "num_frames": card.arguments.get("num_frames", card.num_frames),
                "thresholds": ", ".join(f"{label} {number:g}" for label, number in card.thresholds.items()),
                "examples": _counted(card.training.get("examples")),
                "licence": card.licence,
            }
        )
        _print_parts(card.network, card.arguments, frames=(card.num_frames, size.height, size.width))


def _short(argument: Any) -> Any:
    """An argument in one line; of backbones their names and the sizes of their frames."""
    if isinstance(argument, tuple) and argument and all(isinstance(each, dict) for each in argument):
        return ", ".join(f"{each.get('network')} ({each.get('size')} pixels)" for each in argument)
    return argument


def _counted(examples: Any) -> str:
    """The number of examples of each label, in a taught model."""
    if not isinstance(examples, list | tuple) or not all(isinstance(each, dict) for each in examples):
        return ""
    return ", ".join(f"{count} of {label}" for label, count in Counter(each.get("label") for each in examples).items())


def _print_fields(fields: Mapping[str, Any]) -> None:
    for field, value in fields.items():
        if value not in (None, ""):
            print(f"{field:<18}{value}")


def _print_entry(name: str) -> None:
    """Print the catalogue's entry of a network."""
    entry = find_entry(name)
    row = next(row for row in read_table() if row.name == name)
    for column, cell in zip(COLUMNS, row.cells, strict=True):
        print(f"{column:<14}{cell}")
    print(f"{'class':<14}actionstream.models.networks.{entry.module}.{entry.name}")
    for argument, value in entry.arguments.items():
        print(f"{'':<14}{argument} = {value}")
    if row.window:
        print(f"{'window':<14}{row.window}")
    _print_parts(name, {}, frames=(entry.num_frames, entry.size, entry.size))


def _print_parts(name: str, arguments: Mapping[str, Any], *, frames: tuple[int, int, int]) -> None:
    """Print layers and state for frames (T, height, width)."""
    import torch

    num_frames, height, width = frames
    with torch.device("meta"):
        network = create_empty(name, **arguments)
        live, window = open_live(network, num_frames)
        leaves = live.empty_state(1, height, width)
    print("\nlayers")
    for path, module in network.named_modules():
        num_parameters = sum(parameter.numel() for parameter in module.parameters())
        if path and path.count(".") < 2 and num_parameters:
            print(f"  {path:<32}{type(module).__name__:<24}{num_parameters:>12,}")
    how = "" if network.streams else f", in a window of {num_frames} frames" if window else ", causal, frame by frame"
    print(f"\nstate{how}")
    for leaf in leaves:
        print(f"  {' x '.join(map(str, leaf.shape[1:])):<32}{leaf.nbytes:>12,} bytes")
    if not leaves:
        print("  none")
