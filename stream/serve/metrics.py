"""Metrics of a service for Prometheus."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from actionstream.models.common.extras import needs
from actionstream.results import Counts
from actionstream.serve.delivery import Delivery
from actionstream.serve.latencies import LATENCY_SECONDS, Key, Latencies
from actionstream.serve.store import Store

if TYPE_CHECKING:
    from prometheus_client.core import Metric


class Metrics:
    """Counts what happens, and asks for the rest when it is read. All calls from any thread.

    store       for the backlog of sinks
    frames      counts of the frames of each camera that is watched
    deliveries  the deliveries to the sinks
    clips       what has become of clips so far, by a word each, such as written: a counter
    queues      lengths of queues and sizes of spools now, by name
    node_of     the node that watches a camera now, as a second label of all that is counted of cameras; None: there are
                no nodes

    latencies  those of all labelled frames

    Raises ActionstreamError where prometheus-client is not installed.
    """

    def __init__(
        self,
        *,
        store: Store,
        frames: Callable[[], Mapping[str, Counts]],
        deliveries: Callable[[], Sequence[Delivery]],
        clips: Callable[[], Mapping[str, int]] = dict,
        queues: Callable[[], Mapping[str, float]] = dict,
        node_of: Callable[[str], str] | None = None,
    ):
        needs("serve")
        from prometheus_client import CollectorRegistry, Counter, ProcessCollector

        self.latencies = Latencies()
        self._store, self._frames, self._deliveries, self._clips = store, frames, deliveries, clips
        self._queues = queues
        self._node_of = node_of
        self._labels = ("camera",) if node_of is None else ("camera", "node")
        self._sums = _Sums()
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._events = Counter(
            "actionstream_events", "Events that began", [*self._labels, "label"], registry=self._registry
        )
        self._reconnects = Counter(
            "actionstream_reconnects", "Times that a camera came back", self._labels, registry=self._registry
        )
        self._registry.register(self)  # for `collect`

    def key(self, camera: str) -> tuple[str, ...]:
        """The labels of a camera in what is counted now: its name, and its node where there are nodes."""
        return (camera,) if self._node_of is None else (camera, self._node_of(camera))

    def latency(self, camera: str, seconds: float) -> None:
        """A frame has got its label."""
        self.latencies.observe(self.key(camera), seconds)

    def event(self, camera: str, label: str) -> None:
        """An event has begun."""
        self._events.labels(*self.key(camera), label).inc()

    def reconnect(self, camera: str) -> None:
        """A camera gives frames again."""
        self._reconnects.labels(*self.key(camera)).inc()

    def closed(self, camera: str, counts: Counts) -> None:
        """A camera is not watched any more: its last counts. Those of the same name that come later begin at 0."""
        self._sums.take(self.key(camera), counts, last=True)

    def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What is asked for when it is read; called by the registry."""
        from prometheus_client.core import CounterMetricFamily as Sum
        from prometheus_client.core import GaugeMetricFamily as Gauge
        from prometheus_client.core import HistogramMetricFamily as Histogram

        for camera, counts in self._frames().items():
            self._sums.take(self.key(camera), counts)
        received = Sum("actionstream_frames_received", "Frames that a camera gave", labels=self._labels)
        labelled = Sum("actionstream_frames_labelled", "Frames that got a label", labels=self._labels)
        dropped = Sum("actionstream_frames_dropped", "Frames without a label", labels=[*self._labels, "reason"])
        for key, sums in self._sums.all().items():
            received.add_metric(key, sums[RECEIVED])
            labelled.add_metric(key, sums[LABELLED])
            for reason, count in sums.items():
                if reason not in (RECEIVED, LABELLED):
                    dropped.add_metric([*key, reason], count)
        text = "From the moment when a frame is available to its label"
        latency = Histogram("actionstream_latency_seconds", text, labels=self._labels)
        bounds = [*map(str, LATENCY_SECONDS), "+Inf"]
        for key, each in self.latencies.all().items():
            latency.add_metric(key, list(zip(bounds, accumulate(each.buckets), strict=True)), each.seconds)
        backlog = Gauge("actionstream_sink_backlog", "Records that a sink has not taken", labels=["sink"])
        failing = Gauge("actionstream_sink_failing", "1 where the last try failed", labels=["sink"])
        failures = Sum("actionstream_sink_failures", "Tries that failed", labels=["sink"])
        for delivery in self._deliveries():
            name = [delivery.sink.name]
            backlog.add_metric(name, self._store.backlog(delivery.sink.name))
            failing.add_metric(name, delivery.failure is not None)
            failures.add_metric(name, delivery.failures)
        clips = Sum("actionstream_clips", "Clips by what has become of them", labels=["outcome"])
        for outcome, count in self._clips().items():
            clips.add_metric([outcome], count)
        queues = Gauge("actionstream_queue", "Length of a queue, or size of a spool, now", labels=["queue"])
        for queue, length in self._queues().items():
            queues.add_metric([queue], length)
        yield from (received, labelled, dropped, latency, backlog, failing, failures, clips, queues)


RECEIVED, LABELLED = "#received", "#labelled"
"""Keys of sums that are no reasons of dropped frames."""


class _Sums:
    """Sums of counts that begin again at 0 when their camera is restarted: sums never go back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._before: dict[Key, Counter[str]] = {}
        self._closed: set[Key] = set()
        self._sums: dict[Key, Counter[str]] = {}

    def take(self, camera: Key, counts: Counts, *, last: bool = False) -> None:
        """Add what is new in counts. They began again where they are smaller, or other ones than the last of before."""
        now = Counter({**counts.dropped, RECEIVED: counts.received, LABELLED: counts.labelled})
        with self._lock:
            before = self._before.get(camera, Counter())
            closed = camera in self._closed
            if any(now[key] < count for key, count in before.items()) or (closed and now != before):
                self._closed.discard(camera)
                before = Counter()
            self._before[camera] = now
            self._sums.setdefault(camera, Counter()).update(now - before)
            if last:
                self._closed.add(camera)

    def all(self) -> dict[Key, Counter[str]]:
        with self._lock:
            return {camera: Counter(sums) for camera, sums in self._sums.items()}
