"""Subtitles, as players read them."""

import re

import av
from hypothesis import given
from hypothesis import strategies as st

from actionstream.results import Segment
from actionstream.videos.subtitles import subtitles

TEXTS = st.sampled_from(["wave", "a <b> & c", "x --> y", "two\nlines\n\n3", "ein Gruß 挥手", "1"])
SEGMENTS = st.lists(
    st.tuples(st.floats(0, 40000), st.floats(0, 5000), TEXTS, st.floats(0, 1)).map(
        lambda each: Segment(each[0], each[0] + each[1], each[2], each[3])
    ),
    max_size=6,
)


def read(text, kind):
    """Times in milliseconds and texts, by the grammar of the format; AssertionError for anything else."""
    blocks = text.split("\n\n")
    if kind == "vtt":
        assert blocks.pop(0).rstrip("\n") == "WEBVTT"
    clock = r"(\d\d+):([0-5]\d):([0-5]\d)" + {"srt": ",", "vtt": r"\."}[kind] + r"(\d{3})"
    cues = []
    for number, block in enumerate(filter(None, blocks), 1):
        first, times, *lines = block.rstrip("\n").split("\n")
        match = re.fullmatch(f"{clock} --> {clock}", times)
        assert (int(first), len(lines)) == (number, 1)
        assert "-->" not in lines[0]
        h, m, s, ms, *end = map(int, match.groups())
        cues.append(
            (((h * 60 + m) * 60 + s) * 1000 + ms, ((end[0] * 60 + end[1]) * 60 + end[2]) * 1000 + end[3], lines[0])
        )
    return cues


@given(SEGMENTS, st.sampled_from(["srt", "vtt"]))
def test_cues_are_the_segments_in_order(segments, kind):
    cues = read(subtitles(segments, kind=kind), kind)
    assert len(cues) == len(segments)
    assert [start for start, *_ in cues] == sorted(round(1000 * each.start_seconds) for each in segments)
    assert all(start < end for start, end, _ in cues)
    expected = sorted(round(1000 * each.end_seconds) for each in segments)
    assert all(abs(end - wanted) <= 1 for end, wanted in zip(sorted(end for _, end, _ in cues), expected, strict=True))


def test_a_player_reads_them(tmp_path):
    segments = [Segment(1.5, 3.25, "a <b> & c --> d", 0.5), Segment(3700.1, 3702, "wave\nhard", 1.0)]
    texts = {"srt": "a <b> & c -> d 50%", "vtt": "a &lt;b&gt; &amp; c --&gt; d 50%"}
    for kind, text in texts.items():
        path = tmp_path / f"x.{kind}"
        path.write_text(subtitles(segments, kind=kind), encoding="utf-8")
        with av.open(str(path)) as file:
            cues = [(p.pts, p.pts + p.duration, bytes(p).decode()) for p in file.demux() if p.size]
        assert cues == [(1500, 3250, text), (3_700_100, 3_702_000, "wave hard 100%")]
