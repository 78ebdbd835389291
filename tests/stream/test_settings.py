"""cameras.toml: what it may say, and the line and the words of each mistake."""

import json
import logging
import re
import subprocess
import sys
import tomllib
import traceback
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import LABELS, images, random_card, random_network, write_video
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from actionstream.models import read_card, save
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.labels import read_labels
from actionstream.models.locate import PACKAGED
from actionstream.serve import settings as parts
from actionstream.serve.model_labels import labels_of
from actionstream.serve.places import Places
from actionstream.serve.reading import SettingsError, parse_settings, read_settings
from actionstream.serve.schema import EXAMPLE_FILE, SCHEMA_FILE, make_schema
from actionstream.serve.settings import Camera, Mqtt, Part, Period, Region, Server, Settings
from actionstream.serve.slugs import MOST_LETTERS, RESERVED, slug, slugs

CAMERA = '[cameras.door]\nsource = "sample"\n'
SECRET = "hunter2"


def problems(text, path=Path("cameras.toml")):
    with pytest.raises(SettingsError) as error:
        parse_settings(text, path)
    assert str(error.value) == "\n".join(error.value.problems)
    assert all(line.isprintable() for line in error.value.problems)
    return error.value.problems


def camera(text, path=Path("cameras.toml")):
    return parse_settings(CAMERA + text, path).cameras["door"]


