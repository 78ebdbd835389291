"""A fleet on paper, from what one camera costs: nodes, and the load of the coordinator and of the broker.

    python -m actionstream.benchmarks.fleet VIDEO --cores 16

plays VIDEO (default: the sample) as some cameras of one agent, and measures what a camera costs: CPU seconds a second,
records a second, and the bytes that leave the node. Then it gives one coordinator the reports and the records of as
many agents as 1,000 cameras need, without the network and without Ray, and measures how many it takes a second.
The table has what follows for fleets of 100 to 10,000 cameras, and the first limit. At last placement is timed: 10,000
cameras on 500 nodes, of which some go and come each round. Prints tables, or one JSON object with --json.
"""

from __future__ import annotations

import argparse
import json
import pickle
import random
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

from actionstream.benchmarks.machine import machine
from actionstream.event_id import new_event_id
from actionstream.fleet.coordinator import Coordinator
from actionstream.fleet.messages import REPORT_SECONDS, NodeFacts, Orders, Report
from actionstream.fleet.placement import Capacity, balance, loads, place
from actionstream.fleet.remote_store import Told
from actionstream.fleet.session import Session
from actionstream.models.common.errors import ActionstreamError
from actionstream.records import EventRecord
from actionstream.results import Counts
from actionstream.serve.board import Fact
from actionstream.serve.latencies import LATENCY_SECONDS, Latency
from actionstream.serve.reading import parse_settings
from actionstream.serve.settings import Settings

