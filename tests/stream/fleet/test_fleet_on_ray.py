"""A fleet on a cluster of several nodes: driver, head, nodes and coordinator are killed, and a node is paused."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families
from servers import as_it_is, free_port, redis_server, rtsp_server

from actionstream.fleet.messages import LEASE_SECONDS
from actionstream.sources import SAMPLE

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NUM_CAMERAS = int(os.environ.get("ACTIONSTREAM_CAMERAS", "12"))
CAMERAS = [f"camera {number}" for number in range(NUM_CAMERAS)]
SETTINGS = """
[server]
http = "127.0.0.1:{port}"
state_folder = "state"
num_threads = 1
runtime = "onnx"
[json]
path = "events.jsonl"
[defaults]
threshold = 0.3
"""
PATIENCE_SECONDS = 120.0
"""For what takes ten seconds on a machine that has nothing else to do."""


@pytest.fixture(scope="module")
def cluster():
    """Three nodes of a core each, beside the head, whose knowledge Redis keeps."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch, redis_server() as redis:
        patch.setenv("RAY_REDIS_ADDRESS", redis)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("OMP_NUM_THREADS", "1")
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        made.nodes = [made.add_node(num_cpus=1) for _ in range(3)]
        yield made
        ray.shutdown()
        made.shutdown()


def processes_of(node):
    """The raylet of a node, and all that comes from it: workers, readers of cameras."""
    parents = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [node.all_processes["raylet"][0].process.pid]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def send(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


class Driver:
    """The command `fleet`, and what the fleet says of itself."""

    def __init__(self, folder, cluster, server):
        self.folder, self.address, self.port = folder, cluster.address, free_port()
        cameras = "".join(f'[cameras."{name}"]\nsource = "{server.address("film")}"\n' for name in CAMERAS)
        (folder / "cameras.toml").write_text(SETTINGS.format(port=self.port) + cameras)
        self.start()

    def start(self):
        command = [sys.executable, "-m", "actionstream", "fleet", "cameras.toml", "--ray", self.address]
        with open(self.folder / "log", "a") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, start_new_session=True)

    def command(self, *arguments):
        command = [sys.executable, "-m", "actionstream", "fleet", *arguments, "--ray", self.address]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    @property
    def log(self):
        return (self.folder / "log").read_text()

    def until(self, holds):
        end = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < end, (self.log, self.page())
            time.sleep(0.2)

    def page(self, path="/"):
        try:
            with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            return ""

    def frames(self):
        """Frames by camera, node and what became of them."""
        found = Counter()
        for family in text_string_to_metric_families(self.page("/metrics")):
            for each in family.samples:
                if match := re.fullmatch(r"actionstream_frames_(\w+)_total", each.name):
                    what = each.labels.get("reason", match[1])
                    found[each.labels["camera"], each.labels["node"], what] += int(each.value)
        return found

    def where(self):
        """The node of each live camera, as the page has it; the film ends now and then, and its cameras reconnect."""
        return {camera: node for camera, node, status in self.rows() if status == "live"}

    def on(self, node):
        """The cameras of a node, live or not."""
        return [camera for camera, where, _ in self.rows() if where == node]

    def rows(self):
        """Camera, node and status."""
        return re.findall(r'<th scope="row">([^<]*)</th><td>([^<]*)</td><td>([^<]*)</td>', self.page())

    def is_left(self, node):
        """Whether all cameras are live, on other nodes than this one."""
        where = self.where()
        return where.keys() == set(CAMERAS) and node not in where.values()

    def goes_on(self, since):
        """Whether each camera has more labelled frames than in `since`, over all nodes."""
        now = self.frames()
        return all(labelled(now, camera) > labelled(since, camera) for camera in CAMERAS)

    def told(self):
        path = self.folder / "events.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def labelled(frames, camera):
    return sum(count for (name, _, what), count in frames.items() if (name, what) == (camera, "labelled"))


def check_nothing_twice(told):
    by_id = {}
    for each in told:
        by_id.setdefault(each["id"], []).append(each)
    for records in by_id.values():
        assert [each["type"] for each in records] in (
            ["new", *["update"] * (len(records) - 1)],
            ["new", *["update"] * (len(records) - 2), "end"],
        )
        assert [each["seq"] for each in records] == list(range(len(records)))
        assert len({each["camera"] for each in records}) == 1


def test_a_fleet_goes_on_whatever_dies(cluster, tmp_path):
    with rtsp_server({"film": as_it_is(SAMPLE)}) as server:
        driver = Driver(tmp_path, cluster, server)
        try:
            go_through_all(driver, cluster)
        finally:
            driver.process.kill()
            driver.process.wait()