BAD = [
    # the file
    ("", "cameras.toml: cameras are not there; expected a table [cameras.NAME] with a source"),
    ("[cameras]", "1: cameras are not there; expected a table [cameras.NAME] with a source"),
    ("cameras = 3", "1: cameras is a number; expected a table"),
    ("[cameras]\ndoor = 'sample'", "2: cameras.door is a text; expected a table"),
    ("x", "1: this is no TOML: expected '=' after a key in a key/value pair"),
    ("\na = [1,", "2: this is no TOML: invalid value"),
    ("a = '''\nb\nc", "3: this is no TOML: "),
    (f"{CAMERA}{CAMERA}", "3: [cameras.door] is there twice"),
    (f'{CAMERA}[cameras."big hall"]\nsource="a"\n\n[cameras."big hall"]', '6: [cameras."big hall"] is there twice'),
    (f"{CAMERA}loop = true\nloop = true", "4: this key is there twice"),
    (f"a = {'[' * 5000}", "cameras.toml has too many levels of lists and tables"),
    (f"# {'x' * (1 << 20)}", "cameras.toml has 1,048,578 characters; expected 1,048,576 at most"),
    (f"{CAMERA}[mqt]", "3: mqt is no key; nearest is mqtt"),
    (f"default.model = 'motion'\n{CAMERA}", "1: default is no key; nearest is defaults"),
    # cameras and their keys
    ("[cameras.door]\nloop = true", "1: cameras.door has no source; expected a value for it"),
    ("[cameras.door.regions]\n\n[cameras.door]", "3: cameras.door has no source; expected a value for it"),
    (f"{CAMERA}treshold = 0.5", "3: cameras.door.treshold is no key; nearest is threshold"),
    (f"{CAMERA}threshold = 3", "3: cameras.door.threshold is 3; expected 0 to 1"),
    (f"{CAMERA}\n# one\nthreshold = -0.1", "5: cameras.door.threshold is -0.1; expected 0 to 1"),
    (f"{CAMERA}threshold = nan", "3: cameras.door.threshold is nan; expected a finite number"),
    (f"{CAMERA}threshold = '0.5'", "3: cameras.door.threshold is '0.5'; expected a number"),
    (f"{CAMERA}threshold = true", "3: cameras.door.threshold is true; expected a number"),
    (f"{CAMERA}threshold = {{ left = 2 }}", "3: cameras.door.threshold.left is 2; expected 0 to 1"),
    (
        f"{CAMERA}threshold = {{ lfet = 0.5 }}",
        "3: cameras.door.threshold.lfet is for 'lfet', which is no label of motion; nearest is 'left'",
    ),
    (
        f"{CAMERA}[cameras.door.end_threshold]\n'*' = 0.1\nlfet = 0.5",
        "5: cameras.door.end_threshold.lfet is for 'lfet', which is no label of motion; nearest is 'left'",
    ),
    (
        f"{CAMERA}end_threshold = 0.7",
        "3: cameras.door.end_threshold is 0.7 for 'left'; expected its threshold, 0.6, at most",
    ),
    (
        f"{CAMERA}threshold = {{up = 0.3, '*' = 0.9}}\nend_threshold = 0.4",
        "4: cameras.door.end_threshold is 0.4 for 'up'; expected its threshold, 0.3, at most",
    ),
    (
        f"{CAMERA}labels = [\n'left',\n'rihgt']",
        "3: cameras.door.labels[1] is for 'rihgt', which is no label of motion; nearest is 'right'",
    ),
    (f"{CAMERA}labels = []", "3: cameras.door.labels is []; expected one label or more; without"),
    (f"{CAMERA}labels = 'left'", "3: cameras.door.labels is 'left'; expected a list"),
    (f"{CAMERA}labels = [1]", "3: cameras.door.labels[0] is 1; expected a string"),
    (
        f"{CAMERA}ignored_labels = ['rihgt']",
        "3: cameras.door.ignored_labels[0] is for 'rihgt', which is no label of motion; nearest is 'right'",
    ),
    (
        f"{CAMERA}background = 'stil'",
        "3: cameras.door.background is for 'stil', which is no label of motion; nearest is 'still'",
    ),
    (
        f"{CAMERA}model = 'motoin'",
        "3: cameras.door.model cannot be used: no model 'motoin': give the path of a checkpoint, or",
    ),
    (
        f"{CAMERA}model = 'tsm_resnet50'",
        "3: cameras.door.model cannot be used: tsm_resnet50 is a network without weights; give",
    ),
    (f"{CAMERA}model = ''", "3: cameras.door.model cannot be used: the model is empty; give the path"),
    (f"{CAMERA}smoothing_seconds = -1", "3: cameras.door.smoothing_seconds is -1; expected 0 or more"),
    (f"{CAMERA}cooldown_seconds = inf", "3: cameras.door.cooldown_seconds is inf; expected a finite number"),
    (f"{CAMERA}update_seconds = 0", "3: cameras.door.update_seconds is 0; expected more than 0"),
    (f"{CAMERA}transport = 'tpc'", "3: cameras.door.transport is 'tpc'; expected 'tcp' or 'udp'"),
    (f"{CAMERA}loop = 1", "3: cameras.door.loop is 1; expected true or false"),
    (f"{CAMERA}loop = 2026-11-25", "3: cameras.door.loop is a date or a time; expected true or false"),
    (f"{CAMERA}rate = 0", "3: cameras.door.rate is 0; expected more than 0"),
    ("[cameras.door]\nsource = ''", "2: cameras.door.source names no source; expected an address, a file, a folder or"),
    (
        "[cameras.door]\nsource = '-'",
        "2: cameras.door.source names no source; expected an address, a file, a folder or",
    ),
    ("[cameras.door]\nsource = 1.5", "2: cameras.door.source is a number; expected a text, { env ="),
    ("[cameras.door]\nsource = []", "2: cameras.door.source is a list; expected a text, { env ="),
    ("[cameras.door]\nsource = 'ftp://a/b'", "2: cameras.door.source has the scheme ftp; expected rtsp, rtsps, http,"),
    ("[cameras.door]\nsource = 'rtsp:/a/b'", "2: cameras.door.source is no address; expected rtsp://, as in"),
    (f"{CAMERA}password = 'a'", "1: cameras.door has a password and no user; give both"),
    (
        "[cameras.regions]\nsource = 'sample'\ntreshold = 1",
        "3: cameras.regions.treshold is no key; nearest is threshold",
    ),
    # names
    ("[cameras.'']\nsource = 'a'", '1: cameras."" is no name; expected 1 to 100 printable characters, without spaces'),
    (
        '[cameras."a\\nb"]\nsource = "a"',
        '1: cameras."a\\nb" is no name; expected 1 to 100 printable characters, without',
    ),
    (
        "[cameras.' a']\nsource = 'a'",
        '1: cameras." a" is no name; expected 1 to 100 printable characters, without spaces',
    ),
    (
        f"{CAMERA}[cameras.Door]\nsource = 'a'",
        "3: cameras.Door has the same topics as 'door', door; give it another name",
    ),
    (
        f"{CAMERA}[cameras.door.regions]\n'a b' = [0, 0, 1, 1]\na-b = [0, 0, 1, 1]",
        "5: cameras.door.regions.a-b has the same topics as 'a b', a_b; give it another name",
    ),
    (
        f'{CAMERA}user = {{ env = "a\\u2028\\nb" }}',
        r"3: cameras.door.user is in the environment variable a\u2028\nb, which is not set; set it before the start",
    ),
    # regions: all kinds of wrong ones are in test_regions
    (f"{CAMERA}regions.gate = [0, 0, 2, 1]", "3: cameras.door.regions.gate[2] is 2; expected 0 to 1"),
    (
        f"{CAMERA}[cameras.door.regions]\ngate = [[0, 0], [1, 1],\n[1, 0], [0, 1]]",
        "4: cameras.door.regions.gate is [[0, 0], [1, 1], [1, 0], [0, 1]]; expected a polygon whose",
    ),
    (
        f"{CAMERA}[cameras.door.regions.gate]\npolygon = [[0, 0], [1, 1],\n[1, 1.2]]",
        "4: cameras.door.regions.gate.polygon[2][1] is 1.2; expected 0 to 1",
    ),
    (f"{CAMERA}regions.gate.bxo = [0, 0, 1, 1]", "3: cameras.door.regions.gate.bxo is no key; nearest is box"),
    (f"{CAMERA}regions.gate = 'left'", "3: cameras.door.regions.gate is a text; expected a table"),
    (f"{CAMERA}regions = [0, 0, 1, 1]", "3: cameras.door.regions is a list; expected a table"),
    # schedules
    (
        f"{CAMERA}schedule = {{ hours = '25:00-26:00' }}",
        "3: cameras.door.schedule.hours is '25:00-26:00'; expected hours from",
    ),
    (
        f"{CAMERA}schedule.hours = '24:00-06:00'",
        "3: cameras.door.schedule.hours is '24:00-06:00'; expected hours from 00:00",
    ),
    (
        f"{CAMERA}schedule.hours = '08:00-08:00'",
        "3: cameras.door.schedule.hours is '08:00-08:00'; expected hours from 00:00",
    ),
    (
        f"{CAMERA}schedule.hours = '08:00-24:01'",
        "3: cameras.door.schedule.hours is '08:00-24:01'; expected hours from 00:00",
    ),
    (f"{CAMERA}schedule.hours = 8", "3: cameras.door.schedule.hours is 8; expected hours from 00:00"),
    (
        f"{CAMERA}schedule.days = 'mon-fry'",
        "3: cameras.door.schedule.days is 'mon-fry'; expected days such as \"mon-fri\" or",
    ),
    (f"{CAMERA}schedule.days = []", "3: cameras.door.schedule.days is []; expected days such as"),
    (f"{CAMERA}schedule.days = ['mon', 5]", "3: cameras.door.schedule.days is ['mon', 5]; expected days such as"),
    (f"{CAMERA}schedule = '08:00-18:00'", "3: cameras.door.schedule is '08:00-18:00'; expected a list"),
    (
        f"{CAMERA}[[cameras.door.schedule]]\nhours='08:00-18:00'\n[[cameras.door.schedule]]\nday='mon'",
        "6: cameras.door.schedule[1].day is no key; nearest is days",
    ),
    # the other tables
    (
        f"{CAMERA}[server]\nhttp = 'localhost'",
        "4: server.http is 'localhost'; expected HOST:PORT such as 127.0.0.1:9160, or",
    ),
    (f"{CAMERA}[server]\nhttp = '[::1]:70000'", "4: server.http is '[::1]:70000'; expected HOST:PORT such as"),
    (
        f"{CAMERA}[server]\ntime_zone = 'Europe/Berln'",
        "4: server.time_zone is 'Europe/Berln'; expected a time zone such as Europe/Berlin; nearest is Europe/Berlin",
    ),
    (
        f"{CAMERA}[server]\ntime_zone = '/etc/passwd'",
        "4: server.time_zone is '/etc/passwd'; expected a time zone such as",
    ),
    (f"{CAMERA}[server]\nnum_threads = 0", "4: server.num_threads is 0; expected 1 or more"),
    (
        f"{CAMERA}[server]\nruntime = 'onxx'",
        "4: server.runtime is 'onxx'; expected 'auto', 'torch', 'compile', 'graphs',",
    ),
    (f"{CAMERA}[server]\nstate_folder = ''", "4: server.state_folder is ''; expected a path"),
    (f"{CAMERA}[mqtt]\nport = 1883", "3: mqtt has no host; expected a value for it"),
    (f"{CAMERA}[mqtt]\nhost = 'a'\nport = 0", "5: mqtt.port is 0; expected 1 or more"),
    (f"{CAMERA}[mqtt]\nhost = 'a'\nbase_topic = 'a/#'", "5: mqtt.base_topic is 'a/#'; expected a topic such as"),
    (f"{CAMERA}[mqtt]\nhost = 'a'\nbase_topic = 'a//b'", "5: mqtt.base_topic is 'a//b'; expected a topic such as"),
    (f"{CAMERA}[mqtt]\nhost = 'a'\npassword = 'b'", "3: mqtt has a password and no user; give both"),
    (f"{CAMERA}[mqtt]\nhost = 'a'\nca_file = 'b'", "3: mqtt has a ca_file and no tls; set tls = true"),
    (f"{CAMERA}[mqtt]\nhost = 'a'\npassword = {{ evn = 'B' }}", "5: mqtt.password is a table; expected { env ="),
    (f"{CAMERA}[webhooks.x]", "3: webhooks.x has no url; expected a value for it"),
    (
        f"{CAMERA}[webhooks.x]\nurl = 'ftp://a'",
        "4: webhooks.x.url is no address; expected http://HOST/PATH or https://",
    ),
    (
        f"{CAMERA}[webhooks.x]\nurl = 'http://a'\nheaders.'a b' = 'c'",
        '5: webhooks.x.headers."a b" is no name of an HTTP',
    ),
    (f"{CAMERA}[webhooks.x]\nurl = 'http://a'\nheaders.a = \"b\\nc\"", "5: webhooks.x.headers.a has a line break"),
    (f"{CAMERA}[webhooks.x]\nurl = 'http://a'\nheaders.a = 'ä'", "5: webhooks.x.headers.a has a line break"),
    (f"{CAMERA}[webhooks.x]\nurl = 'http://a:99999/'", "4: webhooks.x.url is no address"),
    (f"{CAMERA}[webhooks.x]\nurl = 'http://a/b c'", "4: webhooks.x.url is no address"),
    (f"{CAMERA}[webhooks.x]\nurl = 'http://a..b/'", "4: webhooks.x.url is no address"),
    (f"{CAMERA}model = '{'m' * 300}'", "3: cameras.door.model cannot be used: [Errno 36] File name too long"),
    (f"{CAMERA}[mqtt]\nhost = 'h'\nbase_topic = '$SYS'", "5: mqtt.base_topic is '$SYS'; expected a topic"),
    (f"{CAMERA}labels = ['up']\nignored_labels = ['up', 'left']", "1: cameras.door ignores all of its labels"),
    (
        f"{CAMERA}[webhooks.x]\nurl = 'http://a'\ntimeout_second = 1",
        "5: webhooks.x.timeout_second is no key; nearest is timeout_seconds",
    ),
    (
        f"{CAMERA}[clips]\nkeep_days = 0",
        "3: clips has no folder; expected a value for it\n4: clips.keep_days is 0; expected more",
    ),
    (f"{CAMERA}[json]\npath = 3", "4: json.path is 3; expected a path"),
    (f"{CAMERA}[json]\npath = 'a'\nkeep = 1.5", "5: json.keep is 1.5; expected a whole number"),
    # defaults
    (f"defaults = 3\n{CAMERA}", "1: defaults is a number; expected a table"),
    (f"{CAMERA}[defaults]\nthreshold = 3\n[cameras.hall]\nsource='a'", "4: defaults.threshold is 3; expected 0 to 1"),
    (f"{CAMERA}[defaults]\nlables = ['left']", "4: defaults.lables is no key; nearest is labels"),
    (f"{CAMERA}[defaults]\nmodel = 'motoin'", "4: defaults.model cannot be used: no model 'motoin'"),
    (
        f"[defaults.threshold]\nlfet = 0.3\n{CAMERA}",
        "2: defaults.threshold.lfet is for 'lfet', which is no label of motion",
    ),
]


