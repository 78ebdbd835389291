"""Truth and results for the tests of evaluation: by hand, and random with many ties."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from actionstream.evaluation.segments import Segments, Truth

TIMES = st.integers(0, 8).map(float)
SCORES = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])


def segments(*rows) -> Segments:
    """Rows of (video, start, end, label) or (video, start, end, label, score)."""
    return Segments.from_rows(row if len(row) == 5 else (*row, 1.0) for row in rows)


def truth(*rows, ambiguous=(), videos=(), labels=()) -> Truth:
    """Annotations, and videos and labels that have none."""
    names = [row[0] for row in (*rows, *ambiguous)]
    durations = dict.fromkeys(sorted({*names, *videos}), math.nan)
    return Truth(segments(*rows), segments(*ambiguous), durations, tuple(sorted({*labels, *(row[3] for row in rows)})))


def intervals(backwards: bool):
    """Start and end in whole seconds, so that many IoUs are equal or 0/0; the end may come first."""
    times = st.tuples(TIMES, TIMES)
    return times if backwards else times.map(sorted).map(tuple)


def rows(videos, labels, *, backwards=False, **sizes):
    """Lists of rows with many duplicates and ties; `backwards` has some end before they start."""
    row = st.tuples(st.sampled_from(videos), intervals(backwards), st.sampled_from(labels), SCORES)
    return st.lists(row.map(lambda r: (r[0], *r[1], r[2], r[3])), **sizes)


def problems(backwards=False):
    """Truth of videos a and b and labels x and y, and results that speak of others, too."""
    annotations = rows("ab", "xy", backwards=backwards, min_size=1, max_size=12)
    unclear = rows("ab", ["Ambiguous"], backwards=backwards, max_size=3)
    found = rows("abc", "xyz", backwards=backwards, max_size=25)
    return st.tuples(
        st.tuples(annotations, unclear).map(
            lambda parts: truth(
                *(r[:4] for r in parts[0]), ambiguous=[r[:4] for r in parts[1]], videos="abd", labels="xyz"
            )
        ),
        found.map(lambda r: segments(*r, ("a", 90.0, 99.0, "x", 0.5), ("a", 90.0, 99.0, "y", 0.5))),
    )
