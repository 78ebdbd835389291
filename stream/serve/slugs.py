"""Slugs: names of labels, cameras and regions in the letters that topics and ids allow."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from itertools import count

RESERVED = frozenset({"status", "enabled", "label", "labels", "events", "available", "snapshot"})
"""Words with a meaning of their own in topics."""
MOST_LETTERS = 100


def slug(text: str) -> str:
    """A name in a to z, 0 to 9 and _: never empty, never a reserved word, the same at each call.

    Letters lose their accents; a letter of another script becomes its number in Unicode, such as u4e2d.
    """
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    letters = "".join(_letter(each) for each in plain if not unicodedata.combining(each))
    found = re.sub("_+", "_", letters).strip("_") or "_".join(f"u{ord(each):x}" for each in text) or "empty"
    found = found[:MOST_LETTERS].strip("_")
    return f"{found}_1" if found in RESERVED else found


def slugs(labels: Iterable[str]) -> dict[str, str]:
    """A slug of its own for each label; of labels with the same one, the later ones get a number."""
    given: dict[str, str] = {}
    taken: set[str] = set()
    for label in labels:
        if label not in given:
            wanted = slug(label)
            numbered = (f"{wanted}_{number}" for number in count(2))
            given[label] = wanted if wanted not in taken else next(each for each in numbered if each not in taken)
            taken.add(given[label])
    return given


def _letter(each: str) -> str:
    if each.isascii():
        return each if each.isalnum() else "_"
    return f"u{ord(each):x}" if each.isalnum() else "_"