@pytest.mark.parametrize("name", ["9" * 300, "~nobody here/film.mp4"])
def test_names_that_no_file_has_are_no_fault_of_ours(name):
    settings = parse_settings(f'[cameras.door]\nsource = "{name}"\n[json]\npath = "{name}"\n', Path("cameras.toml"))
    assert settings.cameras["door"].source.get_secret_value().endswith(name)
    assert str(settings.json_file.path).endswith(name)


@pytest.mark.parametrize(("text", "expected"), BAD, ids=range(len(BAD)))
def test_each_mistake_has_its_line(text, expected):
    found, expected = problems(text), expected.splitlines()
    assert len(found) == len(expected), found
    for line, words in zip(found, expected, strict=True):
        assert line.startswith(words if words.startswith("cameras.toml") else f"cameras.toml:{words}"), line


def test_all_mistakes_are_told_in_their_order():
    told = problems(
        f"{CAMERA}threshold = 3\nlabels = ['lfet']\nmodel = 'motion'\n\n"
        "[cameras.hall]\nloop = 'no'\nbackground = 'stil'\n\n[mqtt]\nhots = 'x'\n\n[server]\nhtpp = 'off'\n"
    )
    assert [line.split(":")[1] for line in told] == ["3", "4", "7", "8", "9", "11", "12", "15"]


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "latin").write_bytes(b"# a\n# \xe4\n")
    (tmp_path / "zero").write_bytes(b"a = 1\n\0")
    for path, words in [
        (tmp_path, f"{tmp_path} is a folder; expected a file"),
        (tmp_path / "absent", f"no file {tmp_path}/absent"),
        (tmp_path / "latin", f"{tmp_path}/latin is not text in UTF-8 (line 2: "),
        (tmp_path / "zero", f"{tmp_path}/zero is not text: line 2 has a NUL"),
    ]:
        with pytest.raises(SettingsError) as error:
            read_settings(path)
        (line,) = error.value.problems
        assert line.startswith(words)
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "file").write_text(CAMERA.replace("\n", "\r\n"), encoding, newline="")
        assert list(read_settings(tmp_path / "file").cameras) == ["door"]


