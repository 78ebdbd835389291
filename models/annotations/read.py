"""The one reader of annotations, whatever their layout."""

from __future__ import annotations

from pathlib import Path

from actionstream.models.annotations.activitynet import read_activitynet
from actionstream.models.annotations.annotated import AnnotationSet
from actionstream.models.annotations.table import read_annotation_table
from actionstream.models.annotations.thumos14 import read_thumos14
from actionstream.models.common.errors import ActionstreamError

READERS = {".json": read_activitynet, ".csv": read_annotation_table, ".tsv": read_annotation_table}
"""Readers of files by suffix; .gz may follow it."""


def read_annotations(source: Path) -> AnnotationSet:
    """The annotations of a file or folder, by its suffix.

    .json     ActivityNet's layout (actionstream.models.annotations.activitynet)
    .csv      a table with a row for each segment (actionstream.models.annotations.table); also .tsv
    a folder  THUMOS14's, with CLASS_val.txt and CLASS_test.txt (actionstream.models.annotations.thumos14)

    A file may be gzipped (.json.gz). Raises ValueError where there is no such file or folder, for another suffix, and
    for a file in another layout.
    """
    if source.is_dir():
        return read_thumos14(source)
    if not source.exists():
        raise ActionstreamError(f"no file {source}")
    suffix = Path(source.name.removesuffix(".gz")).suffix.lower()
    if suffix not in READERS:
        raise ActionstreamError(
            f"{source} ends in {suffix!r}; expected annotations as .json (ActivityNet), .csv (a row for each segment) "
            "or the folder of THUMOS14"
        )
    return READERS[suffix](source)
