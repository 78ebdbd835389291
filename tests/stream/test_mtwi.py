"""M-TWI at once and live, against the outputs of the reference and a naive implementation."""

import copy
import pickle
import subprocess
import sys
from fractions import Fraction
from math import ceil
from time import perf_counter

import numpy as np
import pytest
import torch
from golden import Golden
from hypothesis import given, settings
from hypothesis import strategies as st

from actionstream.models.networks.consensus import AttentionWeighting, Average, Maximum, TopK
from actionstream.scoring import Integrator, WindowPlan, integrate
from actionstream.scoring.consensus import attention_weighting, average, maximum, top_k


@pytest.fixture(scope="module")
def golden():
    return Golden("mtwi")


def softmax(scores):
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


@pytest.mark.parametrize("index", range(14))
def test_equals_the_reference(golden, index):
    case = golden.manifest["cases"][index]
    scores = 3.0 * golden.fill.inputs(case["seed"], case["shape"]).astype(np.float64)
    assert scores.sum() == pytest.approx(case["score_sum"])
    names = {"fps": "rows_per_second", "overlap": "overlap", "spans": "spans_seconds"}
    values = {name: tuple(value) if name == "spans" else value for name, value in case["kwargs"].items()}
    plan = WindowPlan(**{names[name]: value for name, value in values.items()})

    out = integrate(scores, plan=plan)
    np.testing.assert_allclose(out, golden.arrays[f"raw_{index:02}"], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(softmax(out), golden.arrays[f"softmax_{index:02}"], rtol=1e-12, atol=1e-12)
    integrator = Integrator(plan)
    for number, row in enumerate(scores):
        integrator.push(row, number / plan.rows_per_second)
    np.testing.assert_allclose(integrator.query(), golden.arrays[f"raw_{index:02}"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("index", range(4))
def test_consensus_of_rows_equals_the_reference(golden, index):
    case = golden.manifest["cases"][index]
    rows = (3.0 * golden.fill.inputs(case["seed"], case["shape"]).astype(np.float64)).mean(axis=1)
    np.testing.assert_allclose(average(rows), golden.arrays[f"default_{index:02}"], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(top_k(rows, 3), golden.arrays[f"topk3_{index:02}"], rtol=1e-12, atol=1e-12)


# A naive implementation, and what to try it on


def naive(rows, cells, plan, logits=None):
    """Row by row and class by class, with exact fractions: `cells` (n,) say where each row (K,) lies."""
    grid = {}
    for index, cell in enumerate(cells):
        row = [float(score) for score in rows[index]] + ([float(logits[index])] if logits is not None else [])
        grid[cell] = [max(pair) for pair in zip(grid.get(cell, row), row, strict=True)]
    end = max(grid) + 1
    results = []
    for seconds in plan.spans_seconds:
        span = int(Fraction(str(seconds)) * plan.rows_per_second)
        step = ceil(span * (1 - Fraction(str(plan.overlap))))
        windows = []
        for start in range(0, end, step):
            inside = [grid[cell] for cell in range(start, start + span) if cell in grid]
            seen = plan.horizon_seconds is None or start >= end - plan.horizon_seconds * plan.rows_per_second
            if inside and seen:
                windows.append([naive_consensus(plan.inside, column, inside) for column in zip(*inside, strict=True)])
        results.append([naive_consensus(plan.across, column, windows) for column in zip(*windows, strict=True)])
    means = [sum(column) / len(column) for column in zip(*results, strict=True)]
    return np.array(means[:-1] if logits is not None else means)


def naive_consensus(name, column, rows):
    """One number from those of a class; the last column of the rows is the logit of attention."""
    if name == "maximum":
        return max(column)
    if name == "average":
        return sum(column) / len(column)
    if name == "attention":
        weights = [np.exp(row[-1]) for row in rows]
        return sum(w * score for w, score in zip(weights, column, strict=True)) / sum(weights)
    highest = sorted(column, reverse=True)[: max(15, len(column) // 4)]
    return sum(highest) / len(highest)


@st.composite
def plans(draw):
    rate = draw(st.integers(1, 4))
    # half a second is a whole number of rows at some rates
    spans = draw(st.lists(st.integers(1, 2 * 16).map(lambda n: n / 2), min_size=1, max_size=4))
    spans = [span for span in spans if (span * rate).is_integer()] or [1.0]
    inside = draw(st.sampled_from(["maximum", "average", "attention"]))
    return WindowPlan(
        spans_seconds=tuple(spans),
        overlap=draw(st.sampled_from([0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.95])),
        rows_per_second=rate,
        inside=inside,
        across=draw(st.sampled_from(["top-k", "top-k", "attention"])),
        horizon_seconds=draw(st.none() | st.integers(0, 40).map(lambda more: max(spans) + more)),
    )


@st.composite
def videos(draw, plan, max_rows):
    """Scores with ties in them, logits of attention, times, and the cells that those lie in."""
    count = draw(st.integers(1, max_rows))
    random = np.random.default_rng(draw(st.integers(0, 999)))
    scores = random.standard_normal((count, draw(st.integers(1, 4))))
    if draw(st.booleans()):
        scores = np.round(scores)
    # steps in eighths of a cell: steady, dense, with gaps, or all of these
    steps = draw(st.sampled_from([[8], [0, 1, 3], [5, 8, 11], [8, 8, 8, 100, 400], [0, 1, 4, 8, 12, 200]]))
    eighths = np.cumsum([0, *random.choice(steps, count - 1)])
    times = draw(st.sampled_from([0.0, 0.2, -3.3, 12345.678])) + eighths / 8 / plan.rows_per_second
    logits = random.standard_normal(count) if plan.needs_attention else None
    return scores, logits, times, ((eighths + 4) // 8).tolist()


@settings(deadline=None, max_examples=150)
@given(st.data(), plans())
def test_equals_a_naive_implementation(data, plan):
    scores, logits, times, cells = data.draw(videos(plan, 150))
    out = integrate(scores, plan=plan, times_seconds=times, attention_logits=logits)
    np.testing.assert_allclose(out, naive(scores, cells, plan, logits), atol=1e-9)
    if cells == list(range(len(cells))):
        assert np.array_equal(out, integrate(scores, plan=plan, attention_logits=logits))


@settings(deadline=None, max_examples=100)
@given(st.data(), plans())
def test_live_equals_the_whole_at_every_row(data, plan):
    scores, logits, times, _ = data.draw(videos(plan, 60))
    integrator, reached = Integrator(plan), 0
    saved = integrator.save(), 0

    def push(integrator, index, factor=1.0):
        logit = None if logits is None else logits[index]
        integrator.push(factor * scores[index], times[index], attention_logit=logit)

    moves = st.sampled_from(["push"] * 5 + ["save", "restore", "copy"])
    for move in data.draw(st.lists(moves, min_size=20, max_size=90)):
        if move == "push" and reached < len(scores):
            push(integrator, reached)
            reached += 1
        elif move == "save":
            saved = integrator.save(), reached
        elif move == "restore":
            integrator, reached = Integrator(plan), saved[1]
            integrator.restore(saved[0])
        elif move == "copy":
            integrator, left = copy.deepcopy(integrator), integrator
            push(left, min(reached, len(scores) - 1), 100.0)
        if reached:
            so_far = None if logits is None else logits[:reached]
            whole = integrate(scores[:reached], plan=plan, times_seconds=times[:reached], attention_logits=so_far)
            np.testing.assert_allclose(integrator.query(), whole, atol=1e-9)


@pytest.mark.parametrize("horizon_seconds", [None, 100])
def test_live_equals_the_whole_after_hours_too(horizon_seconds):
    plan = WindowPlan(horizon_seconds=horizon_seconds)
    scores = np.random.default_rng(0).standard_normal((9000, 3)).astype(np.float32)
    integrator = Integrator(plan)
    for number, row in enumerate(scores):
        integrator.push(row, number)
        if number % 700 == 0:
            np.testing.assert_allclose(integrator.query(), integrate(scores[: number + 1], plan=plan), atol=1e-9)


def test_a_horizon_forgets_what_is_before_it():
    plan = WindowPlan(horizon_seconds=30)
    for number in range(100):
        scores = np.zeros((number + 1, 1))
        scores[0] = 9
        out = integrate(scores, plan=plan)[0]
        assert (out > 0) == (number < 30)


def test_a_short_stream_is_all_within_its_horizon():
    scores = np.random.default_rng(0).standard_normal((40, 3))
    assert np.array_equal(integrate(scores, plan=WindowPlan(horizon_seconds=40)), integrate(scores))


def test_a_gap_of_a_year_costs_nothing_and_counts_for_nothing():
    times = np.array([0.0, 1.0, 3e7, 3e7 + 1])
    scores = np.array([[1.0], [2.0], [3.0], [4.0]])
    out = integrate(scores, times_seconds=times, plan=WindowPlan(spans_seconds=(1,)))
    assert out == pytest.approx([2.5])
    integrator = Integrator(WindowPlan(spans_seconds=(1,)))
    for row, time in zip(scores, times, strict=True):
        integrator.push(row, time)
    assert integrator.query() == pytest.approx([2.5])


def test_rows_belong_to_the_nearest_tick():
    """A video of 29.97 frames a second, sampled once a second: the frames lie around the ticks, one in each cell."""
    plan = WindowPlan(spans_seconds=(1, 4))
    scores = np.random.default_rng(0).standard_normal((300, 2))
    times = np.round(np.arange(300) * 29.97) / 29.97
    assert (np.diff(np.floor(times)) != 1).any()
    assert np.array_equal(integrate(scores, plan=plan, times_seconds=times), integrate(scores, plan=plan))


@pytest.mark.parametrize(
    ("span", "overlap", "step"), [(1, 0.2, 1), (2, 0.2, 2), (8, 0.2, 7), (16, 0.2, 13), (10, 0.7, 3), (4, 1 - 1e-12, 1)]
)
def test_steps_are_rounded_up_but_not_for_the_error_of_a_float(span, overlap, step):
    assert WindowPlan(spans_seconds=(span,), overlap=overlap).scales() == [(span, step)]


# The catalogue


@given(st.integers(1, 40), st.integers(1, 20), st.integers(0, 99))
def test_consensus_functions_are_those_of_the_catalogue(count, k, seed):
    random = np.random.default_rng(seed)
    scores, features = np.round(random.standard_normal((count, 3)), 1), random.standard_normal((count, 4))
    weighting = AttentionWeighting(4).double()
    weighting.attention.data[:] = torch.from_numpy(random.standard_normal(4))
    logits = features @ weighting.attention.detach().numpy()
    for ours, catalogue in [
        (average(scores), Average()),
        (maximum(scores), Maximum()),
        (top_k(scores, k), TopK(k)),
        (attention_weighting(scores, logits), weighting),
    ]:
        theirs = catalogue(torch.from_numpy(scores)[None], torch.from_numpy(features)[None])[0]
        np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=1e-12)


@pytest.mark.parametrize("inside", ["average", "attention"])
def test_attention_across_windows_is_that_of_the_features_of_windows(inside):
    random = np.random.default_rng(0)
    scores, features = random.standard_normal((50, 3)), random.standard_normal((50, 4))
    weighting = AttentionWeighting(4).double()
    weighting.attention.data[:] = torch.from_numpy(random.standard_normal(4))
    make_window = weighting if inside == "attention" else Average()

    rows, features_of_rows = torch.from_numpy(scores)[None], torch.from_numpy(features)[None]
    parts = [slice(start, start + 8) for start in range(0, 50, 7)]
    windows = [make_window(rows[:, part], features_of_rows[:, part]) for part in parts]
    features_of_windows = [make_window(features_of_rows[:, part], features_of_rows[:, part]) for part in parts]
    theirs = weighting(torch.stack(windows, dim=1), torch.stack(features_of_windows, dim=1))[0]

    plan = WindowPlan(spans_seconds=(8,), inside=inside, across="attention")
    logits = features @ weighting.attention.detach().numpy()
    np.testing.assert_allclose(
        integrate(scores, plan=plan, attention_logits=logits), theirs.detach().numpy(), atol=1e-12
    )


def test_needs_no_torch():
    program = """
import sys
sys.modules["torch"] = None
import numpy as np
from actionstream.scoring import Integrator, integrate
integrator = Integrator()
integrator.push(np.ones(2), 0.0)
print(integrator.query(), integrate(np.ones((1, 2))))
"""
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[1. 1.] [1. 1.]\n"


# What it costs


def test_costs():
    """Prints (pytest -s) what the docstring of Integrator says."""
    rows = np.random.default_rng(0).standard_normal((36_000, 101)).astype(np.float32)
    integrator, seconds = Integrator(), []
    for number, row in enumerate(rows):
        start = perf_counter()
        integrator.push(row, number)
        seconds.append(perf_counter() - start)
        if number in (3_599, 35_999):
            start = perf_counter()
            for _ in range(5):
                integrator.query()
            query_ms = 1e3 * (perf_counter() - start) / 5
            size = size_of(integrator)
            push_us = 1e6 * np.mean(seconds[-3_000:])
            print(f"after {number + 1} rows: a push {push_us:.0f} us, a query {query_ms:.1f} ms, {size / 1e6:.1f} MB")
            assert size < 5.9e6 * (number + 1) / 3_600
    assert np.mean(seconds[-3_000:]) < 4 * np.mean(seconds[600:3_600])  # the same, but the machine has other work


def test_memory_within_a_horizon_is_bounded():
    integrator, sizes = Integrator(WindowPlan(horizon_seconds=300)), []
    for number in range(3_000):
        integrator.push(np.zeros(101), number)
        sizes.append(size_of(integrator))
    assert max(sizes) < 2 * 300 / 3_600 * 5.9e6 + 100_000


def size_of(integrator):
    saved = integrator.save()
    return sum(places.nbytes + rows.nbytes for places, rows in [saved["recent"], *saved["finished"]])


# Bad input


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"spans_seconds": ()}, "there are no spans; give the length"),
        ({"spans_seconds": (1, 0)}, "a span of 0 seconds at 1 rows a second is 0 rows; it must be a whole number"),
        ({"spans_seconds": (-2,)}, "a span of -2 seconds"),
        ({"spans_seconds": (1.5,)}, "is 1.5 rows"),
        ({"spans_seconds": (float("nan"),)}, "a span of nan seconds"),
        ({"spans_seconds": (float("inf"),)}, "a span of inf seconds"),
        ({"rows_per_second": 0}, "0 rows a second: the grid has a whole number of them, 1 or more"),
        ({"rows_per_second": 2.5}, "2.5 rows a second"),
        ({"rows_per_second": float("nan")}, "nan rows a second"),
        ({"overlap": 1}, "the overlap is 1; it is a part of a window, from 0 to below 1"),
        ({"overlap": -0.1}, "the overlap is -0.1"),
        ({"overlap": float("nan")}, "the overlap is nan"),
        ({"inside": "median"}, "no consensus 'median' inside a window; there are maximum, average, attention"),
        ({"across": "maximum"}, "no consensus 'maximum' across windows; there are top-k, attention"),
        ({"horizon_seconds": 15}, "the horizon is 15 seconds; it must be no shorter than the longest span, 16 seconds"),
        ({"horizon_seconds": float("inf")}, "the horizon is inf seconds"),
        ({"horizon_seconds": float("nan")}, "the horizon is nan seconds"),
    ],
)
def test_refuses_odd_plans(plan, message):
    with pytest.raises(ValueError, match=message):
        WindowPlan(**plan)


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        (np.zeros(3), {}, r"scores are \(rows, classes\) or \(rows, crops, classes\), none of them 0, not \(3,\)"),
        (np.zeros((0, 3)), {}, r"not \(0, 3\)"),
        (np.zeros((3, 0, 2)), {}, r"not \(3, 0, 2\)"),
        ([[0, 1], [np.nan, 0], [np.inf, 0]], {}, "2 of 3 rows are not finite, the first of them row 1"),
        ([[[0], [1]], [[0], [-np.inf]]], {}, "1 of 2 rows are not finite, the first of them row 1"),
        (np.zeros((2, 1)), {"times_seconds": [0, 1, 2]}, r"2 rows with times of shape \(3,\)"),
        (np.zeros((2, 1)), {"times_seconds": [1, 0]}, "times must be finite and never decrease"),
        (np.zeros((2, 1)), {"times_seconds": [0, np.nan]}, "times must be finite"),
        (np.zeros((2, 1)), {"attention_logits": [0, 0]}, "the plan has attention neither inside nor across"),
        (np.zeros((2, 1)), {"plan": WindowPlan(across="attention")}, "needs the logit of attention of each row"),
        (
            np.zeros((2, 1)),
            {"plan": WindowPlan(inside="attention"), "attention_logits": [0]},
            r"2 rows with logits of shape \(1,\)",
        ),
        (
            np.zeros((2, 1)),
            {"plan": WindowPlan(inside="attention"), "attention_logits": [0, np.nan]},
            "1 of 2 rows are not finite, the first of them row 1",
        ),
    ],
)
def test_refuses_odd_rows(scores, options, message):
    with pytest.raises(ValueError, match=message):
        integrate(scores, **options)