def test_what_is_not_said_is_as_usual(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    found = parse_settings(CAMERA, Path("cameras.toml"))
    assert found.server == Server(state_folder=Path("/state/actionstream"))
    assert found.server.http == "127.0.0.1:9160"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert Server().state_folder == Path.home() / ".local" / "state" / "actionstream"
    assert (found.mqtt, found.webhooks, found.clips, found.json_file) == (None, {}, None, None)
    assert found.cameras == {"door": Camera(source="sample")}
    assert found.cameras["door"].model == "motion"
    assert camera("model = 'motion'").model == "motion"
    assert camera("threshold = 0.5\nend_threshold = 0.5").end_threshold == 0.5
    assert parse_settings(f"{CAMERA}[server]\nhttp = 'off'", Path("cameras.toml")).server.http is None
    assert Mqtt(host="a").port == 1883
    assert Mqtt(host="a", tls=True).port == 8883
    assert Mqtt(host="a", tls=True, port=1883).port == 1883


def test_defaults_hold_for_cameras_that_do_not_say_otherwise():
    text = (
        "[defaults]\nthreshold = 0.7\nlabels = ['left']\nuser = 'me'\npassword = 'a@b'\n"
        "[cameras.door]\nsource = 'rtsp://door/1'\nthreshold = { left = 0.8 }\n"
        "[cameras.hall]\nsource = 'rtsp://you:c@hall/1'\nlabels = ['up', 'down']\n"
    )
    cameras = parse_settings(text, Path("cameras.toml")).cameras
    assert cameras["door"].threshold == {"left": 0.8}
    assert cameras["hall"].threshold == 0.7
    assert cameras["door"].labels == ("left",)
    assert cameras["hall"].labels == ("up", "down")
    assert cameras["door"].source.get_secret_value() == "rtsp://me:a%40b@door/1"
    assert cameras["hall"].source.get_secret_value() == "rtsp://you:c@hall/1"


def test_schedules_and_regions_in_all_forms():
    once = camera("schedule = { hours = '22:00-06:00', days = 'mon' }")
    listed = camera("schedule = [{ hours = '22:00-06:00', days = ['mon'] }]")
    tables = camera("[[cameras.door.schedule]]\nhours = '22:00-06:00'\ndays = 'MON'")
    assert once == listed == tables
    assert once.schedule == (Period(hours="22:00-06:00", days="mon"),)
    assert once.schedule[0].hours == (22 * 60, 30 * 60)
    assert camera("schedule = {}").schedule == (Period(),)
    assert camera("").schedule == ()
    box = Region(box=(0, 0, 0.5, 1))
    for text in (
        "regions.a = [0, 0, 0.5, 1]",
        "regions.a.box = [0, 0, 0.5, 1]",
        "[cameras.door.regions]\na = [0, 0, 0.5, 1]",
    ):
        assert camera(text).regions == {"a": box}
    polygon = camera("regions = { 'a b' = [[0, 0], [1, 0], [1, 1]] }").regions["a b"]
    assert polygon.polygon == ((0, 0), (1, 0), (1, 1))


def test_relative_paths_count_from_the_file(tmp_path, monkeypatch, checkpoint):
    folder = tmp_path / "house"
    (folder / "run").mkdir(parents=True)
    for copy in ("own.safetensors", "run/best.safetensors"):
        (folder / copy).write_bytes(checkpoint.read_bytes())
    (folder / "7").touch()
    (folder / "password").write_text(f" {SECRET}\n")
    (folder / "cameras.toml").write_text(
        "[server]\nstate_folder = 'state'\n"
        "[cameras.a]\nsource = 'films/a.mp4'\nmodel = 'own.safetensors'\nlabels = ['wave']\n"
        "[cameras.b]\nsource = 'rtsp://cam/b'\nuser = 'me'\npassword = { file = 'password' }\nmodel = 'run'\n"
        "[cameras.c]\nsource = 0\n[cameras.d]\nsource = 'sample'\n[cameras.e]\nsource = '/e.mp4'\n"
        "[cameras.f]\nsource = 7\n"
        "[clips]\nfolder = '../clips'\n[json]\npath = '~/events.jsonl'\n"
    )
    monkeypatch.chdir(tmp_path)
    found = read_settings(Path("house/cameras.toml"))
    cameras = found.cameras
    sources = [camera.source.get_secret_value() for camera in cameras.values()]
    assert sources == [f"{folder}/films/a.mp4", f"rtsp://me:{SECRET}@cam/b", "0", "sample", "/e.mp4", f"{folder}/7"]
    assert cameras["a"].model == str(folder / "own.safetensors")
    assert cameras["b"].model == str(folder / "run")
    assert found.server.state_folder == folder / "state"
    assert found.clips.folder == folder / ".." / "clips"
    assert found.json_file.path == Path.home() / "events.jsonl"


def test_labels_of_all_kinds_of_models(tmp_path, checkpoint):
    assert labels_of("tsm-jester", tmp_path) == (read_labels("jester"), {})
    assert labels_of(str(checkpoint), tmp_path) == (LABELS, {})
    (tmp_path / "two.toml").write_text(f'[[network]]\nmodel = "{checkpoint}"\n[[network]]\nmodel = "{checkpoint}"\n')
    assert labels_of("two.toml", tmp_path) == (LABELS, {})
    assert labels_of(str(PACKAGED / "motion.onnx"), tmp_path)[0] == read_card("motion").labels
    card = replace(random_card(), labels=())
    save(tmp_path / "features.safetensors", random_network(card), card)
    with pytest.raises(ActionstreamError, match=r"features\.safetensors gives features and has no labels; teach"):
        labels_of("features.safetensors", tmp_path)
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    told = problems(f"{CAMERA}model = 'bad.safetensors'", tmp_path / "cameras.toml")
    assert (
        f"cameras.door.model cannot be used: {tmp_path}/bad.safetensors cannot be read as a safetensors file" in told[0]
    )


def test_the_packaged_model_is_read_without_torch(tmp_path):
    (tmp_path / "cameras.toml").write_text(f"{CAMERA}labels = ['left']")
    program = (
        "import sys; from pathlib import Path; from actionstream.serve.reading import read_settings\n"
        "read_settings(Path(sys.argv[1])); assert not {'torch', 'onnxruntime', 'av'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "cameras.toml"], check=True)


SECRETS = {
    "user": f"{CAMERA}user = 'me'\npassword = '{SECRET}'\n",
    "address": f"[cameras.door]\nsource = 'rtsp://me:{SECRET}@cam/x'\n",
    "mqtt": f"{CAMERA}[mqtt]\nhost = 'a'\nuser = 'me'\npassword = '{SECRET}'\n",
    "webhook": f"{CAMERA}[webhooks.x]\nurl = 'https://a/{SECRET}'\nsecret = '{SECRET}'\nheaders.token = '{SECRET}'\n",
    "environment": f"{CAMERA}user = 'me'\npassword = {{ env = 'DOOR' }}\n",
}


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("wrong", ["", "[cameras.hall]\nsource = []\n", "[server]\nhtpp = 1\n", "[x\n"])
def test_secrets_are_in_no_text(name, wrong, monkeypatch, caplog):
    monkeypatch.setenv("DOOR", SECRET)
    caplog.set_level(logging.DEBUG)
    try:
        found = parse_settings(SECRETS[name] + wrong, Path("cameras.toml"))
        texts = [repr(found), str(found), found.model_dump_json()]
        assert not wrong
    except SettingsError as error:
        assert wrong
        texts = ["".join(traceback.format_exception(error))]
    assert not [text for text in [*texts, caplog.text] if SECRET in text]


MISPLACED = [
    f"[cameras]\ndoor = 'rtsp://me:{SECRET}@cam/x'",
    f"[cameras.door]\nsource = ['rtsp://me:{SECRET}@cam/x']",
    f"[cameras.door]\nsource = {{ url = 'rtsp://me:{SECRET}@cam/x' }}",
    f"[cameras.door]\nsource = 'rtsp:/me:{SECRET}@cam/x'",
    f"[cameras.door]\nsource = 'rtsp:\\\\me:{SECRET}@cam/x'",
    f"[cameras.door]\nsource = 'rstp://me:{SECRET}@cam/x'",
    f"{CAMERA}pasword = '{SECRET}'",
    f"{CAMERA}model = {{ password = '{SECRET}' }}",
    f"{CAMERA}labels = [{{ password = '{SECRET}' }}]",
    f"{CAMERA}[webhooks]\nalarm = 'https://a/{SECRET}'",
    f"{CAMERA}[webhooks.x]\nurl = '{SECRET}'",
    f"{CAMERA}[webhooks.x]\nurl = 'http://a'\nheaders.a = \"{SECRET}\\n\"",
    f"{CAMERA}mqtt = '{SECRET}'",
    f"defaults = 'password {SECRET}'\n{CAMERA}",
    f"{CAMERA}password = '{SECRET}\n",
    f"{CAMERA}password = '{SECRET}'\npassword = '{SECRET}'",
]


@pytest.mark.parametrize("text", MISPLACED)
def test_secrets_at_a_wrong_place_are_not_shown(text):
    with pytest.raises(SettingsError) as error:
        parse_settings(text, Path("cameras.toml"))
    assert error.value.problems
    assert SECRET not in "".join(traceback.format_exception(error.value))


def test_an_error_of_pydantic_has_no_secret():
    with pytest.raises(ValidationError) as error:
        Camera(source="sample", pasword=SECRET)
    assert SECRET not in str(error.value)


def test_secrets_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.delenv("DOOR", raising=False)
    (tmp_path / "latin").write_bytes(b"\xe4")
    (tmp_path / "long").write_bytes(b"a" * 100_000)
    for value, words in {
        "{ env = 'DOOR' }": "is in the environment variable DOOR, which is not set; set it before the start",
        "{ file = 'absent' }": f"is in the file {tmp_path}/absent, which cannot be read: No such file or directory",
        "{ file = '.' }": f"is in the file {tmp_path}, which cannot be read: Is a directory",
        "{ file = 'latin' }": f"is in the file {tmp_path}/latin, which is no text in UTF-8",
        "{ file = 'long' }": f"is in the file {tmp_path}/long, which is too long; expected 65,536 bytes at most",
        "{ env = 'A', file = 'b' }": 'is a table; expected { env = "NAME" } or { file = "PATH" }',
        '{ file = "a\\u0000" }': rf"is in the file {tmp_path}/a\x00, which is no path",
        "{ env = 3 }": 'is a table; expected { env = "NAME" } or { file = "PATH" }',
    }.items():
        (line,) = problems(f"{CAMERA}user = 'me'\npassword = {value}", tmp_path / "cameras.toml")
        assert line == f"{tmp_path}/cameras.toml:4: cameras.door.password {words}"


WHOLE = re.sub(r"(?m)^#(?! \S)", "", EXAMPLE_FILE.read_text())
"""The example with all that it has in comments."""


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_file_is_told_in_lines(data):
    """Whatever stands there: no error but SettingsError, and each problem is one line with a place in the file."""
    text = WHOLE
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(text)))
        end = begin + data.draw(st.integers(0, 12))
        put = st.sampled_from(
            ["[", "]", "{", "}", '"', "'", "#", "\n", ".", "=", "nan", "-1", "1e400", "true", "[[a]]", "x"]
        )
        text = text[:begin] + data.draw(put | st.text(max_size=5)) + text[end:]
    try:
        parse_settings(text, Path("cameras.toml"))
    except SettingsError as error:
        count = text.count("\n") + 1
        for line in error.problems:
            place = re.match(r"cameras\.toml:(\d+): ", line)
            assert place or "cameras are not there" in line, line
            assert place is None or 1 <= int(place[1]) <= count
            assert line.isprintable()


