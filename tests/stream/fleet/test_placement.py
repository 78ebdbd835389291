"""Placement: every camera has a node, no node much more than its share, and few cameras move."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionstream.fleet.placement import MOVED_SHARE, WORTH_IT, Capacity, balance, drained, loads, place
from actionstream.fleet.planner import BALANCE_SECONDS, SETTLE_SECONDS, START_SECONDS, USUAL_COST, Planner

COSTS = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.floats(0, 2), max_size=40)
NODES = st.dictionaries(
    st.text("xyz", min_size=1, max_size=3),
    st.builds(Capacity, st.sampled_from([1.0, 2.0, 16.0]), st.booleans()),
    max_size=8,
)


@given(COSTS, NODES)
def test_every_camera_is_placed_and_no_node_is_far_above_the_others(costs, nodes):
    placed = place(costs, {}, nodes)
    free = {node: capacity for node, capacity in nodes.items() if not capacity.draining}
    assert set(placed.values()) <= set(free)
    assert placed.keys() == (costs.keys() if free else set())
    load = loads(costs, placed, free)
    for node in set(placed.values()):  # each camera went where the load was lowest, so without one of them it was
        least = min(costs[camera] for camera, at in placed.items() if at == node)
        assert load[node] - least / free[node].cpus <= min(load.values()) + 1e-9


@given(COSTS, NODES, st.randoms(use_true_random=False))
def test_a_round_of_moves_is_bounded_and_brings_the_highest_load_down(costs, nodes, chance):
    if not nodes:
        return
    where = {camera: chance.choice(sorted(nodes)) for camera in costs}
    leaves = balance(costs, where, nodes)
    assert len(leaves) <= max(MOVED_SHARE * len(where), len(nodes))
    assert not {where[camera] for camera in leaves} & {node for node in nodes if nodes[node].draining}
    stays = {camera: node for camera, node in where.items() if camera not in leaves}
    open_nodes = {node: capacity for node, capacity in nodes.items() if not capacity.draining}
    after = stays | place(costs, stays, nodes)
    if leaves:
        before = loads(costs, where, open_nodes)
        assert max(before.values()) - min(before.values()) > WORTH_IT
        assert max(loads(costs, after, open_nodes).values()) <= max(before.values()) + 1e-9
    assert balance(costs, where, nodes, fixed=set(costs)) == set()


def test_a_node_that_comes_gets_cameras_until_it_is_not_worth_it():
    nodes = {"a": Capacity(4), "b": Capacity(4)}
    costs = {f"camera {n}": 0.2 for n in range(40)}
    where = place(costs, {}, nodes)
    nodes["c"] = Capacity(4)
    rounds = 0
    while leaves := balance(costs, where, nodes):
        where = {camera: node for camera, node in where.items() if camera not in leaves}
        where |= place(costs, where, nodes)
        rounds += 1
        assert rounds < 100
    load = loads(costs, where, nodes)
    assert max(load.values()) - min(load.values()) <= WORTH_IT + 0.2 / 4
    assert not balance({camera: cost * 1.05 for camera, cost in costs.items()}, where, nodes)  # noise moves nothing


def test_a_node_that_drains_is_left_by_all_unless_it_is_the_only_one():
    nodes = {"a": Capacity(4, draining=True), "b": Capacity(4)}
    where = {"door": "a", "hall": "b", "yard": "a"}
    assert drained(where, nodes) == {"door", "yard"}
    assert drained(where, {"a": nodes["a"]}) == set()
    assert place(dict.fromkeys(where, 1.0), {}, nodes) == dict.fromkeys(where, "b")


def test_thousands_of_cameras_with_churn():
    chance = random.Random(0)
    nodes = {f"node {n}": Capacity(chance.choice((8, 16, 32))) for n in range(500)}
    costs = {f"camera {n}": chance.uniform(0.05, 0.6) for n in range(10_000)}
    where = place(costs, {}, nodes)
    for number in range(5):
        for node in chance.sample(sorted(nodes), 5):
            del nodes[node]
        nodes |= {f"new node {number}.{n}": Capacity(16) for n in range(5)}
        where = {camera: node for camera, node in where.items() if node in nodes}
        leaves = balance(costs, where, nodes)
        assert len(leaves) <= max(MOVED_SHARE * len(costs), len(nodes))
        where = {camera: node for camera, node in where.items() if camera not in leaves}
        where |= place(costs, where, nodes)
        assert where.keys() == costs.keys()
    assert max(loads(costs, where, nodes).values()) < 0.5


@pytest.fixture
def now():
    return [0.0]


def test_the_first_placement_waits_for_all_nodes_for_some_time(now):
    planner = Planner(lambda: now[0])
    nodes = {"a": Capacity(2)}
    assert not planner.place(["door"], {}, nodes, expected=["a", "b"])
    now[0] = START_SECONDS
    assert planner.place(["door"], {}, nodes, expected=["a", "b"]) == {"door": "a"}
    assert planner.place(["door", "hall"], {"door": "a"}, nodes, expected=["a", "b"]) == {"hall": "a"}


def test_costs_settle_and_a_new_camera_stays_for_a_while(now):
    planner = Planner(lambda: now[0])
    assert planner.costs(["door"]) == {"door": USUAL_COST}
    assert planner.cost("door") is None
    for _ in range(50):
        planner.note({"door": 1.2})
        planner.note({"door": 0.8})
    assert planner.cost("door") == pytest.approx(1.0, abs=0.1)
    cameras = ["door", "hall", "yard"]
    planner.note(dict.fromkeys(cameras, 1.0))
    where = planner.place(cameras, {}, {"a": Capacity(4)}, expected=["a"])
    nodes = {"a": Capacity(4), "b": Capacity(4)}
    now[0] = BALANCE_SECONDS
    planner.choose_leaving(where, nodes)
    assert not planner.leaving
    now[0] = SETTLE_SECONDS + BALANCE_SECONDS
    planner.choose_leaving(where, nodes)
    assert len(planner.leaving) == 1
    planner.leaving.clear()
    planner.choose_leaving(where, nodes)
    assert not planner.leaving  # it is not time again
