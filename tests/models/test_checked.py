"""What a file says is checked field by field: one line names the file, the field and what is expected."""

import copy
import json
import math
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, asdict, replace
from typing import Literal

import numpy as np
import pytest
import torch
from helpers import random_card
from safetensors.torch import save_file

from actionstream.engine.fusion_file import FusionFile, read_networks
from actionstream.evaluation.files import read_object
from actionstream.models import read_card
from actionstream.models.card import Card
from actionstream.models.common.checked import MOST_CHARACTERS, checked, parse_json
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.export.exported import Exported
from actionstream.models.labels import read_labels
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.training.annotations import jester
from actionstream.models.training.augmentation import Augmentation
from actionstream.models.training.changes import changed
from actionstream.models.training.data import Data
from actionstream.models.training.features import FeatureSettings
from actionstream.models.training.optimisation import Optimisation
from actionstream.models.training.reading import read_frames
from actionstream.models.training.run import Run
from actionstream.models.training.sampling import FrameSampling
from actionstream.models.training.settings import TrainingSettings
from actionstream.models.training.state import read_state, save_state
from actionstream.models.video import SourceError
from actionstream.models.weights.checkpoint import KEY

BRACKETS = "[" * 100_000
SETTINGS = TrainingSettings(
    data=Data(root="."),
    network="tsm_resnet18",
    labels=("a", "b"),
    preprocessing=Preprocessing(height=32, width=32, short_side=40),
    sampled=FrameSampling(),
    augmentation=Augmentation(opposites={"a": "b"}),
    optimisation=Optimisation(frozen=("layer1",)),
)
EXPORTED = Exported(
    card=random_card(), takes="pixels", chunk=1, state=((8, 4, 4), (2, 2, 2)), streams=True, check=((0.5, 0.5),)
)
FEATURES = FeatureSettings(
    network="i3d",
    arguments={},
    weights="12ab",
    preprocessing=Preprocessing(height=8, width=8),
    num_segments=4,
    segment_frames=8,
    shape=(4, 16, 1, 1),
)
VALID = {
    "settings": (TrainingSettings, json.dumps(asdict(SETTINGS))),
    "card": (Card, random_card().to_json()),
    "export": (Exported, EXPORTED.to_json()),
    "features": (FeatureSettings, FEATURES.to_json()),
    "fusion": (FusionFile, '{"network": [{"model": "a.safetensors", "weight": 1.5}]}'),
}
FREE = {"arguments", "training", "accuracy", "opposites"}
"""Objects with fields of any name."""
OPTIONAL = {"short_side", "start", "teacher", "validation", "labels"}