# Places: against an oracle that parses each prefix of a text. The begin of a statement is the line after the last
# shorter prefix that parses.

FRAGMENTS = [
    "K = 1",
    "K.a = 1\nK.b = 2",
    "K = { a = 1, b = { c = [1, { d = 2 }] } }",
    'K = [\n  1, # "]"\n  [2, 3],\n\n  "]",\n]',
    'K = """\nx = 1\n[y]\n"""',
    "K = '''\nx = \"\"\"\n'''",
    'K = "a # b \\" ] \\\\"',
    "K = '\\'",
    'K = """a""""',
    'K = """\\\n  "" \\""" a\n"""',
    "# [K]\n\n",
    "[K]",
    "[K.'a b'.\"c.d\"]\ne = 1\n\n'f g'.h = 2",
    "[ K . a ] # x = 1\nb = 1",
    "[[K]]\na = 1\n[[K]]\na = 2\n[K.b]\nc = 3",
    "[[K.x]]\na = [\n1]\n\n[[K.x]]\n[[K.x.y]]\nz = 1\n[[K.x.y]]\nz = 2",
]
NAMES = ["door", '"big hall"', "'a]b'", '"\\u00e4"', '"#"', "1", '"日"']


def paths_in(value, path=()):
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from paths_in(each, (*path, key))


