"""The parts of an agent: its store, its costs, its news, and a session with a coordinator in this process."""

import threading
import time

import pytest
from event_records import records

from actionstream.fleet import session as session_module
from actionstream.fleet.coordinator import Coordinator
from actionstream.fleet.costs import MEASURE_SECONDS, Costs
from actionstream.fleet.messages import NodeFacts
from actionstream.fleet.news import News
from actionstream.fleet.remote_store import MOST_AT_ONCE, RemoteStore, Unreachable
from actionstream.fleet.session import Session
from actionstream.results import Counts
from actionstream.serve.board import Fact
from actionstream.serve.reading import parse_settings
from actionstream.serve.recorder import NotStored
from actionstream.serve.store import Store


class Link:
    """Keeps what arrives, by the numbers of batches; answers are lost as `fails` says."""

    def __init__(self):
        self.batches, self.fails, self.accepts = {}, [], True

    def append(self, instance, number, fences, told):
        fails = self.fails.pop(0) if self.fails else None
        if fails != "before":
            self.batches.setdefault(number, list(told))
        if fails is not None:
            raise Unreachable("away")
        return self.accepts

    @property
    def arrived(self):
        return [record for _, batch in sorted(self.batches.items()) for record, _ in batch]


@pytest.mark.parametrize("fails", [[], ["before"], ["after"], ["after", "before", "after"], [None, "after"]])
def test_every_record_counts_once(fails):
    link = Link()
    link.fails = list(fails)
    store = RemoteStore(link, "one")
    told = [(record, None) for record in records(MOST_AT_ONCE + 30)]
    waiting = told[:20]
    for more in (told[20:], [], [], []):
        try:
            store.append(waiting)
            waiting.clear()
        except NotStored:
            pass
        waiting += more
    store.append(waiting)
    assert link.arrived == [record for record, _ in told]


def test_after_a_refusal_everything_is_dropped():
    link = Link()
    link.accepts = False
    store = RemoteStore(link, "one")
    told = [(record, None) for record in records(3)]
    assert store.append(told) == 3
    assert store.is_lost
    link.accepts = True
    store.append(told)
    assert len(link.batches) == 1


def test_costs():
    now, own = [0.0], [5.0]
    costs = Costs(lambda: own[0], lambda: now[0])

    def counts(door, hall):
        return {"door": Counts(labelled=door), "hall": Counts(labelled=hall)}

    assert costs.measure(counts(1, 1), {}) == {}
    now[0] = MEASURE_SECONDS
    assert costs.measure(counts(10, 10), {"door": 1.0, "hall": 3.0}) == {}  # they are new
    now[0] += 20
    own[0] += 4
    found = costs.measure(counts(40, 20), {"door": 3.0, "hall": 1.0})  # the reader of the hall is another one
    assert found == {"door": pytest.approx((2 + 3) / 20), "hall": pytest.approx((0 + 1) / 20)}
    now[0] += 20
    assert costs.measure(counts(40, 20), {}) == {}  # nothing came


def test_news_wait_until_they_have_arrived():
    news = News()
    news.fact(Fact("status", "door"), "connecting")
    news.latency("door", 0.03)
    news.reconnect("door")
    news.say("a line")
    first = news.collect()
    news.fact(Fact("status", "door"), "live")
    news.latency("door", 0.03)
    again = news.collect()  # the first one has not arrived
    assert (again["facts"], again["reconnects"], again["said"]) == (
        {Fact("status", "door"): "live"},
        {"door": 1},
        ["a line"],
    )
    assert first["latencies"]["door"].count == 1
    assert again["latencies"]["door"].count == 2
    news.arrived()
    news.add_facts({Fact("status", "hall"): "live"})
    assert news.collect() == {
        "facts": {Fact("status", "hall"): "live"},
        "latencies": {},
        "reconnects": {},
        "said": [],
    }
    news.fact(Fact("status", "hall"), None)
    news.forget("hall")
    assert news.collect()["facts"] == {}


class Near:
    """The way to a coordinator in this process; `is_cut` while nothing arrives."""

    def __init__(self, coordinator):
        self.coordinator, self.is_cut = coordinator, False

    def _check(self):
        if self.is_cut:
            raise Unreachable("cut")

    def report(self, report):
        self._check()
        orders = self.coordinator.report(report)
        self._check()
        return orders

    def append(self, *arguments):
        self._check()
        return self.coordinator.append(*arguments)


class Node:
    def __init__(self, coordinator, name):
        self.link = Near(coordinator)
        self.session = Session(NodeFacts(id=name, address="", name=name, cpus=1.0), self.link)
        self.ended = []
        self.thread = threading.Thread(target=lambda: self.ended.append(self.session.run()), daemon=True)
        self.thread.start()


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    """A coordinator with one camera, and a function that ticks it until something holds."""
    monkeypatch.setattr(session_module, "REPORT_SECONDS", 0.1)
    text = '[server]\nhttp = "off"\nstate_folder = "state"\n[cameras.door]\nsource = "sample"\nloop = true\n'
    coordinator = Coordinator(parse_settings(text + "threshold = 0.3\n", tmp_path / "cameras.toml"))

    def until(holds, seconds=60.0):
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, (coordinator.said(0), coordinator.status())
            coordinator.tick({"aa": 1.0, "bb": 1.0})
            time.sleep(0.05)

    return coordinator, until, lambda: stored(tmp_path)


def stored(folder):
    """All records, from a second connection."""
    store = Store(folder / "state")
    try:
        store.set_sinks(["test", "json"])
        store.taken("test", 0)
        return [each.record for each in store.after("test", 10_000)]
    finally:
        store.close()


def node_of(coordinator):
    (line,) = coordinator.status().cameras
    return line.row.node.partition("-")[0] if line.row.status == "live" and line.row.frames_a_second >= 0 else None


def test_a_camera_goes_from_node_to_node(fleet):
    coordinator, until, told = fleet
    nodes = {name: Node(coordinator, name) for name in ("aa", "bb")}
    until(lambda: node_of(coordinator) in nodes and any(each.type == "new" for each in told()))
    first = node_of(coordinator)
    (second,) = nodes.keys() - {first}

    coordinator.drain(first)
    until(lambda: node_of(coordinator) == second)
    sums = coordinator._front.metrics._sums.all()["door", f"{first}-{first}"]
    assert sums["#received"] == sums["#labelled"] + sum(count for key, count in sums.items() if key[0] != "#")
    assert sums["ended"] == 0
    assert sums["#labelled"] > 0

    num_told = len(told())
    nodes[second].link.is_cut = True  # it is there, and nobody hears it
    until(lambda: "node lost" in {each.reason for each in told()} or node_of(coordinator) != second)
    assert node_of(coordinator) is None
    until(lambda: nodes[second].ended == [False])
    assert all(each.type == "end" for each in told()[num_told:]) or len(told()) >= num_told
    nodes[second] = Node(coordinator, second)
    until(lambda: node_of(coordinator) == second)

    coordinator.stop()
    until(lambda: coordinator.is_stopped)
    for node in nodes.values():
        node.thread.join(20)
    assert nodes[second].ended == [True]
    coordinator.close()
    by_id = {}
    for each in told():
        by_id.setdefault(each.id, []).append(each.type)
    assert all(types == ["new", *["update"] * (len(types) - 2), "end"] for types in by_id.values())
    assert by_id
