"""What the agents and the coordinator of a fleet tell each other."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from actionstream.live.watched_stream import Resume
from actionstream.records import EventRecord
from actionstream.results import Counts
from actionstream.serve.board import Fact
from actionstream.serve.latencies import Latency
from actionstream.serve.settings import Camera, Server

REPORT_SECONDS = 1.0
"""The interval of an agent's reports."""
LEASE_SECONDS = 5.0
"""How long a lease holds after the last report."""


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """A node, as its agent tells it.

    id       of the cluster's node
    address  its network address
    name     of the machine
    cpus     that its agent has
    """

    id: str
    address: str
    name: str
    cpus: float


@dataclass(frozen=True, kw_only=True)
class Left:
    """What the stream of a camera leaves for its next holder: a `Resume`, which the coordinator does not open.

    open_events   the ids of events that it knows
    wall_seconds  its time, in seconds since 1970
    """

    resume: bytes
    open_events: frozenset[str]
    wall_seconds: float

    @classmethod
    def of(cls, resume: Resume) -> Left:
        """The message of what a stream leaves."""
        return cls(
            resume=pickle.dumps(resume),
            open_events=frozenset(resume.open_events),
            wall_seconds=resume.wall_seconds,
        )

    def read(self) -> Resume:
        """What the stream leaves, on the node that goes on with it."""
        resume: Resume = pickle.loads(self.resume)
        return resume


@dataclass(frozen=True, kw_only=True)
class Released:
    """A camera that its agent has given back.

    counts  of its frames, the last ones
    left    what its stream leaves; None where that is of no use
    """

    fence: int
    counts: Counts
    left: Left | None


@dataclass(frozen=True, kw_only=True)
class Report:
    """What an agent tells each second.

    instance   the agent's process, and its session in it: another one holds none of the leases of before
    number     of the report in its session, from 1 on
    epoch      that of the last orders, "" before the first ones
    held       fence and version of the settings of each camera that it holds
    counts     of frames, by camera
    latencies  of frames since the last report that arrived
    reconnects since then
    facts      changes of the board since then; all of it where the epoch is new
    costs      CPU seconds a second, by camera, where they are measured
    released   cameras that it has given back, until the orders take note of it
    said       lines for the user since the last report that arrived
    """

    node: NodeFacts
    instance: str
    number: int
    epoch: str
    held: Mapping[str, tuple[int, str]]
    counts: Mapping[str, Counts] = field(default_factory=dict)
    latencies: Mapping[str, Latency] = field(default_factory=dict)
    reconnects: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[Fact, Any] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    released: Mapping[str, Released] = field(default_factory=dict)
    said: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """A camera that an agent is to hold.

    version  of the settings
    left     what the last holder has left
    records  the last records of the events that go on
    """

    fence: int
    version: str
    camera: Camera
    left: Left | None
    records: Sequence[EventRecord]


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What an agent is to do, in answer to a report.

    epoch     names the coordinator's process, to which the agent tells all anew
    is_lost   the agent's leases are others' now: it drops all, tells nothing, and begins a new session
    server    settings of the node; None where the epoch was known
    assigned  cameras to begin, or whose settings are new
    disabled  those of its cameras that are switched off
    release   cameras to give back
    noted     released cameras that the coordinator has taken note of
    stop      end all cameras, and then the agent
    """

    epoch: str
    is_lost: bool = False
    server: Server | None = None
    assigned: Mapping[str, Assignment] = field(default_factory=dict)
    disabled: Sequence[str] = ()
    release: Sequence[str] = ()
    noted: Sequence[str] = ()
    stop: bool = False