def prefixes(lines):
    """The length and the paths of each prefix that parses."""
    for length in range(len(lines) + 1):
        try:
            yield length, set(paths_in(tomllib.loads("\n".join(lines[:length]))))
        except tomllib.TOMLDecodeError:
            continue


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(FRAGMENTS)), max_size=6, unique_by=lambda each: each[0])
)
def test_the_line_of_each_key(chosen):
    chosen.sort(key=lambda each: each[1].startswith("["))  # keys of the whole file come before its tables
    text = "\n".join(fragment.replace("K", name) for name, fragment in chosen)
    found, expected, begin = Places(text), {}, 1
    for length, paths in prefixes(text.split("\n")):
        for path in paths:
            expected.setdefault(path, begin)
        begin = length + 1
    assert {path: found.line(path) for path in expected} == expected, text


def test_the_line_of_what_is_not_there():
    places = Places("\n[a]\nb = 1\n[c.d]\n")
    assert places.line(("a", "x", "y")) == 2
    assert places.line(("c", "d", "x")) == 4
    assert places.line(("c",)) == 4
    assert places.line(("x",)) is None
    assert Places("[a.b]\nc = 1\n\n[a]").line(("a",)) == 4


def test_slugs():
    names = ["a b", "a_b", "A/b", "Käse", "中文", "+", "#", "", "status", "Labels", "straße", "  x  ", "ﬁre", "😀"]
    given = slugs(names)
    assert [given[name] for name in names] == [
        *("a_b", "a_b_2", "a_b_3", "kase", "u4e2du6587", "u2b", "u23", "empty", "status_1", "labels_1"),
        *("strasse", "x", "fire", "u1f600"),
    ]
    assert slugs(["a", "a_2", "a!", "a"]) == {"a": "a", "a_2": "a_2", "a!": "a_3"}