FLEETS = (100, 1_000, 10_000)
BUSY = 0.7
"""The share of a node's CPUs that its cameras may take."""
MEASURED_CAMERAS, MEASURED_NODES = 1_000, 50
BATCH = 50
"""Records that wait together, where the coordinator is the limit."""
MOST_BROKER_MESSAGES = 10_000
"""Messages a second that one broker is trusted with; that of a site may take more or less."""
HEAD = ("cameras", "nodes", "CPUs", "MB/s in", "reports/s", "of its most", "records/s", "of its most", "broker msg/s")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m actionstream.benchmarks.fleet", description="A fleet on paper.")
    parser.add_argument("video", nargs="?", default="sample", help="a file or an address, played as each camera")
    parser.add_argument("--model", default="motion")
    parser.add_argument("--cameras", type=int, default=2, help="number of cameras that are measured")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of the measurement")
    parser.add_argument("--cores", type=int, default=16, help="of each node in the table")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            report = measure(arguments, Path(folder))
    except (ActionstreamError, OSError) as error:
        sys.exit(f"fleet: {error}")
    if arguments.json:
        print(json.dumps(report, indent=2))
    else:
        print_report(report, arguments.cores)


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The whole report, as plain numbers."""
    camera = measure_camera(arguments, folder)
    coordinator = measure_coordinator(folder / "coordinator", seconds=min(arguments.seconds / 6, 5.0))
    return {
        "machine": machine(),
        "camera": camera,
        "coordinator": coordinator,
        "fleets": [on_paper(number, arguments.cores, camera, coordinator) for number in FLEETS],
        "placement": time_placement(),
    }


class Counted:
    """The way to a coordinator in this process, through pickle as between processes; counts what goes there."""

    def __init__(self, coordinator: Coordinator):
        self.report_bytes = self.record_bytes = self.num_records = 0
        self._coordinator = coordinator

    def report(self, report: Report) -> Orders:
        data = pickle.dumps(report)
        self.report_bytes += len(data)
        orders: Orders = pickle.loads(pickle.dumps(self._coordinator.report(pickle.loads(data))))
        return orders

    def append(self, instance: str, number: int, fences: Mapping[str, int], told: Told) -> bool:
        data = pickle.dumps((instance, number, fences, told))
        self.record_bytes += len(data)
        self.num_records += len(told)
        return self._coordinator.append(*pickle.loads(data))


def settings_of(folder: Path, cameras: int, source: str, model: str) -> Settings:
    """Settings with some equal cameras, and no sinks."""
    folder.mkdir(exist_ok=True)
    text = '[server]\nhttp = "off"\nstate_folder = "state"\nnum_threads = 1\n[defaults]\nloop = true\nthreshold = 0.3\n'
    text += f"source = {json.dumps(source)}\nmodel = {json.dumps(model)}\n"
    text += "".join(f'[cameras."camera {number}"]\n' for number in range(cameras))
    return parse_settings(text, folder / "cameras.toml")


def measure_camera(arguments: argparse.Namespace, folder: Path) -> dict[str, float]:
    """What one camera costs a second: CPU seconds, records, bytes of records with pictures, bytes of reports."""
    coordinator = Coordinator(settings_of(folder / "camera", arguments.cameras, arguments.video, arguments.model))
    link = Counted(coordinator)
    session = Session(NodeFacts(id="node", address="", name="node", cpus=1.0), link)
    thread = threading.Thread(target=session.run, daemon=True)
    thread.start()
    try:
        begin = _until_live(coordinator, arguments.cameras)
        cpu, before = time.process_time(), (link.report_bytes, link.record_bytes, link.num_records)
        while time.monotonic() < begin + arguments.seconds:
            coordinator.tick(None)
            time.sleep(0.5)
        passed = (time.monotonic() - begin) * arguments.cameras
        costs = [line.cost for line in coordinator.status().cameras if line.cost is not None]
        own = (time.process_time() - cpu) / passed
        after = link.report_bytes, link.record_bytes, link.num_records
    finally:
        coordinator.stop()
        thread.join(20)
        coordinator.close()
    reports, records, number = ((end - start) / passed for start, end in zip(before, after, strict=True))
    return {
        "cpu_seconds": median(costs) if costs else own,
        "report_bytes": reports,
        "record_bytes": records,
        "records": number,
    }


def _until_live(coordinator: Coordinator, cameras: int) -> float:
    """Wait until all cameras are live, and the beginning is over."""
    end = time.monotonic() + 120
    while sum(line.row.status == "live" for line in coordinator.status().cameras) < cameras:
        if time.monotonic() > end:
            raise ActionstreamError(f"no label came for 120 s: {coordinator.said(0)[1]}")
        coordinator.tick(None)
        time.sleep(0.2)
    return time.monotonic()


def measure_coordinator(folder: Path, *, seconds: float) -> dict[str, float]:
    """Reports, and records one by one and in batches, that one process takes a second, with the store on this disk."""
    coordinator = Coordinator(settings_of(folder, MEASURED_CAMERAS, "sample", "motion"))
    nodes = [NodeFacts(id=f"{n:06}", address="", name="node", cpus=16.0) for n in range(MEASURED_NODES)]
    held: dict[str, dict[str, tuple[int, str]]] = {node.id: {} for node in nodes}
    for number in (1, 2, 3):
        for node in nodes:
            orders = coordinator.report(_report(node, number, held[node.id]))
            held[node.id] |= {camera: (each.fence, each.version) for camera, each in orders.assigned.items()}
        coordinator.tick({node.id: node.cpus for node in nodes})
    begin, number = time.perf_counter(), 3
    while (passed := time.perf_counter() - begin) < seconds:
        number += 1
        for node in nodes:
            sent = pickle.dumps(_report(node, number, held[node.id], epoch=coordinator.epoch))
            pickle.dumps(coordinator.report(pickle.loads(sent)))
    reports = (number - 3) * len(nodes) / passed
    numbers = count(1)
    found = {"reports": reports, "cameras_of_a_report": MEASURED_CAMERAS / MEASURED_NODES}
    for name, size in (("batches", 1), ("records", BATCH)):
        begin, stored = time.perf_counter(), 0
        while (passed := time.perf_counter() - begin) < seconds:
            number = next(numbers)
            for node in nodes:
                camera, (fence, _) = next(iter(held[node.id].items()))
                sent = pickle.dumps((node.id, number, {camera: fence}, [(_record(camera), None) for _ in range(size)]))
                if not coordinator.append(*pickle.loads(sent)):
                    raise ActionstreamError("the coordinator refuses a record")
                stored += size
        found[name] = stored / passed
    coordinator.close()
    return found


def _report(node: NodeFacts, number: int, held: dict[str, tuple[int, str]], epoch: str = "") -> Report:
    """A report as of an agent whose cameras are all live: counts, latencies, costs, and a change of each label."""
    return Report(
        node=node,
        instance=node.id,
        number=number,
        epoch=epoch,
        held=held,
        counts={
            camera: Counts(received=30 * number, labelled=15 * number, dropped={"between samples": 15 * number})
            for camera in held
        },
        latencies={camera: Latency([0, 15, *[0] * (len(LATENCY_SECONDS) - 1)], 0.1) for camera in held},
        facts={Fact("label", camera): f"label {number}" for camera in held},
        costs=dict.fromkeys(held, 0.15),
    )


def _record(camera: str) -> EventRecord:
    return EventRecord(
        type="new",
        id=new_event_id(),
        seq=0,
        camera=camera,
        region=None,
        label="wave",
        model="motion",
        score=0.5,
        best_score=0.5,
        start_seconds=1.0,
        start_wall=time.time(),
    )


def on_paper(number: int, cores: int, camera: Mapping[str, float], coordinator: Mapping[str, float]) -> dict[str, Any]:
    """A fleet of so many cameras."""
    cpus = number * camera["cpu_seconds"]
    nodes = max(-int(-cpus // (cores * BUSY)), 1)
    cameras_of_a_node = number / nodes
    reports = nodes / REPORT_SECONDS
    most_reports = coordinator["reports"] * coordinator["cameras_of_a_report"] / cameras_of_a_node
    records = number * camera["records"]
    shares = {
        "reports": reports / most_reports,
        "records": records / coordinator["records"],
        "broker": 3 * records / MOST_BROKER_MESSAGES,
    }
    return {
        "cameras": number,
        "nodes": nodes,
        "cpus": cpus,
        "megabytes": number * (camera["report_bytes"] + camera["record_bytes"]) / 1e6,
        "reports": reports,
        "records": records,
        "broker_messages": 3 * records,  # a record, and the topics of its label and of the present label
        "shares": shares,
        "first_limit": max(shares, key=lambda name: shares[name]),
    }


def time_placement() -> dict[str, Any]:
    """Rounds of placement with churn: milliseconds of each, the moves, and the highest load at the end."""
    chance = random.Random(0)
    nodes = {f"node {n}": Capacity(chance.choice((8, 16, 32))) for n in range(500)}
    costs = {f"camera {n}": chance.uniform(0.05, 0.6) for n in range(10_000)}
    begin = time.perf_counter()
    where = place(costs, {}, nodes)
    first = time.perf_counter() - begin
    rounds, moved = [], []
    for number in range(20):
        for node in chance.sample(sorted(nodes), 5):
            del nodes[node]
        nodes |= {f"new node {number}.{n}": Capacity(16) for n in range(5)}
        costs = {camera: max(cost * chance.uniform(0.9, 1.1), 0.01) for camera, cost in costs.items()}
        begin = time.perf_counter()
        where = {camera: node for camera, node in where.items() if node in nodes}
        leaves = balance(costs, where, nodes)
        where = {camera: node for camera, node in where.items() if camera not in leaves}
        where |= place(costs, where, nodes)
        rounds.append(1000 * (time.perf_counter() - begin))
        moved.append(len(leaves))
    return {
        "first_ms": 1000 * first,
        "round_ms": median(rounds),
        "longest_round_ms": max(rounds),
        "most_moves": max(moved),
        "highest_load": max(loads(costs, where, nodes).values()),
    }


def print_report(report: Mapping[str, Any], cores: int) -> None:
    """The report as text."""
    camera, coordinator, placement = report["camera"], report["coordinator"], report["placement"]
    print(
        f"a camera: {camera['cpu_seconds']:.3f} CPU s/s, {camera['records']:.2f} records/s, "
        f"{camera['record_bytes'] / 1000:.1f} kB/s of records with pictures, {camera['report_bytes'] / 1000:.2f} kB/s "
        "of reports"
    )
    print(
        f"a coordinator takes {coordinator['reports']:,.0f} reports/s of {coordinator['cameras_of_a_report']:.0f} "
        f"cameras each, or {coordinator['batches']:,.0f} records/s one by one, or {coordinator['records']:,.0f} in "
        f"batches of {BATCH}: an agent sends what waits together"
    )
    rows = [
        (
            f"{each['cameras']:,}",
            f"{each['nodes']:,}",
            f"{each['cpus']:,.0f}",
            f"{each['megabytes']:.2f}",
            f"{each['reports']:,.0f}",
            f"{each['shares']['reports']:.0%}",
            f"{each['records']:,.0f}",
            f"{each['shares']['records']:.0%}",
            f"{each['broker_messages']:,.0f}",
        )
        for each in report["fleets"]
    ]
    print(f"\nnodes of {cores} cores, {BUSY:.0%} of them busy")
    widths = [max(map(len, column)) for column in zip(HEAD, *rows, strict=True)]
    for row in (HEAD, *rows):
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    limits = ", ".join(f"{each['cameras']:,}: {each['first_limit']}" for each in report["fleets"])
    print(f"\nthe first limit at {limits}")
    print(
        f"placement of 10,000 cameras on 500 nodes: {placement['first_ms']:.0f} ms; a round with churn "
        f"{placement['round_ms']:.0f} ms ({placement['longest_round_ms']:.0f} ms at most), {placement['most_moves']} "
        f"moves for balance at most, highest load {placement['highest_load']:.0%}"
    )


if __name__ == "__main__":
    main()
