"""The planner finds the fastest way to run a batch, and lanes run side by side."""

import threading
from collections import Counter

import numpy as np
import pytest
from helpers import SIZE, random_card

from actionstream.runtimes.onnx import OnnxRuntime
from actionstream.runtimes.openvino import OpenVinoRuntime
from actionstream.runtimes.plans import STEPS_UNTIL_RETRY, TRIALS, Plan, Planner, plans_for

CARD = random_card()
KINDS = {"onnx": OnnxRuntime, "openvino": OpenVinoRuntime}


@pytest.fixture
def path(exports):
    return exports / "model.onnx"


def frames(num_streams, num_snippets=1):
    shape = (num_streams, num_snippets, SIZE, SIZE, 3)
    return np.random.default_rng(num_streams).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("num_cores", [1, 2, 3, 16, 64])
@pytest.mark.parametrize("num_streams", [1, 2, 7, 100])
def test_plans_use_the_cores_and_no_more(num_cores, num_streams):
    plans = plans_for(num_cores)(num_streams)
    assert len(set(plans)) == len(plans)
    for plan in plans:
        assert plan.threads * plan.lanes <= num_cores
        assert 1 <= plan.lanes <= num_streams
        assert 1 <= plan.size <= -(-num_streams // plan.lanes)  # an equal share at most
    assert {plan.threads for plan in plans} == {1, min(num_cores, 4)}
    assert max(plan.lanes for plan in plans) == min(num_cores, num_streams)


def simulate(planner, num_streams, seconds_of, num_steps):
    """Run steps; returns how often each plan was taken."""
    taken = Counter()
    for _ in range(num_steps):
        plan = planner.choose(num_streams)
        planner.record(num_streams, plan, seconds_of(plan))
        taken[plan] += 1
    return taken


@pytest.mark.parametrize("fastest", range(5))
def test_the_fastest_plan_is_found_and_kept(fastest):
    plans = plans_for(2)(8)
    assert len(plans) == 5
    ran = set()

    def seconds_of(plan):
        first, noise = plan not in ran, 1 + len(ran) % 3 / 10
        ran.add(plan)
        return 100.0 if first else noise * (1 if plan == plans[fastest] else 1.4)

    planner = Planner(lambda _: plans)
    trials = simulate(planner, 8, seconds_of, 5 * (TRIALS + 1))
    assert set(trials.values()) == {TRIALS + 1}
    assert simulate(planner, 8, seconds_of, STEPS_UNTIL_RETRY - 1) == {plans[fastest]: STEPS_UNTIL_RETRY - 1}
    assert len(simulate(planner, 8, seconds_of, 4 * STEPS_UNTIL_RETRY)) == 5  # the others are tried again


def test_a_hopeless_plan_is_hardly_tried():
    plans = plans_for(2)(8)
    taken = simulate(Planner(lambda _: plans), 8, lambda plan: 1 if plan == plans[2] else 2, STEPS_UNTIL_RETRY)
    assert {plan: count for plan, count in taken.items() if plan != plans[2]} == dict.fromkeys(
        (plan for plan in plans if plan != plans[2]), 2
    )


def test_the_plan_follows_the_load():
    plans = plans_for(2)(8)
    planner = Planner(lambda _: plans)
    simulate(planner, 8, lambda plan: 1 if plan == plans[0] else 2, 300)
    busy = simulate(planner, 8, lambda plan: 3 if plan == plans[0] else 2, 300)
    assert busy[plans[0]] < 30  # its times are no longer the best
    freed = simulate(planner, 8, lambda plan: 1 if plan == plans[0] else 2, 10 * STEPS_UNTIL_RETRY)
    assert freed[plans[0]] > 0.4 * freed.total()  # found at one of the retries


def test_sizes_of_batches_have_plans_of_their_own():
    planner = Planner(plans_for(2))
    for _ in range(40):
        for num_streams in (2, 8):
            plan = planner.choose(num_streams)
            planner.record(num_streams, plan, plan.size if num_streams == 2 else 1 / plan.size)
    assert planner.choose(2).size == 1
    assert planner.choose(8).size == 8


@pytest.mark.parametrize("kind", KINDS)
def test_scores_and_states_are_the_same_with_every_plan(kind, path):
    """With the plans of four cores, and a pool that grows in between."""
    plans = [plan for count in (1, 7) for plan in plans_for(4)(count)]
    expected = None
    runtime = KINDS[kind](path, num_threads=4)
    for plan in plans:
        runtime._planner = Planner(lambda _, plan=plan: [plan])
        slots = np.array([runtime.allocate() for _ in range(7)])
        scores = [runtime.step(frames(7, 2), slots), runtime.step(frames(7), slots[::-1])]
        found = [*scores, *(leaf for slot in slots for leaf in runtime.read(slot))]
        expected = expected or found
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())
    assert len(plans) > 6


@pytest.mark.parametrize("kind", KINDS)
def test_states_stay_with_their_streams_when_the_plan_changes(kind, path):
    """Also through resets, copies and growth of the pool in between."""
    runtime, reference = KINDS[kind](path, num_threads=4), KINDS[kind](path, num_threads=1)
    reference._planner = Planner(lambda _: [Plan(threads=1, lanes=1, size=4)])
    slots = [np.array([each.allocate() for _ in range(4)]) for each in (runtime, reference)]
    plans = [Plan(1, 4, 1), Plan(4, 1, 1), Plan(4, 1, 4), Plan(1, 2, 2)]
    for turn, plan in enumerate([*plans, *reversed(plans), *plans]):
        runtime._planner = Planner(lambda _, plan=plan: [plan])
        given = np.roll(frames(4), turn, axis=2)
        found, expected = (each.step(given, mine) for each, mine in zip((runtime, reference), slots, strict=True))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
        for each, mine in zip((runtime, reference), slots, strict=True):
            if turn % 3 == 0:
                each.reset(mine[0])
            if turn % 3 == 1:
                each.write(mine[1], each.read(mine[2]))
            if turn % 5 == 2:
                [each.allocate() for _ in range(5)]


@pytest.fixture
def two_lanes(path):
    """A runtime that runs each of eight streams alone, in two lanes; and its slots."""
    runtime = OnnxRuntime(path, num_threads=2)
    runtime._planner = Planner(lambda _: [Plan(threads=1, lanes=2, size=1)])
    return runtime, np.array([runtime.allocate() for _ in range(8)])


def test_lanes_run_at_the_same_time(two_lanes):
    runtime, slots = two_lanes
    barrier = threading.Barrier(2, timeout=20)
    for number in range(2):
        inner = runtime._open_lane(Plan(1, 2, 1), number)

        def run(pixels, some, inner=inner):
            barrier.wait()  # broken where one lane waits for the other
            return inner(pixels, some)

        runtime._lanes[1, 2, number] = run
    assert np.isfinite(runtime.step(frames(8), slots)).all()


@pytest.mark.parametrize("number", [0, 1])
def test_an_error_in_a_lane_is_raised_when_all_lanes_are_done(number, two_lanes):
    runtime, slots = two_lanes
    entered, fell = threading.Event(), threading.Event()
    done = []

    def fail(pixels, some):
        assert entered.wait(20)
        fell.set()
        raise RuntimeError("no memory")

    def go_on(pixels, some):
        entered.set()
        assert fell.wait(20)
        done.append(int(some[0]))
        return np.zeros((1, 1, len(CARD.labels)), np.float32)

    runtime._lanes = {(1, 2, number): fail, (1, 2, 1 - number): go_on}
    with pytest.raises(RuntimeError, match="no memory"):
        runtime.step(frames(8), slots)
    assert len(done) == 7
