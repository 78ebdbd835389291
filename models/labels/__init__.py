"""Lists of labels: those that come with the package, and files.

kinetics400        in the order of DeepMind's list, as torchvision's weights have it
imagenet           1,000 classes of pictures, as torchvision's weights have it
ucf101             in the order of classInd.txt; the 101 classes of THUMOS14's recognition task are the same
hmdb51             alphabetical, as its folders are
jester             alphabetical, as in the TSM authors' online demo
something-something  174 templates, alphabetical, as in V2's list and in the TSM authors' code for V1
thumos14           the 20 classes of its detection task, alphabetical
activitynet        the 200 classes of v1.3, alphabetical

Other projects have other orders: MMAction2's weights for Jester and Something-Something V1 follow its own
label_map.txt, and jfzhang's weights for UCF101 follow sorted folders.

The lists are facts about the data sets, taken from torchvision (BSD-3-Clause), the TSN authors' code (BSD-2-Clause),
MMAction2 (Apache-2.0) and the ActivityNet challenge's code (MIT). Charades' list is not here, because its licence does
not allow redistribution; its own file, Charades_v1_classes.txt, can be read unchanged.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from actionstream.models.common.errors import ActionstreamError, warn_once
from actionstream.models.labels.files import Labels, read_label_file

FOLDER = Path(__file__).with_name("lists")
BACKGROUND, NOTHING = "background", "nothing"
"""The names by which the background label is known, which means that nothing happens."""


def list_labels() -> list[str]:
    """Names of the lists that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.txt"))


def read_labels(name: str | os.PathLike[str]) -> Labels:
    """The labels of a list of the package, or of a file (actionstream.models.labels.files), in the order of the scores.

    Raises ValueError for a list that does not exist, and for a file that does not say which label has which number.
    """
    path = Path(name)
    if not path.is_file() and name in list_labels():
        path = FOLDER / f"{name}.txt"
    elif path.is_file() and name in list_labels():
        warn_once(
            f"the labels {name} are those of the file {path.resolve()}, not the list that comes with actionstream"
        )
    if not path.is_file():
        raise ActionstreamError(f"no labels {str(name)!r}: give a file, or one of {', '.join(list_labels())}")
    return read_label_file(path)


def find_background(labels: Sequence[str], wanted: str | None = None) -> str | None:
    """The background label: `wanted`, which must exist, or else BACKGROUND or NOTHING if there is such a label."""
    if wanted is not None and wanted not in labels:
        raise ActionstreamError(f"no label is called {wanted!r}; there are {', '.join(labels)}")
    return wanted or next((label for label in (BACKGROUND, NOTHING) if label in labels), None)
