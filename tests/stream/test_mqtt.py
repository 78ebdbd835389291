"""The sink for MQTT with a real Mosquitto: records in order, retained facts, reconnects, crashes."""

import gc
import itertools
import json
import random
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest
from broker import CuttingProxy, kept_by, listener, mosquitto, wait_for
from event_records import records
from servers import free_port, silent_server

from actionstream.models.common.errors import ActionstreamError
from actionstream.serve.board import Board, Fact
from actionstream.serve.delivery import Delivery, SinkError
from actionstream.serve.mqtt import MqttSink
from actionstream.serve.store import Store, Stored
from actionstream.serve.topics import CameraTopics, Topics

HALL = {"hall": CameraTopics(("wave", "sit down"))}


class Service:
    """A store, a board, and a sink with its delivery, as `serve` has them."""

    def __init__(self, folder, port, cameras, **settings):
        self.board, self.store, self.said, self.switched = Board(), Store(folder), [], []
        self.sink = MqttSink(
            board=self.board,
            cameras=cameras,
            set_enabled=lambda *switch: self.switched.append(switch),
            say=self.said.append,
            **{"host": "127.0.0.1", "port": port, **settings},
        )
        self.store.set_sinks(["mqtt"])
        self.delivery = Delivery(self.sink, self.store, self.said.append)
        self.sink.start()
        self.delivery.start()

    def append(self, told, picture=None):
        self.store.append((record, picture) for record in told)

    def all_taken(self):
        return self.store.backlog("mqtt") == 0


