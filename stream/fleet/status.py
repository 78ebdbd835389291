"""The state of a fleet at a glance, and the names by which a user calls a node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from actionstream.fleet.messages import NodeFacts
from actionstream.models.common.errors import ActionstreamError
from actionstream.serve.page import CameraRow


@dataclass(frozen=True, kw_only=True)
class CameraLine:
    """A camera: what serve shows of it, dropped frames since its holder has begun, and CPU seconds a second.

    cost  None where it is not measured yet
    """

    row: CameraRow
    dropped: int
    cost: float | None


@dataclass(frozen=True, kw_only=True)
class NodeLine:
    """A node; its load is 1 where all its CPUs are busy."""

    name: str
    address: str
    num_cameras: int
    cpus: float
    load: float
    is_draining: bool


@dataclass(frozen=True, kw_only=True)
class Status:
    """All cameras and all nodes, in the order of their names."""

    cameras: list[CameraLine]
    nodes: list[NodeLine]


def name_of(node: NodeFacts) -> str:
    """The name of a node: that of its machine, and the begin of its id, as a machine may have several."""
    return f"{node.name}-{node.id[:6]}"


def find_node(text: str, nodes: Mapping[str, NodeFacts]) -> str:
    """The id of the node that a user calls by its name, its address, or the begin of its id.

    Raises ActionstreamError, which lists the nodes, where there is none, or more than one.
    """
    found = [
        id for id, node in nodes.items() if text in (name_of(node), node.name, node.address) or id.startswith(text)
    ]
    if len(found) != 1 or not text:
        known = ", ".join(sorted(map(name_of, nodes.values()))) or "none"
        what = "several nodes are" if len(found) > 1 else "no node is"
        raise ActionstreamError(f"{what} {text!r}; the nodes are {known}; give one of these names")
    return found[0]