@given(st.lists(st.text(max_size=200), unique=True, max_size=8))
def test_slugs_are_unique_and_safe_in_topics(names):
    given = slugs(names)
    assert list(given) == names
    assert len(set(given.values())) == len(names)
    assert not RESERVED & set(given.values())
    assert all(re.fullmatch(r"[a-z0-9_]+", each) for each in given.values())
    assert all(len(each) <= MOST_LETTERS + 3 for each in given.values())
    assert slugs(names) == given
    assert all(slug(name) == slug(name) for name in names)


def test_the_schema_is_current():
    assert json.loads(SCHEMA_FILE.read_text()) == json.loads(make_schema()), "write make_schema() into SCHEMA_FILE"


def all_parts():
    return [
        each for each in vars(parts).values() if isinstance(each, type) and issubclass(each, Part) and each is not Part
    ]


def test_every_key_is_described_and_in_the_schema():
    found = json.loads(SCHEMA_FILE.read_text())
    assert len(all_parts()) == 9
    for part in all_parts():
        for name, field in part.model_fields.items():
            assert field.description, (part, name)
    defined = {**found["$defs"], "Settings": found}
    defined["Region"] = defined["Region"]["anyOf"][-1]
    for part in all_parts():
        keys = {field.alias or name for name, field in part.model_fields.items()}
        assert set(defined[part.__name__]["properties"]) - {"defaults"} == keys
    assert set(found["$defs"]["Defaults"]["properties"]) == set(Camera.model_fields)
    assert "null" not in SCHEMA_FILE.read_text()


