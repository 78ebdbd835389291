"""Deliveries: each record to each sink, in order, at least once, at the sink's own pace."""

import threading
import time

import pytest
from broker import wait_for
from event_records import records

from actionstream.serve.delivery import Delivery, SinkError
from actionstream.serve.store import Store


class Memory:
    """Keeps what it gets; it fails, or takes only some, as it is told to."""

    def __init__(self, name="memory", fails=(), most=1000):
        self.name, self.got, self.calls, self.closed = name, [], 0, False
        self.fails, self.most = dict(fails), most
        self.free = threading.Event()
        self.free.set()

    def send(self, batch):
        self.free.wait(20)
        self.calls += 1
        if (error := self.fails.get(self.calls)) is not None:
            raise error
        taken = batch[: self.most]
        self.got += [stored.record for stored in taken]
        return len(taken)

    def close(self):
        self.closed = True


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr("actionstream.live.reconnect.FIRST_WAIT_SECONDS", 0.01)
    opened = Store(tmp_path)
    yield opened
    opened.close()


def deliver(store, *sinks):
    said = []
    store.set_sinks([sink.name for sink in sinks])
    deliveries = [Delivery(sink, store, said.append) for sink in sinks]
    for delivery in deliveries:
        delivery.start()
    return deliveries, said


def tell(store, told):
    store.append((record, None) for record in told)


def test_all_records_in_order_and_those_of_before_the_stop(store):
    sink, told = Memory(most=7), records(250)
    (delivery,), said = deliver(store, sink)
    for begin in range(0, 250, 10):
        tell(store, told[begin : begin + 10])
    delivery.stop(20)
    assert sink.got == told
    assert sink.closed
    assert store.backlog("memory") == 0
    assert (said, delivery.failures, delivery.failure) == ([], 0, None)


def test_a_sink_that_waits_holds_nobody_up(store):
    slow, fast, told = Memory("slow"), Memory("fast"), records(30)
    slow.free.clear()
    deliveries, _ = deliver(store, slow, fast)
    tell(store, told)
    wait_for(lambda: fast.got == told)
    assert store.backlog("slow") == 30
    slow.free.set()
    wait_for(lambda: slow.got == told)
    for delivery in deliveries:
        delivery.stop(20)


def test_failures_are_said_once_and_tried_again(store):
    failure = SinkError("the other side is away")
    sink, told = Memory(fails={2: failure, 3: failure, 4: failure}, most=5), records(20)
    (delivery,), said = deliver(store, sink)
    tell(store, told)
    wait_for(lambda: sink.got == told)
    wait_for(lambda: len(said) == 2)
    assert said == ["memory: the other side is away; records wait in the store", "memory takes records again"]
    assert delivery.failures == 3
    assert delivery.failure is None
    delivery.stop(20)


def test_a_fault_of_ours_is_told_and_is_no_end(store):
    sink, told = Memory(fails={1: KeyError("camera")}), records(3)
    (delivery,), said = deliver(store, sink)
    tell(store, told)
    wait_for(lambda: sink.got == told)
    assert said[0].startswith("memory: a fault in actionstream in stream/serve/delivery.py")
    delivery.stop(20)


def test_a_delivery_goes_on_where_it_was(store):
    told = records(60)
    first, second = Memory(most=10), Memory()
    (delivery,), _ = deliver(store, first)
    tell(store, told[:30])
    delivery.stop(20)
    tell(store, told[30:])
    (delivery,), _ = deliver(store, second)
    delivery.stop(20)
    assert first.got + second.got == told


def test_a_sink_that_hangs_does_not_hold_up_the_stop(store):
    sink = Memory()
    sink.free.clear()
    (delivery,), _ = deliver(store, sink)
    tell(store, records(3))
    delivery.stop(0.05)
    assert sink.closed
    assert store.backlog("memory") == 3  # they stay
    sink.free.set()
    delivery._thread.join(20)


@pytest.mark.parametrize("fails", [{}, {1: SinkError("it was closed")}])
def test_a_sink_that_hung_when_it_was_stopped_does_nothing_more(store, fails):
    """Another sink of its name goes on from the same place: with other settings, such as another address."""
    hanging, told = Memory(most=2, fails=fails), records(6)
    hanging.free.clear()
    (delivery,), said = deliver(store, hanging)
    tell(store, told)
    delivery.stop(0.05)
    hanging.free.set()
    delivery._thread.join(20)
    assert (hanging.got, said) == ([] if fails else told[:2], [])
    (other,), _ = deliver(store, following := Memory())
    other.stop(20)
    assert following.got == told


def test_a_sink_that_fails_does_not_hold_up_the_stop(store):
    sink = Memory(fails=dict.fromkeys(range(1000), SinkError("away")))
    (delivery,), _ = deliver(store, sink)
    tell(store, records(3))
    wait_for(lambda: delivery.failures > 3)
    delivery.stop(20)
    assert not delivery._thread.is_alive()
    assert store.backlog("memory") == 3


def test_a_delivery_without_records_sleeps(store):
    """It does not ask again and again, also where there were records before it."""
    tell(store, records(30))
    (delivery,), _ = deliver(store, Memory())
    asked, after = [], store.after
    store.after = lambda *arguments: asked.append(arguments) or after(*arguments)
    time.sleep(0.3)
    assert len(asked) <= 3
    delivery.stop(20)


def test_a_store_that_fails_is_waited_for(store, monkeypatch):
    sink = Memory()
    (delivery,), said = deliver(store, sink)
    database = store._database
    store._database.execute("ALTER TABLE cursors RENAME TO elsewhere")
    wait_for(lambda: delivery.failure is not None)
    assert "no such table: cursors" in said[0]
    database.execute("ALTER TABLE elsewhere RENAME TO cursors")
    tell(store, records(3))
    wait_for(lambda: len(sink.got) == 3)
    delivery.stop(20)
