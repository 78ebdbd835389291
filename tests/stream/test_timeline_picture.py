"""The timeline of a video as a picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from actionstream import Frame
from actionstream.results import Segment
from actionstream.videos.label import LabelledVideo
from actionstream.videos.picture import MAX_CLASSES, choose_classes, draw_timeline, score_columns
from actionstream.videos.scores import VideoScores
from actionstream.videos.sheet import clock
from actionstream.videos.thumbnails import Thumbnails


def found(probabilities, times, segments=(), duration=None):
    scores = VideoScores(
        times_seconds=np.array(times, float),
        scores=probabilities,
        rows_since_reset=np.arange(1, len(times) + 1),
        duration_seconds=duration or times[-1] + 0.1,
    )
    overall = probabilities.mean(axis=0)
    return LabelledVideo(scores=scores, probabilities=probabilities, overall=overall, segments=list(segments))


def test_clock():
    whole = {0: "0:00", 59.6: "1:00", 61: "1:01", 3599.4: "59:59", 3599.6: "1:00:00", 36000: "10:00:00"}
    assert {seconds: clock(seconds) for seconds in whole} == whole
    tenths = {0: "0:00.0", 1.25: "0:01.2", 59.96: "1:00.0", 3725.04: "1:02:05.0"}
    assert {seconds: clock(seconds, digits=1) for seconds in tenths} == tenths


def frame(index, time_seconds):
    image = np.full((12, 16, 3), index % 256, np.uint8)
    return Frame(stream="a", index=index, time_seconds=time_seconds, picture=image)


@given(st.integers(1, 400), st.sampled_from([1 / 30, 0.2, 7.0]))
def test_thumbnails_are_spread_over_the_whole_video(num, step):
    thumbnails = Thumbnails(count=5, height=6)
    for index in range(num):
        thumbnails.push(frame(index, index * step))
    times = [time for time, _ in thumbnails.kept]
    assert len(times) <= 10
    assert {picture.shape for _, picture in thumbnails.kept} == {(6, 8, 3)}
    spacing = np.diff([*times, num * step])
    assert times[0] == 0
    assert max(spacing) <= max(step, num * step / 4, 0.1 + step) * 1.5, "no long stretch without a picture"
    for time_seconds, picture in thumbnails.kept:
        assert thumbnails.nearest(time_seconds) is picture


def test_the_classes_that_matter():
    labels = [f"class {n}" for n in range(30)]
    probabilities = np.zeros((4, 30), np.float32)
    probabilities[1, :19] = np.linspace(0.2, 0.3, 19)
    segments = [Segment(0, 1, "class 29", 0.1), Segment(0, 1, "class 25", 0.9)]
    chosen = choose_classes(found(probabilities, [0, 0.1, 0.2, 0.3], segments), labels)
    assert chosen == [*range(1, 19), 25, 29]
    assert len(chosen) == MAX_CLASSES
    assert choose_classes(found(probabilities[:, :3], [0, 0.1, 0.2, 0.3]), labels[:3]) == [0, 1, 2]


def test_columns_show_short_peaks_and_gaps():
    times = np.arange(0, 3600, 0.1)
    times = times[(times < 1000) | (times >= 2000)]
    probabilities = np.full((len(times), 2), 0.1, np.float32)
    probabilities[7777, 0] = 0.9
    columns = score_columns(found(probabilities, times), [0, 1], interval_seconds=0.1)
    assert columns.shape[0] == 2
    peak = int(777.7 / times[-1] * columns.shape[1])
    assert columns[0, peak] == pytest.approx(0.9)
    assert np.nanmax(np.delete(columns[0], peak)) == pytest.approx(0.1)
    lost = np.isnan(columns[1]).mean()
    assert lost == pytest.approx(1000 / 3600, abs=0.01)
    few = score_columns(found(probabilities[:3], [0.5, 0.6, 0.8]), [0], interval_seconds=0.1)
    assert np.isnan(few[0]).tolist() == [True] * 5 + [False] * 4


@pytest.mark.parametrize(("num", "shown"), [(2, 2), (100, 20)])
def test_drawing(tmp_path, num, shown):
    """Few rows or many, a long video or a short one, labels that are long, strange, or in other letters."""
    labels = ["$x_1$ 挥手", "a label of more than forty letters, which is cut", *map(str, range(2, num))]
    times = np.arange(0, 20 * num, 0.5)
    probabilities = np.random.default_rng(0).random((len(times), num), np.float32)
    segments = [Segment(1, 4, labels[0], 0.9), Segment(2, 3, labels[-1], 0.2)]
    thumbnails = Thumbnails()
    for index, time_seconds in enumerate(times):
        thumbnails.push(frame(index, time_seconds))
    path = tmp_path / "timeline.png"
    draw_timeline(
        path,
        found(probabilities, times, segments),
        title="$5 (final).mp4",
        labels=labels,
        interval_seconds=0.5,
        thumbnails=thumbnails,
    )
    with Image.open(path) as picture:
        assert picture.width == 1680
        assert picture.height == pytest.approx(120 * (2.35 + 0.4 * shown), abs=1)


def test_a_segment_inside_a_better_one_of_its_label_is_not_drawn(tmp_path):
    thumbnails = Thumbnails()
    thumbnails.push(frame(0, 0.0))
    probabilities = np.full((40, 2), 0.5, np.float32)
    times = np.arange(40) / 4

    def drawn(*segments):
        path = tmp_path / "timeline.png"
        video = found(probabilities, times, segments)
        draw_timeline(path, video, title="a", labels=["x", "y"], interval_seconds=0.25, thumbnails=thumbnails)
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))

    whole, part = Segment(1, 8, "x", 0.9), Segment(2, 3, "x", 0.3)
    assert np.array_equal(drawn(whole, part), drawn(whole))
    assert not np.array_equal(drawn(whole, Segment(2, 3, "y", 0.3)), drawn(whole))


def test_no_number_stands_on_the_bar_of_another_segment(tmp_path):
    thumbnails = Thumbnails()
    thumbnails.push(frame(0, 0.0))

    def drawn(*segments):
        path = tmp_path / "timeline.png"
        video = found(np.full((40, 1), 0.5, np.float32), np.arange(40) / 4, segments)
        draw_timeline(path, video, title="a", labels=["x"], interval_seconds=0.25, thumbnails=thumbnails)
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB")).astype(int)

    better, worse = Segment(1, 5, "x", 0.9), Segment(4, 6, "x", 0.8)
    neither, one, both = drawn(), drawn(better), drawn(better, worse)
    rows, columns, _ = np.nonzero(neither != one)
    inside = slice(rows.min() + 4, rows.max() - 4), slice(columns.min() + 4, columns.max() - 4)
    assert not np.array_equal(one, both)
    assert np.array_equal(one[inside], both[inside])
