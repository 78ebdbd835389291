"""The recipe `timeception`: its two studies as a table, a file and a picture."""

from __future__ import annotations

import json
import platform
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from actionstream.commands.tables import open_console, print_table
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import write_text
from actionstream.models.training.pictures import draw_means
from actionstream.models.training.timeception_studies import NUM_STEPS, study_extents


def train_timeception(folder: Path, *, steps: int = NUM_STEPS, seed: int, device: str) -> None:
    """Run the studies and write results.json and results.png into a folder."""
    if folder.exists() and not folder.is_dir():
        raise ActionstreamError(f"{folder} is a file; the results go into a folder")
    folder.mkdir(parents=True, exist_ok=True)
    begin = perf_counter()
    found = study_extents(num_steps=steps, seed=seed, device=device)
    found |= {
        "command": f"actionstream train timeception --steps {steps} --seed {seed}",
        "minutes": round((perf_counter() - begin) / 60, 1),
        "torch": torch.__version__.split("+")[0],
        "machine": f"{platform.machine()}, {device}",
        "date": date.today().isoformat(),
    }
    write_text(folder / "results.json", json.dumps(found, indent=1))
    draw_means(folder / "results.png", found["accuracy"], over="how finely test videos are altered")
    _show(found)
    print(f"wrote {folder / 'results.json'} and results.png; {found['minutes']} minutes")


def _show(found: dict[str, Any]) -> None:
    """Print mean and standard deviation over the seeds, and the percent by which the mean falls on altered videos."""
    seeds = len(found["seeds"])
    title = f"accuracy on {found['videos']} videos, in %: mean and standard deviation of {seeds} seeds, drop in %"
    rows = []
    for kind, by_pieces in found["accuracy"].items():
        original = np.mean(by_pieces["original"])
        cells = []
        for name, values in by_pieces.items():
            cell = f"{100 * np.mean(values):.1f} ± {100 * np.std(values, ddof=1):.1f}"
            if name != "original" and original > 0:
                cell += f" ({100 * (np.mean(values) / original - 1):+.0f})"
            cells.append(cell)
        rows.append([kind, f"{found['parameters'][kind]:,}", str(found["reach"][kind]), *cells])
    print_table(open_console(), ["kernels", "parameters", "reach", *found["pieces"]], rows, title=f"{title}\n")
