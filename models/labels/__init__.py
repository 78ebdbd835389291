"""Lists of labels: those that come with the package, and files.

kinetics400        in the order of DeepMind's list, as torchvision's weights have it
imagenet           1,000 classes of pictures, as torchvision's weights have it
ucf101             in the order of classInd.txt; the 101 classes of THUMOS14's recognition task are the same
hmdb51             alphabetical, as its folders are
jester             alphabetical, as in the TSM authors' online demo
something-something  174 templates in the order of V2's list, which is alphabetical, as V1's is in the TSM authors' code
thumos14           the 20 classes of its detection task, alphabetical
activitynet        the 200 classes of v1.3, alphabetical

Projects differ in the order: MMAction2's weights for Jester and Something-Something V1 have that of its own
label_map.txt, and jfzhang's for UCF101 that of sorted folders.

They are facts about the data sets, and were taken from torchvision (BSD-3-Clause), the TSN authors' code
(BSD-2-Clause), MMAction2 (Apache-2.0) and the ActivityNet challenge's code (MIT). Charades' list is not here: its
licence does not let it be passed on, but its own file, Charades_v1_classes.txt, is read as it is.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from actionstream.models.common.errors import ActionstreamError, warn_once
from actionstream.models.labels.files import Labels, read_label_file

FOLDER = Path(__file__).with_name("lists")
BACKGROUND = "background"
"""The label that means nothing happens, where nobody says otherwise."""


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
    """The label that means nothing happens: the wanted one, which must be there, or the one that is called so."""
    if wanted is not None and wanted not in labels:
        raise ActionstreamError(f"no label is called {wanted!r}; there are {', '.join(labels)}")
    return BACKGROUND if wanted is None and BACKGROUND in labels else wanted
