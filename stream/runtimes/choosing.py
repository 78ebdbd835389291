"""Measures the runtimes of an exported file in the background, as a child of the process that labels.

python -m actionstream.runtimes.choosing '[PATH, BATCHES, NUM_THREADS]'
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.processes import leave_with_parent
from actionstream.runtimes.exported_file import choose
from actionstream.runtimes.measuring import BATCHES

MOST_SIZES = 3


def rounded(batches: Sequence[int]) -> list[int]:
    """The sizes to measure for batches that occur, the most frequent first: of BATCHES, the next larger ones."""
    sizes = dict.fromkeys(next((size for size in BATCHES if size >= batch), BATCHES[-1]) for batch in batches)
    return sorted(list(sizes)[:MOST_SIZES])


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(10)
    leave_with_parent()
    path, batches, num_threads = json.loads(sys.argv[1])
    try:
        choose(Path(path), "float32", num_threads=num_threads, batches=rounded(batches))
    except (ActionstreamError, OSError) as error:
        sys.exit(str(error))
