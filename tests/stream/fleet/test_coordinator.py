"""The coordinator, with agents of the test's own, and clocks that it sets."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from event_records import records
from prometheus_client.parser import text_string_to_metric_families

from actionstream.fleet.coordinator import Coordinator
from actionstream.fleet.messages import LEASE_SECONDS, Left, NodeFacts, Released, Report
from actionstream.models.common.errors import ActionstreamError
from actionstream.results import Counts
from actionstream.serve.board import Fact
from actionstream.serve.latencies import Latency
from actionstream.serve.reading import parse_settings
from actionstream.serve.store import FILE

TWO = "[cameras.door]\n[cameras.hall]\n"


class Clocks:
    def __init__(self):
        self.now = 1000.0

    def wall(self):
        return 1.8e9 + self.now

    def monotonic(self):
        return self.now


class Agent:
    """What an agent says: it holds what it is told to."""

    def __init__(self, fleet, node, instance=None, name="machine"):
        self.fleet, self.node = fleet, NodeFacts(id=node, address="10.0.0.1", name=name, cpus=4)
        self.instance = instance or f"{node} first"
        self.held, self.resumed, self.epoch, self.number, self.batch = {}, {}, "", 0, 0

    def report(self, **more):
        self.number += 1
        orders = self.fleet.coordinator.report(
            Report(
                node=self.node,
                instance=self.instance,
                number=self.number,
                epoch=self.epoch,
                held=dict(self.held),
                **more,
            )
        )
        self.epoch = orders.epoch
        for camera, each in orders.assigned.items():
            self.held[camera] = each.fence, each.version
            self.resumed[camera] = each
        return orders

    def tell(self, told, fences=None):
        self.batch += 1
        return self.again(told, fences)

    def again(self, told, fences=None):
        """The last batch, whose answer was lost."""
        fences = fences or {camera: fence for camera, (fence, _) in self.held.items()}
        return self.fleet.coordinator.append(self.instance, self.batch, fences, [(each, None) for each in told])

    def release(self, camera, left=None, counts=None):
        fence, _ = self.held.pop(camera)
        return self.report(released={camera: Released(fence=fence, counts=counts or Counts(), left=left)})


class Fleet:
    def __init__(self, folder, cameras=TWO, before=""):
        self.folder, self.clocks = folder, Clocks()
        self.coordinator = self.start(cameras, before)

    def settings(self, cameras, before=""):
        text = f'[server]\nhttp = "off"\nstate_folder = "state"\n{before}[defaults]\nsource = "sample"\n{cameras}'
        return parse_settings(text, self.folder / "cameras.toml")

    def start(self, cameras=TWO, before=""):
        self.coordinator = Coordinator(
            self.settings(cameras, before), clock=self.clocks.wall, monotonic=self.clocks.monotonic
        )
        return self.coordinator

    def tick(self, *agents, seconds=0.0, alive=None):
        self.clocks.now += seconds
        for agent in agents:
            agent.report()
        self.coordinator.tick(alive)
        for agent in agents:
            agent.report()

    def agents(self, *nodes):
        """Agents with the cameras of the fleet."""
        made = [Agent(self, node) for node in nodes]
        self.tick(*made)
        return made

    @property
    def records(self):
        with closing(sqlite3.connect(self.folder / "state" / FILE)) as database:
            return [json.loads(body) for (body,) in database.execute("SELECT body FROM records ORDER BY number")]

    def ends(self):
        return [(each["camera"], each["reason"]) for each in self.records if each["type"] == "end"]

    def status(self, camera):
        return self.coordinator._front.board.get(Fact("status", camera))

    def metrics(self):
        text = self.coordinator._front.metrics.render().decode()
        return {
            (s.name, *s.labels.values()): s.value for each in text_string_to_metric_families(text) for s in each.samples
        }


@pytest.fixture
def fleet(tmp_path):
    made = Fleet(tmp_path)
    yield made
    made.coordinator.close()


def of(camera, number=1):
    """The first records of an event of a camera."""
    return records(number, camera=camera)


def test_cameras_are_spread_and_agents_get_settings_and_switches(fleet):
    one, other = fleet.agents("aa", "bb")
    assert {*one.held, *other.held} == {"door", "hall"}
    assert len(one.held) == 1
    (camera,) = one.held
    assert one.resumed[camera].camera == fleet.settings(TWO).cameras[camera]
    fleet.coordinator._front._enable(camera, False)
    assert one.report().disabled == [camera]
    assert other.report().disabled == []
    first = Agent(fleet, "cc").report()
    assert first.server == fleet.settings(TWO).server


def test_only_the_holder_tells(fleet):
    one, other = fleet.agents("aa", "bb")
    (mine,), (others,) = one.held, other.held
    assert one.tell(of(mine))
    assert not one.tell(of(others), {others: other.held[others][0]})
    assert not one.tell([*of(mine), *of(others)])  # as a whole
    assert not one.tell(of(mine), {mine: one.held[mine][0] - 1})
    assert [each["camera"] for each in fleet.records] == [mine]


def test_a_batch_whose_answer_was_lost_counts_once(fleet):
    (one,) = fleet.agents("aa")
    event = of("door", 3)
    assert one.tell(event)
    assert one.again(event)
    assert [each["type"] for each in fleet.records] == ["new", "update", "end"]
    assert fleet.metrics()["actionstream_events_total", "door", "wave", "machine-aa"] == 1


def test_a_late_agent_loses_its_cameras_and_tells_nothing_more(fleet):
    one, other = fleet.agents("aa", "bb")
    (lost,) = one.held
    (new,) = of(lost)
    one.tell([new])
    one.report(facts={Fact("status", lost): ("live", None), Fact("on", lost, None, "wave"): True})
    heard = fleet.clocks.wall()
    fleet.tick(other, seconds=LEASE_SECONDS)
    assert not fleet.ends()
    fleet.tick(other, seconds=0.1)
    fleet.tick(other)
    assert {*other.held} == {"door", "hall"}
    (end,) = [each for each in fleet.records if each["type"] == "end"]
    assert (end["id"], end["reason"], end["end_wall"]) == (new.id, "node lost", heard)
    assert fleet.coordinator._front.board.get(Fact("on", lost, None, "wave")) is False
    assert not one.tell(of(lost))  # it was paused, and wakes
    assert not one.tell([replace(new, type="update", seq=1)])
    assert one.report().is_lost
    assert one.report().is_lost
    assert len(fleet.records) == 2
    one.held.clear()
    assert one.report().is_lost
    again = Agent(fleet, "aa", "aa second")
    assert not again.report().is_lost


def test_a_dead_node_is_not_waited_for(fleet):
    one, other = fleet.agents("aa", "bb")
    fleet.tick(other, alive={"bb": 4.0})
    fleet.tick(other, alive={"bb": 4.0})
    assert {*other.held} == {"door", "hall"}
    assert one.report().is_lost


def test_another_process_on_a_node_holds_nothing_of_before(fleet):
    (one,) = fleet.agents("aa")
    one.tell(of("door"))
    again = Agent(fleet, "aa", "aa second")
    again.report()
    assert fleet.ends() == [("door", "node lost")]
    assert one.report().is_lost
    fleet.tick(again)
    assert {*again.held} == {"door", "hall"}
    assert again.held["door"][0] > one.held["door"][0]


def test_a_move_keeps_events_that_the_stream_knows(fleet):
    one, other = fleet.agents("aa", "bb")
    (camera,) = one.held
    known, unknown = of(camera)[0], of(camera)[0]
    one.tell([known, unknown])
    one.report(counts={camera: Counts(received=50, labelled=40, waiting=1, dropped={"newer": 9})})
    assert fleet.coordinator.drain("aa") == "machine-aa"
    fleet.tick(other)
    assert one.report().release == [camera]
    left = Left(resume=b"state", open_events=frozenset([known.id]), wall_seconds=fleet.clocks.wall())
    last = Counts(received=60, labelled=50, dropped={"newer": 10})
    assert one.release(camera, left, last).noted == [camera]
    assert fleet.ends() == [(camera, "moved")]
    fleet.tick(other)
    assert other.resumed[camera].left == left
    assert [each.id for each in other.resumed[camera].records] == [known.id]
    other.report(counts={camera: Counts(received=5, labelled=5)})
    assert not fleet.coordinator._ledger.left  # it has arrived
    found = fleet.metrics()
    assert found["actionstream_frames_received_total", camera, "machine-aa"] == 60
    assert found["actionstream_frames_received_total", camera, "machine-bb"] == 5
    assert other.tell([replace(known, type="end", seq=1, end_seconds=2.0, end_wall=known.start_wall + 2)])
    assert not one.report().release
    assert fleet.coordinator.status().nodes[0].is_draining
    assert fleet.coordinator.drain("aa", undo=True) == "machine-aa"
    assert not fleet.coordinator.status().nodes[0].is_draining


def test_what_waits_too_long_for_a_node_ends(tmp_path):
    fleet = Fleet(tmp_path, "[cameras.door]\n")
    (one,) = fleet.agents("aa")
    (event,) = of("door")
    one.tell([event])
    fleet.coordinator._planner.leaving.add("door")
    assert one.report().release == ["door"]
    one.release("door", Left(resume=b"", open_events=frozenset([event.id]), wall_seconds=0.0))
    assert not fleet.ends()
    fleet.tick(seconds=LEASE_SECONDS + 1)  # no agent is there
    assert fleet.ends() == [("door", "moved")]
    fleet.coordinator.close()


def test_an_answer_that_was_lost_is_given_again(fleet):
    one = Agent(fleet, "aa")
    fleet.tick(one)
    held, one.held = one.held, {}
    one.report()
    assert one.held == held
    fleet.coordinator.drain("aa")
    other = Agent(fleet, "bb")
    fleet.tick(other)
    fence = one.held.pop("door")[0]
    released = {"door": Released(fence=fence, counts=Counts(received=3, labelled=3), left=None)}
    for _ in range(3):
        assert one.report(released=released).noted == ["door"]
    assert fleet.metrics()["actionstream_frames_received_total", "door", "machine-aa"] == 3
    one.number -= 2
    assert not one.report().assigned  # one that was overtaken


def test_settings_change(fleet):
    (one,) = fleet.agents("aa")
    before = dict(one.held)
    one.tell(of("hall"))
    fleet.coordinator.apply(fleet.settings("[cameras.door]\nthreshold = 0.5\n[cameras.yard]\n"))
    fleet.tick(one)
    orders = one.report()
    assert orders.release == ["hall"]
    assert one.held["door"][0] == before["door"][0]
    assert one.held["door"][1] != before["door"][1]
    assert "yard" in one.held
    one.release("hall")
    assert fleet.ends() == [("hall", "removed")]
    assert fleet.status("hall") is None
    assert fleet.status("door") is not None


def test_a_new_coordinator_knows_who_holds_what(fleet):
    one, other = fleet.agents("aa", "bb")
    (camera,), (others,) = one.held, other.held
    one.tell(of(camera))
    other.tell(of(others))
    fences = one.held[camera][0], other.held[others][0]
    fleet.coordinator._stack.close()  # as by kill -9
    fleet.start()
    assert one.tell(of(camera))  # with the same lease
    orders = one.report()
    assert orders.epoch == one.epoch
    assert not orders.is_lost
    fleet.tick(one, seconds=LEASE_SECONDS - 0.1)
    assert not fleet.ends()
    fleet.tick(one, seconds=0.2)
    fleet.tick(one)
    assert fleet.ends() == [(others, "node lost")]
    assert one.held[camera][0] == fences[0]
    assert one.held[others][0] > max(fences)


def test_fences_grow_over_all_restarts(fleet):
    highest = 0
    for number in range(3):
        (agent,) = [Agent(fleet, "aa", f"session {number}")]
        fleet.tick(agent)
        fences = [fence for fence, _ in agent.held.values()]
        assert min(fences) > highest
        highest = max(fences)
        fleet.tick(seconds=LEASE_SECONDS + 1)  # all are taken
        fleet.coordinator._stack.close()
        fleet.start()


def test_the_end_of_the_fleet(tmp_path):
    fleet = Fleet(tmp_path, before='[json]\npath = "events.jsonl"\n')
    one, other = fleet.agents("aa", "bb")
    for each in (one, other):
        each.tell(of(*each.held))
    fleet.coordinator.stop()
    assert not fleet.coordinator.is_stopped
    assert one.report().stop
    one.release(*one.held)
    assert not fleet.coordinator.is_stopped
    fleet.clocks.now += LEASE_SECONDS + 1  # the other one is away
    assert fleet.coordinator.is_stopped
    fleet.coordinator.close()
    assert sorted(reason for _, reason in fleet.ends()) == ["node lost", "stopped"]
    lines = [json.loads(line)["type"] for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert sorted(lines) == ["end", "end", "new", "new"]


def test_status_and_lines_for_the_user(fleet):
    one, _ = fleet.agents("aa", "bb")
    (camera,) = one.held
    one.report(
        facts={Fact("status", camera): ("failed", "no such file")},
        counts={camera: Counts(received=9, labelled=5, dropped={"stale": 3, "between samples": 1})},
        latencies={camera: Latency([0, 4, *[0] * 11], 0.03)},
        costs={camera: 0.5},
        reconnects={camera: 2},
        said=["door: no such file"],
    )
    status = fleet.coordinator.status()
    line = next(each for each in status.cameras if each.row.camera == camera)
    assert (line.row.node, line.row.status, line.dropped, line.cost) == ("machine-aa", "failed: no such file", 3, 0.5)
    assert [(each.name, each.num_cameras, each.load) for each in status.nodes] == [
        ("machine-aa", 1, 0.125),
        ("machine-bb", 1, pytest.approx(0.15 / 4)),
    ]
    number, lines = fleet.coordinator.said(0)
    assert lines[-1] == "door: no such file"
    assert fleet.coordinator.said(number) == (number, [])
    found = fleet.metrics()
    assert found["actionstream_reconnects_total", camera, "machine-aa"] == 2
    assert found["actionstream_latency_seconds_count", camera, "machine-aa"] == 4


@pytest.mark.parametrize("text", ["cc", "", "machine"])
def test_nodes_that_cannot_be_told(fleet, text):
    fleet.agents("aa", "bb")
    with pytest.raises(ActionstreamError, match=r"'; the nodes are machine-aa, machine-bb; give one of these names"):
        fleet.coordinator.drain(text)