@pytest.mark.parametrize(
    ("row", "time_seconds", "message"),
    [
        ([0, np.nan], 6, "1 of 1 rows are not finite"),
        ([0, 0, 0], 6, "3 numbers in a row after rows of 2: the classes stay the same"),
        (0.5, 6, "scores are"),
        ([0, 0], 4.9, "a row at 4.9 seconds after one at 5.0: times are finite and never decrease; begin a new"),
        ([0, 0], np.nan, "a row at nan seconds"),
        ([0, 0], np.inf, "a row at inf seconds"),
    ],
)
def test_a_refused_row_changes_nothing(row, time_seconds, message):
    integrator = Integrator()
    integrator.push(np.array([1, 2]), 5)
    before = pickle.dumps(integrator.save())
    with pytest.raises(ValueError, match=message):
        integrator.push(row, time_seconds)
    assert pickle.dumps(integrator.save()) == before
    restored = Integrator()
    restored.restore(pickle.loads(before))
    with pytest.raises(ValueError, match=message):
        restored.push(row, time_seconds)


def test_refuses_to_say_anything_of_nothing_or_to_go_on_with_another_plan():
    integrator = Integrator()
    with pytest.raises(ValueError, match="no row was pushed yet"):
        integrator.query()
    with pytest.raises(ValueError, match=r"saved with .*horizon_seconds=20.* cannot go on with"):
        integrator.restore(Integrator(WindowPlan(horizon_seconds=20)).save())