def leaves(value, place=()):
    """The places of all plain values that have a type of their own."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for name, inner in pairs:
            if name not in FREE:
                yield from leaves(inner, (*place, name))
    else:
        yield place, value


def with_changed(text, place, value):
    contents = json.loads(text)
    inside = contents
    for name in place[:-1]:
        inside = inside[name]
    inside[place[-1]] = value
    return json.dumps(contents)


@pytest.mark.parametrize("name", VALID)
def test_what_was_written_comes_back(name):
    kind, text = VALID[name]
    value = parse_json(text, kind, "the file")
    assert json.loads(json.dumps(asdict(value))) == json.loads(text)


@pytest.mark.parametrize("name", VALID)
@pytest.mark.parametrize("wrong", [None, [], ["x"], {}, "x\ny" * 3000, True, math.nan, math.inf, 1e30, 10**30, -1, 0.5])
def test_each_field_refuses_what_is_none_of_its_values(name, wrong):
    """Whatever is in whichever field: a value of its kind, or one line that names it."""
    kind, text = VALID[name]
    refused = 0
    for place, value in leaves(json.loads(text)):
        changed_text = with_changed(text, place, wrong)
        try:
            parse_json(changed_text, kind, "FILE")
        except ActionstreamError as error:
            refused += 1
            message = str(error)
            assert message.startswith("FILE: ")
            assert len(message.splitlines()) == 1
            assert len(message) < 500
            assert str(place[-1] if isinstance(place[-1], str) else place[-2]) in message
        else:
            number = isinstance(wrong, int | float) and not isinstance(wrong, bool)
            if isinstance(value, bool | str) or not number:
                assert type(wrong) is type(value) or (wrong is None and (value is None or place[-1] in OPTIONAL)), place
            else:
                assert -1 <= wrong < 1 or place[0] == "check", place  # any float32 is a score
    assert refused


@pytest.mark.parametrize("name", VALID)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no whole JSON, it may have been cut short"),
        ('{"a": ', "no whole JSON, it may have been cut short"),
        ("{'a': 1}", "no whole JSON: "),
        (BRACKETS, "no whole JSON: recursion limit exceeded"),
        ('{"a":' * 100_000, "no whole JSON: recursion limit exceeded"),
        ('{"labels": 1' + "0" * 5000 + "}", "no whole JSON: number out of range"),
        ("null", "the value is None; expected an object"),
        ("[]", "the value is []; expected an object"),
        ("{}", "there is no "),
        ('"' + "x" * 9999 + '"', "; expected an object"),
    ],
)
def test_texts_that_are_nothing_of_it(name, text, message):
    with pytest.raises(ActionstreamError) as told:
        parse_json(text, VALID[name][0], "FILE")
    assert str(told.value).startswith("FILE: ")
    assert message in str(told.value)
    assert len(str(told.value)) < 300


def test_a_text_that_is_too_long():
    with pytest.raises(ActionstreamError, match=r"FILE has .* characters of JSON; expected 67,108,864 at most"):
        parse_json(" " * (MOST_CHARACTERS + 1), Card, "FILE")


def test_what_has_no_type_is_bounded():
    deep = json.loads("[" * 40 + "]" * 40)
    for wrong in ({"a": deep}, {"a": [0] * 1_000_001}):
        with pytest.raises(ActionstreamError, match="arguments: it has more than 32 levels or 1,000,000 values"):
            replace(random_card(), arguments=wrong)
    assert replace(random_card(), training={"a": {"b": [1, {"c": None}]}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["a"] * 100_001}, "labels is ['a', 'a', 'a', 'a', 'a', 'a', ...]; expected at most 100000 items"),
        ({"labels": ["a" * 5000]}, "expected at most 4096 characters"),
        ({"num_frame": 8}, "there is no field 'num_frame'; nearest is num_frames"),
        ({"num_frames": 5000}, "num_frames is 5000; expected 4096 at most"),
        ({"activation": "relu"}, "activation is 'relu'; expected 'softmax' or 'sigmoid'"),
        ({"frame_seconds": 99.0}, "frame_seconds is 99.0; expected interval_seconds, "),
    ],
)
def test_fields_of_a_card(change, message):
    text = json.dumps({**json.loads(random_card().to_json()), **change})
    with pytest.raises(ActionstreamError) as told:
        Card.from_json(text, "card.json")
    assert str(told.value).startswith(f"card.json: {message}") or message in str(told.value)


def test_fields_inside_of_others_are_named_with_their_place():
    contents = json.loads(random_card().to_json())
    contents["preprocessing"] |= {"mean": [1.0, "x", 2.0]}
    with pytest.raises(ActionstreamError, match=r"^FILE: preprocessing.mean.1 is 'x'; expected a number$"):
        Card.from_json(json.dumps(contents), "FILE")
    contents["preprocessing"] = {"heigth": 8, "width": 8}
    with pytest.raises(ActionstreamError, match=r"^FILE: there is no field 'preprocessing.heigth'; nearest is height$"):
        Card.from_json(json.dumps(contents), "FILE")
    contents["preprocessing"] = {"width": 8}
    with pytest.raises(ActionstreamError, match=r"^FILE: there is no height in preprocessing; expected a value"):
        Card.from_json(json.dumps(contents), "FILE")
    contents["preprocessing"] = {"height": 8, "width": 8, "short_side": 4}
    with pytest.raises(ActionstreamError, match=r"^FILE: preprocessing: short_side 4 is less than the 8 x 8 to cut"):
        Card.from_json(json.dumps(contents), "FILE")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"height": 4096, "width": 4096, "modality": "flow", "stack": 5, "mean": (0.0,), "std": (1.0,)}, "67,108,864"),
        ({"height": 8, "width": 8, "stack": 257}, "stack is 257; expected 256 at most for rgb"),
        ({"height": 8, "width": 8, "modality": "flow", "stack": 257}, "stack is 257; expected 256 at most for flow"),
        ({"height": 8.0, "width": 8}, "height is 8.0; expected a whole number"),
        ({"height": True, "width": 8}, "height is True; expected a whole number"),
        ({"width": 8}, "there is no height; expected a value for it"),
        ({"height": 8, "width": 8, "modality": "rbg"}, "modality is 'rbg'; expected 'rgb', 'rgb-difference', 'flow'"),
    ],
)
def test_constructing_tells_the_same(wanted, message):
    with pytest.raises(ActionstreamError) as told:
        Preprocessing(**wanted)
    assert message in str(told.value)
    assert len(str(told.value).splitlines()) == 1


def test_a_state_that_no_machine_has_room_for():
    with pytest.raises(ActionstreamError, match="the state of a stream has 2,199,023,255,552 values"):
        replace(EXPORTED, state=((2**20, 2**20), (2**20, 2**20)))


@checked
class Example:
    kind: Literal["a", "b"] = "a"
    share: float = 1


def test_a_checked_dataclass_is_a_frozen_dataclass():
    example = Example(share=2)
    assert type(example.share) is float
    for again in (copy.copy(example), copy.deepcopy(example), pickle.loads(pickle.dumps(example)), replace(example)):
        assert again == example
    assert (asdict(example), hash(example)) == ({"kind": "a", "share": 2.0}, hash(Example(share=2.0)))
    assert replace(example, kind="b") != example
    with pytest.raises(FrozenInstanceError):
        example.kind = "b"
    with pytest.raises(ActionstreamError, match="kind is 'c'; expected 'a' or 'b'"):
        replace(example, kind="c")
    with pytest.raises(ActionstreamError, match="share is nan; expected a finite number"):
        Example(share=math.nan)
    with pytest.raises(ActionstreamError, match="there is no field 'chair'; nearest is share"):
        Example(chair=1)


def test_brackets_without_end_in_any_file(tmp_path):
    """One line, and no RecursionError, from each reader of JSON and TOML."""
    texts = {name: tmp_path / name for name in ("settings.json", "features.json", "two.toml", "labels.json")}
    for name, file in texts.items():
        file.write_text(f"network = {BRACKETS}" if name.endswith("toml") else BRACKETS)
    checkpoint = tmp_path / "deep.safetensors"
    save_file({"a": torch.zeros(1)}, checkpoint, metadata={KEY: BRACKETS})
    readers = [
        (lambda: Run.open(tmp_path), "the settings of a run .*settings.json: no whole JSON"),
        (lambda: FeatureSettings.read(tmp_path), "the settings of features .*features.json: no whole JSON"),
        (lambda: read_networks(texts["two.toml"]), "two.toml does not list networks"),
        (lambda: read_labels(texts["labels.json"]), "labels.json"),
        (lambda: jester(texts["labels.json"], tmp_path), "labels.json"),
        (lambda: read_object(texts["labels.json"], key="results"), "labels.json: no whole JSON"),
        (lambda: read_card(checkpoint), "the card in .*deep.safetensors: no whole JSON"),
        (lambda: Exported.from_json(BRACKETS, tmp_path), "export it anew"),
        (lambda: changed(SETTINGS, [f"arguments={BRACKETS}"]), "is no value of arguments"),
        (lambda: changed(SETTINGS, [f"optimisation.milestones={BRACKETS}"]), "is no value of optimisation.milestones"),
    ]
    for read, message in readers:
        with pytest.raises(ActionstreamError, match=message):
            read()


@pytest.fixture
def state(tmp_path):
    """The file of a state that can be gone on with."""
    parts = {"network": {"w": torch.zeros(9)}, "optimiser": {"state": {}}, "scaler": {}}
    contents = {"step": 3, "loss": 0.5, **parts, "rows": [{"loss": 0.5}], "broken": [], "untested": []}
    save_state(tmp_path / "last.pt", contents)
    return tmp_path / "last.pt"


def test_a_state_comes_back(state, tmp_path):
    assert read_state(state)["rows"] == [{"loss": 0.5}]
    assert read_state(tmp_path / "absent.pt") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": "3"}, "step is '3'; expected a whole number"),
        ({"step": -1}, "step is -1; expected 0 or more"),
        ({"rows": [{"loss": None}]}, "rows.0.loss is None; expected a number"),
        ({"network": [1]}, "network is"),
        ({"stop": 1}, "there is no field 'stop'; nearest is step"),
    ],
)
def test_a_state_that_says_something_else(state, change, message):
    torch.save({**torch.load(state, weights_only=True), **change}, state)
    with pytest.raises(ActionstreamError, match=r"last.pt is damaged, and no training can go on from it: ") as told:
        read_state(state)
    assert message in str(told.value)


def test_a_state_that_is_damaged_anywhere(state):
    """Cut short, overwritten, or another file: a state, or one line."""
    whole = state.read_bytes()
    random = np.random.default_rng(0)
    refused = []
    for number in range(200):
        data = bytearray(whole)
        if number % 2:
            data = data[: random.integers(len(data))]
        else:
            for place in random.integers(len(data), size=20):
                data[place] = random.integers(256)
        state.write_bytes(data)
        try:
            read_state(state)
        except ActionstreamError as error:
            refused.append(str(error))
    assert len(refused) > 150
    assert not any("\n" in message for message in refused)
    torch.save([1], state)
    with pytest.raises(ActionstreamError, match=r"last.pt is damaged"):
        read_state(state)


def test_a_state_with_one_wrong_byte(state):
    """A thousand of them: torch looks at few of the bytes, and would go on from other weights."""
    whole = state.read_bytes()
    random = np.random.default_rng(1)
    for place in [*random.integers(len(whole), size=1000), *range(len(whole) - 60, len(whole))]:
        data = bytearray(whole)
        data[place] ^= 1 << random.integers(8)
        state.write_bytes(data)
        with pytest.raises(ActionstreamError, match=r"last.pt is damaged"):
            read_state(state)


def test_a_state_of_an_old_version(state):
    """It has no checksum."""
    torch.save(torch.load(state, weights_only=True), state)
    assert read_state(state)["step"] == 3


def test_features_with_a_damaged_header(tmp_path):
    file = tmp_path / "features.npy"
    np.save(file, np.ones((2, 3, 4, 4), np.float16))
    whole = file.read_bytes()
    random = np.random.default_rng(0)
    np.savez(tmp_path / "many.npz", a=np.ones((2, 3, 4, 4)))
    damaged = [whole[:-9], b"", (tmp_path / "many.npz").read_bytes(), b"\x93NUMPY\x01\x00\x00\x20" + b"(" * 0x2000]
    for _ in range(300):
        data = bytearray(whole)
        for place in random.integers(8, 80, size=3):
            data[place] = random.choice(list(b"()[]{}',:0123456789-f<>|OSU \\"))
        damaged.append(bytes(data))
    refused = []
    for data in damaged:
        file.write_bytes(data)
        try:
            read_frames(file, [0])
        except SourceError as error:
            refused.append(str(error))
    assert len(refused) > 250
    assert not any("\n" in message for message in refused)


def test_a_help_text_imports_no_pydantic():
    program = (
        "import sys; from actionstream.cli import main; sys.argv = ['actionstream', '--help']\n"
        "try: main.main()\n"
        "except SystemExit: assert not {'pydantic', 'numpy', 'torch'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
