"""Metrics for Prometheus: what they say, and that counters never go back."""

import random
from collections import Counter

import pytest
from event_records import records
from prometheus_client.parser import text_string_to_metric_families

from actionstream.results import Counts
from actionstream.serve.delivery import Delivery
from actionstream.serve.metrics import Metrics
from actionstream.serve.store import Store


class Sink:
    name = "mqtt"

    def close(self):
        pass


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path)
    yield opened
    opened.close()


def read(metrics):
    """All samples: name and labels, and the value."""
    families = text_string_to_metric_families(metrics.render().decode())
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def test_what_is_counted_and_what_is_asked_for(store):
    store.set_sinks(["mqtt"])
    store.append((record, None) for record in records(3))
    delivery = Delivery(Sink(), store, print)
    delivery.failures, delivery.failure = 4, "away"
    frames = {
        "hall": Counts(received=10, labelled=5, waiting=1, dropped={"newer": 3, "stale": 1}),
        'a "name"\\': Counts(received=2),
    }
    metrics = Metrics(
        store=store,
        frames=lambda: frames,
        deliveries=lambda: [delivery],
        clips=lambda: {"written": 2, "failed": 0},
        queues=lambda: {"save": 17},
    )
    metrics.latency("hall", 0.03)
    metrics.latency("hall", 3.0)
    metrics.event("hall", "wave")
    metrics.event("hall", "wave")
    metrics.reconnect("hall")
    found = read(metrics)
    assert found["actionstream_frames_received_total", "hall"] == 10
    assert found["actionstream_frames_received_total", 'a "name"\\'] == 2
    assert found["actionstream_frames_labelled_total", "hall"] == 5
    assert found["actionstream_frames_dropped_total", "hall", "newer"] == 3
    assert found["actionstream_frames_dropped_total", "hall", "stale"] == 1
    assert found["actionstream_latency_seconds_count", "hall"] == 2
    assert found["actionstream_latency_seconds_sum", "hall"] == pytest.approx(3.03)
    assert found["actionstream_latency_seconds_bucket", "hall", "0.02"] == 0
    assert found["actionstream_latency_seconds_bucket", "hall", "0.04"] == 1
    assert found["actionstream_latency_seconds_bucket", "hall", "+Inf"] == 2
    assert found["actionstream_events_total", "hall", "wave"] == 2
    assert found["actionstream_reconnects_total", "hall"] == 1
    assert found["actionstream_sink_backlog", "mqtt"] == 3
    assert found["actionstream_sink_failing", "mqtt"] == 1
    assert found["actionstream_sink_failures_total", "mqtt"] == 4
    assert found["actionstream_clips_total", "written"] == 2
    assert found["actionstream_clips_total", "failed"] == 0
    assert found["actionstream_queue", "save"] == 17
    assert found["process_resident_memory_bytes",] > 1e6
    assert found["process_start_time_seconds",] > 1e9


def test_two_services_of_a_process_have_their_own(store):
    one, other = (Metrics(store=store, frames=dict, deliveries=list) for _ in range(2))
    one.event("hall", "wave")
    assert ("actionstream_events_total", "hall", "wave") not in read(other)


@pytest.mark.parametrize("seed", range(5))
def test_sums_go_on_when_a_camera_begins_again(store, seed):
    """Whatever the moments at which they are read, and at which the camera is closed, and begins again."""
    chance, now, sums = random.Random(seed), Counter(), Counter()

    def counts():
        return Counts(received=now["in"], labelled=now["out"], dropped={"newer": now["newer"]})

    metrics = Metrics(store=store, frames=lambda: {"hall": counts()}, deliveries=list)
    last = {}
    for _ in range(300):
        for key in ("in", "out", "newer"):
            count = chance.randrange(3)
            now[key] += count
            sums[key] += count
        if chance.random() < 0.2:
            found = {key: value for key, value in read(metrics).items() if "frames" in key[0]}
            assert all(found[key] >= value for key, value in last.items())
            assert found["actionstream_frames_received_total", "hall"] == sums["in"]
            assert found["actionstream_frames_labelled_total", "hall"] == sums["out"]
            assert found.get(("actionstream_frames_dropped_total", "hall", "newer"), 0) == sums["newer"]
            last = found
        if chance.random() < 0.1:
            metrics.closed("hall", counts())
            if chance.random() < 0.5:
                read(metrics)  # it is still there, with its last counts
            now.clear()
    assert len(last) >= 3


def test_the_last_counts_of_a_camera_stay(store):
    live = {}
    metrics = Metrics(store=store, frames=lambda: dict(live), deliveries=list)
    metrics.closed("hall", Counts(received=100, labelled=90))
    assert read(metrics)["actionstream_frames_received_total", "hall"] == 100
    live["hall"] = Counts(received=7)
    found = read(metrics)
    assert found["actionstream_frames_received_total", "hall"] == 107
    assert found["actionstream_frames_labelled_total", "hall"] == 90


def test_sums_never_go_back_where_nobody_says_that_a_camera_was_closed(store):
    now = {"hall": Counts(received=100)}
    metrics = Metrics(store=store, frames=lambda: now, deliveries=list)
    assert read(metrics)["actionstream_frames_received_total", "hall"] == 100
    now["hall"] = Counts(received=30)
    assert read(metrics)["actionstream_frames_received_total", "hall"] == 130