@contextmanager
def service(folder, port, cameras=HALL, **settings):
    running = Service(folder, port, cameras, **settings)
    try:
        yield running
    finally:
        running.delivery.stop(5)
        running.store.close()


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with mosquitto(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture
def base(request):
    """A base topic of the test's own: the broker keeps what is retained."""
    return f"home/{request.node.name}".replace("[", "_").replace("]", "")


def first_arrivals(heard, topic):
    """The keys of records at a topic, in order of first arrival."""
    told = [json.loads(payload) for payload in heard.payloads(topic)]
    return list(dict.fromkeys(f"{each['id']}-{each['type']}-{each['seq']}" for each in told))


def test_available_is_online_then_stopped(broker, base, tmp_path):
    with listener(broker.port, f"{base}/#") as heard:
        with service(tmp_path, broker.port, base_topic=base) as running:
            wait_for(lambda: running.sink.is_connected)
            wait_for(lambda: heard.last(f"{base}/available") == "online")
        wait_for(lambda: heard.last(f"{base}/available") == "stopped")
    assert heard.payloads(f"{base}/available") == ["online", "stopped"]  # and no will
    assert kept_by(broker.port)[f"{base}/available"] == "stopped"
    assert running.said == [f"mqtt: connected to the broker 127.0.0.1:{broker.port}"]


def test_the_end_says_that_cameras_have_stopped_after_all_changes(broker, base, tmp_path):
    cameras = {"hall": CameraTopics(tuple(f"label {n}" for n in range(300))), "door": CameraTopics(("wave",))}
    facts = [Fact("on", "hall", None, label) for label in cameras["hall"].labels]
    with service(tmp_path, broker.port, cameras, base_topic=base) as running:
        for camera in cameras:
            running.board.set(Fact("status", camera), ("live", None))
        for fact in facts:
            running.board.set(fact, True)
        wait_for(lambda: '"ON"' in kept_by_base(broker, base).get("hall/labels/label_299", ""))
        for fact in facts:
            running.board.set(fact, False)
    kept = kept_by_base(broker, base)
    assert [kept[f"{camera}/status"] for camera in cameras] == ["stopped", "stopped"]
    assert kept["available"] == "stopped"
    assert not [topic for topic, payload in kept.items() if '"ON"' in payload]


def test_records_arrive_in_order_with_pictures_and_are_not_retained(broker, base, tmp_path):
    told = records(300)
    with listener(broker.port, f"{base}/#") as heard, service(tmp_path, broker.port, base_topic=base) as running:
        running.append(told[:1], b"\xff\xd8 a picture")
        running.append(told[1:])
        wait_for(running.all_taken)
        wait_for(lambda: len(heard.payloads(f"{base}/events")) == 300)
        assert [json.loads(payload) for payload in heard.payloads(f"{base}/events")] == [r.to_dict() for r in told]
        begun = [json.loads(payload) for payload in heard.payloads(f"{base}/hall/events")]
        assert begun == [{"event_type": "wave", **r.to_dict()} for r in told if r.type == "new"]
        order = [topic for topic, _, _ in heard.heard]
        assert order.index(f"{base}/hall/snapshot") < order.index(f"{base}/events")  # who hears of it finds it
    assert heard.retained[f"{base}/hall/snapshot"] == b"\xff\xd8 a picture"
    kept = kept_by_base(broker, base)
    assert "hall/snapshot" in kept
    assert not [topic for topic in kept if topic.endswith("events")]


def kept_by_base(broker, base):
    kept = kept_by(broker.port).items()
    return {topic.removeprefix(f"{base}/"): payload for topic, payload in kept if topic.startswith(f"{base}/")}


def test_pictures_and_discovery_only_where_they_are_wanted(broker, base, tmp_path):
    settings = {"base_topic": base, "snapshots": False, "home_assistant": False}
    with listener(broker.port) as heard, service(tmp_path, broker.port, **settings) as running:
        running.append(records(3), b"a picture")
        wait_for(lambda: len(heard.payloads(f"{base}/events")) == 3)
        assert heard.last(f"{base}/hall/snapshot") is None
    assert not [topic for topic in kept_by(broker.port) if "/device/" in topic and base.replace("/", "-") in topic]


def test_a_record_of_a_camera_that_is_gone_still_arrives(broker, base, tmp_path):
    with listener(broker.port, f"{base}/#") as heard, service(tmp_path, broker.port, base_topic=base) as running:
        running.append(records(3, camera="garage"), b"a picture")
        wait_for(lambda: len(heard.payloads(f"{base}/events")) == 3)


def test_facts_are_retained_and_names_are_whole_in_the_payload(broker, base, tmp_path):
    cameras = {
        "Hall / east": CameraTopics(("a / b", "c+d #1", "status"), ("Door +", None)),
        "status": CameraTopics(("labels",)),
    }
    with listener(broker.port, f"{base}/#") as heard, service(tmp_path, broker.port, cameras, base_topic=base) as live:
        wait_for(lambda: live.sink.is_connected)
        live.board.set(Fact("status", "Hall / east"), ("live", None))
        live.board.set(Fact("enabled", "Hall / east"), True)
        live.board.set(Fact("label", "Hall / east", "Door +"), "c+d #1")
        live.board.set(Fact("on", "Hall / east", "Door +", "c+d #1"), True)
        live.board.set(Fact("on", "status", None, "labels"), True)
        live.board.set(Fact("on", "status", None, "labels"), False)
        live.board.set(Fact("on", "status", None, "not known"), True)  # has no topic
        live.board.set(Fact("status", "status"), ("failed", "no such camera"))
        wait_for(lambda: heard.last(f"{base}/status_1/status") == "failed")
        wait_for(lambda: "labels_1" in str(heard.last(f"{base}/topics")))
        kept = kept_by_base(broker, base)
    names = {"camera": "Hall / east", "region": "Door +"}
    assert json.loads(kept.pop("hall_east/door/labels/c_d_1")) == {"state": "ON", **names, "label": "c+d #1"}
    assert json.loads(kept.pop("hall_east/door/labels/a_b")) == {"state": "OFF", **names, "label": "a / b"}
    assert json.loads(kept.pop("hall_east/door/labels/status_1"))["state"] == "OFF"
    names["region"] = None
    assert json.loads(kept.pop("hall_east/labels/a_b")) == {"state": "OFF", **names, "label": "a / b"}
    assert json.loads(kept.pop("hall_east/labels/c_d_1"))["state"] == "OFF"
    assert json.loads(kept.pop("hall_east/labels/status_1"))["label"] == "status"
    assert json.loads(kept.pop("status_1/labels/labels_1"))["state"] == "OFF"
    del kept["topics"]
    assert kept == {
        "available": "online",
        "hall_east/status": "live",
        "hall_east/enabled/state": "ON",
        "hall_east/door/label": "c+d #1",
        "hall_east/label": "none",
        "status_1/status": "failed",
        "status_1/label": "none",
    }
    states = [json.loads(each)["state"] for each in heard.payloads(f"{base}/status_1/labels/labels_1")]
    assert states == ["OFF", "ON", "OFF"]  # each change, in order
    assert heard.payloads(f"{base}/hall_east/door/label") == ["none", "c+d #1"]


def test_cameras_are_switched_by_others(broker, base, tmp_path):
    with listener(broker.port, f"{base}/#") as heard:
        heard.publish(f"{base}/hall/enabled/set", "OFF", retain=True)  # a mistake: it would come at each connection
        with service(tmp_path, broker.port, base_topic=base) as running:
            wait_for(lambda: running.sink.is_connected)
            for topic, payload in (("hall", "OFF"), ("hall", "on"), ("hall", "perhaps"), ("cellar", "OFF")):
                heard.publish(f"{base}/{topic}/enabled/set", payload)
            wait_for(lambda: len(running.switched) == 2)
            assert running.switched == [("hall", False), ("hall", True)]
            running.sink._set_enabled = lambda camera, enabled: 1 / 0
            heard.publish(f"{base}/hall/enabled/set", "OFF")
            wait_for(lambda: any("cannot be switched" in text for text in running.said))
            running.append(records(3))  # and all goes on
            wait_for(running.all_taken)


def test_cameras_that_go_take_their_topics_with_them(broker, base, tmp_path):
    cameras = {"hall": CameraTopics(("wave", "sit down")), "door": CameraTopics(("wave",), ("left", "right"))}
    with service(tmp_path, broker.port, cameras, base_topic=base) as running:
        running.board.set(Fact("status", "door"), ("live", None))
        running.append(records(1, camera="hall"), b"a picture")
        wait_for(running.all_taken)
        before = kept_by_base(broker, base)
        assert {"door/left/label", "door/status", "hall/labels/sit_down", "hall/snapshot"} <= set(before)
        device = f"homeassistant/device/{base.replace('/', '-')}-door/config"
        assert device in kept_by(broker.port)
        with listener(broker.port, "homeassistant/#") as heard:
            running.board.forget("door")
            running.sink.set_cameras({"hall": CameraTopics(("wave",))})
            wait_for(lambda: not [topic for topic in kept_by_base(broker, base) if topic.startswith("door")])
            assert set(kept_by_base(broker, base)) == {
                "available",
                "topics",
                "hall/label",
                "hall/labels/wave",
                "hall/snapshot",
            }
            assert device not in kept_by(broker.port)
            told = [json.loads(each) for each in heard.payloads(device.replace("door", "hall"))]
        parts = [
            each["cmps"].get("labels-sit_down") for each in told
        ]  # Home Assistant removes what has only a platform
        assert parts[-2:] == [{"p": "binary_sensor"}, None]


def test_what_is_to_be_removed_is_removed_while_more_changes_come(broker, base, tmp_path):
    many = {"hall": CameraTopics(tuple(f"label {n}" for n in range(900)))}
    settings = {"base_topic": base, "home_assistant": False}
    with service(tmp_path, broker.port, many, **settings) as running, listener(broker.port, f"{base}/#") as heard:
        wait_for(lambda: heard.last(f"{base}/topics"))
        running.sink.set_cameras({"hall": CameraTopics(("wave",))})
        wait_for(lambda: heard.last(f"{base}/hall/labels/label_0") == "")
        running.sink.set_cameras({"hall": CameraTopics(("sit down",))})
        wait_for(lambda: heard.last(f"{base}/hall/labels/sit_down"))
        wait_for(lambda: '"hall/labels/wave"' not in str(heard.last(f"{base}/topics")))
    assert {"hall/labels/sit_down"} == {topic for topic in kept_by_base(broker, base) if "labels" in topic}


def test_home_assistant_is_told_again_when_it_starts(broker, base, tmp_path):
    with listener(broker.port) as heard, service(tmp_path, broker.port, base_topic=base) as running:
        device = f"homeassistant/device/{base.replace('/', '-')}-hall/config"
        wait_for(lambda: running.sink.is_connected and len(heard.payloads(device)) == 1)
        heard.publish("homeassistant/status", "offline")
        heard.publish("homeassistant/status", "online")
        wait_for(lambda: len(heard.payloads(device)) == 2)
        heard.publish(f"{base}/available", "offline", retain=True)  # the will of an earlier connection
        wait_for(lambda: heard.last(f"{base}/available") == "online")


CRASHING = """
import signal, sys
from pathlib import Path
from actionstream.serve.board import Board, Fact
from actionstream.serve.mqtt import MqttSink
from actionstream.serve.topics import CameraTopics
board = Board()
cameras = {"hall": CameraTopics(("wave", "sit down")), "door": CameraTopics(("wave",))}
sink = MqttSink(board=board, cameras=cameras, set_enabled=print, say=print, host="127.0.0.1", port=int(sys.argv[1]),
                base_topic=sys.argv[2])
board.set(Fact("on", "hall", None, "wave"), True)
board.set(Fact("on", "door", None, "wave"), True)
board.set(Fact("label", "hall"), "wave")
board.set(Fact("enabled", "door"), True)
sink.start()
signal.pause()
"""


def test_what_a_killed_process_left_is_put_right(broker, base, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", CRASHING, str(broker.port), base], stdout=subprocess.PIPE)
    with process, listener(broker.port, f"{base}/#") as heard:
        wait_for(lambda: heard.last(f"{base}/topics"))
        process.send_signal(signal.SIGKILL)
        wait_for(lambda: heard.last(f"{base}/available") == "offline")
    left = kept_by_base(broker, base)
    assert json.loads(left["hall/labels/wave"])["state"] == "ON"
    assert {"door/labels/wave", "door/enabled/state", "hall/labels/sit_down"} <= set(left)
    cameras = {"hall": CameraTopics(("wave",))}
    with service(tmp_path, broker.port, cameras, base_topic=base), listener(broker.port, f"{base}/#") as heard:
        wait_for(lambda: heard.retained.get(f"{base}/door/enabled/state") == b"")
        wait_for(lambda: set(kept_by_base(broker, base)) == {"available", "topics", "hall/label", "hall/labels/wave"})
        assert json.loads(heard.last(f"{base}/hall/labels/wave"))["state"] == "OFF"
        assert heard.last(f"{base}/hall/label") == "none"
        assert heard.last(f"{base}/available") == "online"


@pytest.mark.parametrize(
    "payload", ["", "[]", "{", '{"topics": 3}', '{"topics": [3]}', '{"topics": [], "components": 1}']
)
def test_topics_of_others_are_left_alone(broker, base, tmp_path, payload):
    with listener(broker.port) as heard:
        heard.publish("elsewhere/lamp", "on", retain=True)
        heard.publish(f"{base}/topics", payload, retain=True)
        with service(tmp_path / "first", broker.port, base_topic=base) as running:
            wait_for(lambda: running.sink.is_connected)
        stranger = {"topics": ["elsewhere/lamp", f"{base}/#", f"{base}/old/label"], "components": {}}
        heard.publish(f"{base}/topics", json.dumps(stranger), retain=True)
        with service(tmp_path / "second", broker.port, base_topic=base):
            wait_for(lambda: heard.retained.get(f"{base}/old/label") == b"")
        assert heard.last("elsewhere/lamp") == "on"


def test_a_broker_that_is_away_takes_nothing(tmp_path):
    with service(tmp_path, free_port()) as running:
        running.append(records(3))
        wait_for(lambda: running.delivery.failure)
        with pytest.raises(SinkError):
            running.sink.send(running.store.after("mqtt", 10))
        wait_for(lambda: len(running.said) == 2)
        assert sorted(running.said) == sorted(set(running.said))  # said once by each
        assert any("cannot be reached: Connection refused" in text for text in running.said)
        assert running.store.backlog("mqtt") == 3


def test_a_broker_that_says_nothing_is_away(tmp_path):
    with silent_server() as port, service(tmp_path, port, keepalive_seconds=1) as running:
        wait_for(lambda: any("does not answer" in text for text in running.said))


@pytest.mark.parametrize("base", ["", "/", "a/#", "+", "$SYS"])
def test_topics_that_cannot_be(base, tmp_path):
    with pytest.raises(ActionstreamError, match="the topic is"):
        MqttSink(board=Board(), cameras={}, set_enabled=print, say=print, host="::1", base_topic=base)


def test_no_two_facts_share_a_topic():
    names = ("status", "enabled", "label", "labels", "events", "available", "snapshot", "topics", "a b", "a_b", "a-b")
    topics = Topics("base", {name: CameraTopics(names, (*names, None)) for name in names})
    used = [*topics.facts.values(), *topics.snapshots, topics.available, topics.events, topics.topics]
    used += [f"{topics.folder(name)}/{end}" for name in names for end in ("events", "enabled/set")]
    assert len(set(used)) == len(used) == 3 + len(names) * (4 + len((*names, None)) * (2 + len(names)))


def cutting(seed, least, most):
    """Bytes to the next cut, a few times; then no cut any more."""
    chance = random.Random(seed)
    cuts = [chance.randrange(least, most) for _ in range(8)]
    return itertools.chain(cuts, itertools.repeat(None)).__next__


@pytest.fixture
def soon(monkeypatch):
    """The longest waits are short."""
    monkeypatch.setattr("actionstream.live.reconnect.LONGEST_WAIT_SECONDS", 0.5)


@pytest.mark.waits
@pytest.mark.usefixtures("soon")
def test_records_keep_their_order_when_connections_are_cut(broker, base, tmp_path):
    """Connections end in the middle of messages, with many in flight; the process is restarted, too."""
    told = [record for pair in zip(records(450), records(450, "hall", "sit down"), strict=True) for record in pair]
    proxy = CuttingProxy(broker.port, cutting(1, 20_000, 60_000))
    with listener(broker.port, f"{base}/events") as heard:
        for half in (told[:450], told[450:]):
            with service(tmp_path, proxy.port, base_topic=base, keepalive_seconds=5) as running:
                running.append(half)
                if half[0] is told[0]:
                    wait_for(lambda: proxy.cuts >= 3)
                else:
                    wait_for(running.all_taken, 60)
        wait_for(lambda: len(first_arrivals(heard, f"{base}/events")) == len(told))
        assert first_arrivals(heard, f"{base}/events") == [record.key for record in told]
        assert len(heard.heard) > len(told)  # some came again
    assert proxy.cuts == 8
    proxy.close()


@pytest.mark.waits
def test_a_broker_that_stalls_with_records_in_flight(tmp_path):
    told = records(300)
    with (
        mosquitto(tmp_path) as broker,
        listener(broker.port, "actionstream/events") as heard,
        service(tmp_path / "state", broker.port, keepalive_seconds=1) as running,
    ):
        running.append(told[:30])
        wait_for(running.all_taken)
        broker.stop()
        running.append(told[30:200])
        wait_for(lambda: running.delivery.failure)
        running.append(told[200:])
        broker.go_on()
        wait_for(running.all_taken, 60)
        wait_for(lambda: len(first_arrivals(heard, "actionstream/events")) == 300)
        assert first_arrivals(heard, "actionstream/events") == [record.key for record in told]


@pytest.mark.waits
@pytest.mark.parametrize("persistence", [True, False])
def test_a_broker_that_is_killed_and_comes_back(tmp_path, persistence):
    told = records(600)
    folder = tmp_path / "broker"
    folder.mkdir()
    with (
        mosquitto(folder, persistence=persistence) as broker,
        listener(broker.port, "actionstream/#", session="listener") as heard,
        service(tmp_path / "state", broker.port) as running,
    ):
        running.append(told[:30])
        wait_for(lambda: len(heard.payloads("actionstream/events")) == 30)
        if persistence:  # the session of the listener is on the disk
            wait_for(lambda: (folder / "mosquitto.db").exists())
        running.board.set(Fact("on", "hall", None, "wave"), True)
        wait_for(lambda: "ON" in str(heard.last("actionstream/hall/labels/wave")))
        broker.kill()
        wait_for(lambda: not running.sink.is_connected)
        running.append(told[30:])
        running.board.set(Fact("on", "hall", None, "wave"), False)  # while the broker is away
        running.board.set(Fact("on", "hall", None, "sit down"), True)
        wait_for(lambda: running.delivery.failure)
        heard.heard.clear()
        broker.start()
        wait_for(running.all_taken, 60)
        # one without a memory does not know the listener any more, which may come too late for some
        if persistence:
            wait_for(lambda: len(first_arrivals(heard, "actionstream/events")) >= 570)
            assert first_arrivals(heard, "actionstream/events")[-570:] == [record.key for record in told[30:]]
        kept = kept_by(broker.port)
        assert json.loads(kept["actionstream/hall/labels/wave"])["state"] == "OFF"
        assert json.loads(kept["actionstream/hall/labels/sit_down"])["state"] == "ON"
        assert kept["actionstream/available"] == "online"
        assert "homeassistant/device/actionstream-hall/config" in kept
    assert "takes records again" in running.said[-1]


def certificates(folder):
    """A certificate for 127.0.0.1, which is its own authority, and its key."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1"
    command += f" -addext subjectAltName=IP:127.0.0.1 -keyout {folder}/key.pem -out {folder}/cert.pem"
    subprocess.run(command.split(), check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


@pytest.mark.filterwarnings("ignore:.*<ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
def test_a_broker_that_is_somebody_else(tmp_path):
    """(paho-mqtt leaves the socket of a handshake that failed to the garbage collection.)"""
    certificate, key = certificates(tmp_path)
    with mosquitto(tmp_path, lines=f"allow_anonymous true\ncertfile {certificate}\nkeyfile {key}\n") as broker:
        with service(tmp_path / "state", broker.port, tls=True) as running:
            said = running.said
            wait_for(lambda: said)
            assert "certificate verify failed" in said[0]
        del running
        gc.collect()


def test_tls_and_password(tmp_path):
    certificate, key = certificates(tmp_path)
    (tmp_path / "passwords").write_text("me:secret word\n")
    subprocess.run(["mosquitto_passwd", "-U", tmp_path / "passwords"], check=True)
    lines = f"allow_anonymous false\npassword_file {tmp_path}/passwords\ncertfile {certificate}\nkeyfile {key}\n"
    right = {"user": "me", "password": "secret word", "tls": True, "ca_file": certificate}
    with mosquitto(tmp_path, lines=lines) as broker:
        with service(tmp_path / "1", broker.port, **right) as running:
            running.append(records(3))
            wait_for(running.all_taken)
        with service(tmp_path / "2", broker.port, **{**right, "password": "wrong word"}) as running:
            wait_for(lambda: running.said)
            assert "refuses the connection: Not authorized" in running.said[0]
            assert "word" not in running.said[0]


def test_a_check_tries_the_broker(broker, run, tmp_path):
    file = tmp_path / "cameras.toml"

    def check(port):
        file.write_text(f"[cameras.hall]\nsource = 'sample'\n[mqtt]\nhost = '127.0.0.1'\nport = {port}\n")
        code, _, err = run("serve", file, "--check", "--state", tmp_path / "state")
        return code, err

    assert check(broker.port) == (0, "")
    code, err = check(free_port())
    assert (code, err.count("\n"), "cannot be reached: Connection refused" in err) == (2, 1, True)


def test_a_fault_of_ours_is_no_end(broker, base, tmp_path):
    with listener(broker.port, f"{base}/#") as heard, service(tmp_path, broker.port, base_topic=base) as running:
        wait_for(lambda: running.sink.is_connected)
        running.board.set(Fact("status", "hall"), (object(), None))  # cannot be published
        wait_for(lambda: any("a fault in actionstream" in text for text in running.said))
        running.board.set(Fact("status", "hall"), ("live", None))
        wait_for(lambda: heard.last(f"{base}/hall/status") == "live")
        running.append(records(3))
        wait_for(running.all_taken)


def test_a_file_of_certificates_that_is_none(tmp_path):
    wrong = tmp_path / "ca.pem"
    for content in (None, "nonsense"):
        if content is not None:
            wrong.write_text(content)
        with pytest.raises(ActionstreamError, match=r"file of certificates .* cannot be used"):
            MqttSink(board=Board(), cameras={}, set_enabled=print, say=print, host="x", tls=True, ca_file=wrong)


def test_a_flood_of_changes_ends_with_what_is_true(tmp_path, monkeypatch):
    """More than may wait are dropped; then all that is true is published, also what changed before the flood."""
    monkeypatch.setattr("actionstream.serve.mqtt.MOST_WAITING", 20)
    with (
        mosquitto(tmp_path) as broker,
        listener(broker.port, "actionstream/hall/#") as heard,
        service(tmp_path / "state", broker.port) as running,
    ):
        wait_for(lambda: running.sink.is_connected)
        broker.stop()
        running.board.set(Fact("status", "hall"), ("live", None))
        wait_for(lambda: not running.sink._waiting)  # it is on its way
        running.board.set(Fact("on", "hall", None, "sit down"), True)
        for on in [True, False] * 300 + [True]:
            running.board.set(Fact("on", "hall", None, "wave"), on)
        broker.go_on()
        for label in ("wave", "sit_down"):
            wait_for(lambda label=label: '"ON"' in str(heard.last(f"actionstream/hall/labels/{label}")))
        assert len(heard.payloads("actionstream/hall/labels/wave")) < 50


def test_a_broker_that_acknowledges_nothing_is_left(tmp_path):
    """It answers each sign of life: without a limit the sink would wait for ever."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            client, _ = listening.accept()
            with client:
                client.recv(4096)
                client.sendall(b"\x20\x02\x00\x00")  # the connection is accepted
                while data := client.recv(65_536):
                    if data.endswith(b"\xc0\x00"):  # a ping
                        client.sendall(b"\xd0\x00")

        thread = threading.Thread(target=answer)
        thread.start()
        with service(tmp_path, listening.getsockname()[1], keepalive_seconds=1) as running:
            wait_for(lambda: any("is lost" in text for text in running.said))
            listening.close()
        thread.join(20)
        assert not thread.is_alive()


def test_a_picture_comes_with_the_new_record_only():
    (new, update) = records(2)
    sink = MqttSink(board=Board(), cameras=HALL, set_enabled=print, say=print, host="x")
    assert len(sink._record_messages(Stored(1, new, b"jpeg"))) == 3
    assert len(sink._record_messages(Stored(2, update, b"jpeg"))) == 1
    elsewhere = replace(new, region="not there")
    assert [message[0] for message, _ in sink._record_messages(Stored(3, elsewhere, b"x"))] == ["actionstream/events"]