def go_through_all(driver, cluster):
    began = time.monotonic()

    def note(what):
        print(f"{time.monotonic() - began:6.1f} s  {what}")

    driver.until(lambda: set(driver.where()) == set(CAMERAS))
    note("all cameras are live")
    driver.until(lambda: len({*driver.where().values()}) == 3)  # at once, unless the start of an agent took too long
    driver.until(lambda: set(driver.where()) == set(CAMERAS))
    spread = {*driver.where().values()}
    names = {node.node_id: next(name for name in spread if name.endswith(node.node_id[:6])) for node in cluster.nodes}

    # the driver dies, and the next one takes the fleet over: nobody begins anew
    before = driver.frames()
    driver.process.kill()
    driver.process.wait()
    driver.until(lambda: driver.goes_on(before))
    driver.start()
    driver.until(lambda: "runs already" in driver.log)
    driver.until(lambda: driver.where().keys() == set(CAMERAS))
    note("the driver was killed and started again")

    # the head of the cluster dies: labels go on without it, and it finds all again
    cluster.head_node.kill_gcs_server()
    before = driver.frames()
    driver.until(lambda: driver.goes_on(before))
    cluster.head_node.start_gcs_server()
    driver.until(lambda: driver.command("--status").returncode == 0)
    assert driver.where().keys() <= set(CAMERAS)
    assert "lost" not in driver.log
    note("the head was killed and started again")

    # a node is emptied: no frame that was sampled is lost, and the counts of a camera add up
    drained = names[cluster.nodes[0].node_id]
    moved = driver.on(drained)
    done = driver.command("--drain", cluster.nodes[0].node_id[:8])
    assert (done.returncode, done.stdout) == (0, ""), done
    assert f"all cameras leave {drained}" in done.stderr
    driver.until(lambda: driver.is_left(drained))
    frames = driver.frames()
    for camera in moved:
        counts = Counter({what: count for (*at, what), count in frames.items() if at == [camera, drained]})
        received, done = counts.pop("received"), counts.pop("labelled")
        assert received == done + counts.total()
        assert counts["ended"] == 0
        assert done > 0
    note("a node was emptied")
    status = driver.command("--status")
    assert status.returncode == 0, status
    assert all(camera in status.stdout for camera in CAMERAS)
    assert "drains" in status.stdout
    undone = driver.command("--undrain", cluster.nodes[0].node_id[:8])
    assert f"cameras may come to {drained} again" in undone.stderr
    assert "drains" not in driver.command("--status").stdout
    wrong = driver.command("--drain", "nobody")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "no node is 'nobody'; the nodes are" in wrong.stderr

    # a node is paused until its leases are others', and wakes
    paused = names[cluster.nodes[1].node_id]
    lost = driver.on(paused)
    assert lost
    frozen = processes_of(cluster.nodes[1])
    send(frozen, signal.SIGSTOP)
    paused_at = time.monotonic()
    driver.until(lambda: not driver.on(paused))
    assert time.monotonic() - paused_at > LEASE_SECONDS - 2
    send(frozen, signal.SIGCONT)
    driver.until(lambda: driver.where().keys() == set(CAMERAS))
    note(f"a node was paused, and its cameras went on elsewhere after {time.monotonic() - paused_at:.1f} s")
    time.sleep(3)  # it tells now what it knows
    check_nothing_twice(driver.told())
    assert {each["camera"] for each in driver.told() if each["reason"] == "node lost"} <= set(lost)

    # nodes are killed, one after the other
    for _ in range(2):
        added = cluster.add_node(num_cpus=1)
        killed_node = cluster.nodes[2]
        killed = next(name for name in {*driver.where().values()} if name.endswith(killed_node.node_id[:6]))
        before = driver.frames()
        send(processes_of(killed_node), signal.SIGKILL)
        at = time.monotonic()
        driver.until(lambda killed=killed: driver.is_left(killed))
        driver.until(lambda before=before: driver.goes_on(before))
        note(f"{killed} was killed; all labels go on after {time.monotonic() - at:.1f} s")
        cluster.remove_node(killed_node, allow_graceful=False)
        others = [node for node in (*cluster.nodes[:2], added) if node is not killed_node]
        busy = next(node for node in others[::-1] if any(n.endswith(node.node_id[:6]) for n in driver.where().values()))
        cluster.nodes[2] = busy
    check_nothing_twice(driver.told())

    # the coordinator is killed, and comes back
    (coordinator,) = coordinators()
    before = len(driver.told())
    os.kill(coordinator, signal.SIGKILL)
    at = time.monotonic()
    driver.until(lambda: "the coordinator was started again" in driver.log)
    driver.until(lambda: driver.where().keys() == set(CAMERAS) and len(driver.told()) > before)
    note(f"the coordinator was killed; events are told again after {time.monotonic() - at:.1f} s")

    driver.process.terminate()
    assert driver.process.wait(60) == 143, driver.log
    note("the fleet has ended")
    assert "Traceback" not in driver.log
    told = driver.told()
    check_nothing_twice(told)
    new, end = ({each["id"] for each in told if each["type"] == kind} for kind in ("new", "end"))
    assert new == end
    reasons = Counter(each["reason"] for each in told if each["type"] == "end")
    print(f"{len(new)} events; ends by their reasons: {dict(reasons)}")
    assert reasons["node lost"] > 0


def coordinators():
    """The processes of the coordinator's actor; others of this machine are not of our cluster's name."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if (place / "cmdline").read_bytes().startswith(b"ray::CoordinatorActor"):
                found.append(int(place.name))
        except OSError:
            continue
    return found


def test_no_fleet(cluster, run):
    code, _, err = run("fleet", "--status", "--ray", cluster.address)
    assert (code, err.count("\n")) == (2, 1)
    assert "no fleet runs on this cluster" in err