def test_the_example_is_right_and_complete(monkeypatch):
    text = EXAMPLE_FILE.read_text()
    assert list(parse_settings(text, EXAMPLE_FILE).cameras) == ["sample"]
    for name in re.findall(r'env = "(\w+)"', WHOLE):
        monkeypatch.setenv(name, "https://example.com")
    found = parse_settings(WHOLE, EXAMPLE_FILE)
    assert list(found.cameras) == ["sample", "door"]
    assert len(found.cameras["door"].regions) == 2
    assert len(found.cameras["door"].schedule) == 2
    for part in all_parts():
        if part not in (Settings, Region):
            missing = [name for name in part.model_fields if not re.search(rf"\b{name}( =|\])", WHOLE)]
            assert missing == [], part


def test_the_schema_and_the_example_are_printed(run):
    assert run("serve", "--example") == (0, EXAMPLE_FILE.read_text(), "")
    assert run("serve", "--schema") == (0, SCHEMA_FILE.read_text(), "")


def test_a_check_says_what_is_wrong(run, tmp_path):
    file = tmp_path / "cameras.toml"
    file.write_text(f"{CAMERA}threshold = 3\n[mqtt]\n")
    told = [
        f"actionstream: {file}:3: cameras.door.threshold is 3; expected 0 to 1\n",
        f"actionstream: {file}:4: mqtt has no host; expected a value for it\n",
    ]
    assert run("serve", file, "--check") == (2, "", "".join(told))
    assert run("serve") == (
        2,
        "",
        "actionstream: serve has no FILE; `actionstream serve --example > cameras.toml` makes one\n",
    )


def test_a_check_opens_each_source_once(run, tmp_path):
    write_video(tmp_path / "a.mkv", images(3, 0))
    file = tmp_path / "cameras.toml"
    file.write_text(
        "[cameras.film]\nsource = 'a.mkv'\nignored_labels = ['left']\n"
        "regions = { a = [0, 0, 1, 0.5], b = [0, 0.5, 1, 1] }\n"
        "[cameras.hall]\nsource = 'sample'\nlabels = ['up', 'down']\n"
    )
    code, out, err = run("serve", file, "--check")
    assert (code, err) == (0, "")
    rows = [re.split(r"\s{2,}|\s+$", line.strip()) for line in out.splitlines() if line.strip()]
    assert rows[0] == ["camera", "source", "size", "frames/s", "model", "labels", "regions"]
    assert rows[2:] == [
        ["film", f"{tmp_path}/a.mkv", "64 x 48", "30", "motion", "9", "a, b"],
        ["hall", "sample", "288 x 288", "30", "motion", "2", "whole picture"],
    ]
    file.write_text(file.read_text() + f"[cameras.door]\nsource = 'http://me:{SECRET}@127.0.0.1:9/x'\n")
    code, out, err = run("serve", file, "--check")
    assert code == 2
    assert re.search(r"door +http://127.0.0.1:9/x +not opened", out)
    assert "film" in out
    assert err.startswith("actionstream: door: http://127.0.0.1:9/x cannot be opened: ")
    assert (err.count("\n"), SECRET in out + err) == (1, False)


def test_a_check_looks_at_the_files_that_are_used(run, tmp_path):
    file = tmp_path / "cameras.toml"
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("no certificate")
    text = (
        "[cameras.hall]\nsource = 'sample'\n[server]\nstate_folder = 'file/state'\n[json]\npath = '{json}'\n"
        "[clips]\nfolder = 'file'\n[mqtt]\nhost = 'h'\ntls = true\nca_file = '{ca}'\n"
    )
    for json_path, ca_file, problem in (
        ("folder", "file", "NO_CERT"),
        ("missing/a.jsonl", "missing", "No such file"),
        (f"{'x' * 300}/a", "file", "NO_CERT"),
    ):
        file.write_text(text.format(json=json_path, ca=ca_file))
        code, _, err = run("serve", file, "--check")
        told = err.splitlines()
        assert (code, len(told)) == (2, 4)
        assert f"mqtt.ca_file is {tmp_path / ca_file}, which cannot be used" in told[0]
        assert problem in told[0]
        assert f"the state folder is {tmp_path / 'file/state'}, which cannot be written" in told[1]
        assert f"clips.folder is {tmp_path / 'file'}, which cannot be written" in told[2]
        assert f"json.path is {tmp_path / json_path}, which cannot be written" in told[3]
    file.write_text("[cameras.hall]\nsource = 'sample'\n[json]\npath = 'a.jsonl'\n[clips]\nfolder = 'a/b'\n")
    assert run("serve", file, "--check", "--state", tmp_path / "c" / "d")[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cameras.toml", "file", "folder"]


def test_settings_do_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        Camera(source="sample").loop = True
