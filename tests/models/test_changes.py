"""Settings by NAME=VALUE: each type of value, and what is refused in which words."""

import re
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from typing import get_type_hints

import pytest

from actionstream.models.preprocessing import Preprocessing
from actionstream.models.training.augmentation import Augmentation
from actionstream.models.training.changes import _kinds, changed
from actionstream.models.training.data import Data
from actionstream.models.training.optimisation import Optimisation
from actionstream.models.training.sampling import FrameSampling
from actionstream.models.training.settings import TrainingSettings


@pytest.fixture
def settings(tmp_path):
    return TrainingSettings(
        data=Data(root=str(tmp_path)),
        network="tsm_resnet18",
        labels=("a", "b"),
        preprocessing=Preprocessing(height=32, width=32, short_side=40),
        sampled=FrameSampling(),
        augmentation=Augmentation(),
        optimisation=Optimisation(),
    )


@pytest.mark.parametrize("name", ["augmentation.flip", "class_weights", "optimisation.sync_norms"])
@pytest.mark.parametrize(
    "word", ["true", "false", "True", "False", "TRUE", "FALSE", "yes", "no", "on", "OFF", "1", "0"]
)
def test_what_is_on_and_what_is_off(settings, name, word):
    section, _, field = name.rpartition(".")
    found = changed(settings, [f"{name}={word}"])
    value = getattr(getattr(found, section) if section else found, field)
    assert value is (word.lower() in ("true", "yes", "on", "1"))


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("epochs=3", 3),
        ("seed=+0", 0),
        ("optimisation.learning_rate=1e-3", 1e-3),
        ("optimisation.weight_decay=0", 0.0),
        ("optimisation.milestones=[0.5, 0.75]", (0.5, 0.75)),
        ("optimisation.milestones=0.5,0.75", (0.5, 0.75)),
        ("optimisation.frozen=[]", ()),
        ('optimisation.frozen=["layer1", "layer2.0"]', ("layer1", "layer2.0")),
        ("optimisation.frozen=layer1", ("layer1",)),
        ("optimisation.precision=bfloat16", "bfloat16"),
        ("preprocessing.short_side=none", None),
        ("preprocessing.short_side=null", None),
        ("preprocessing.short_side=48", 48),
        ("start=motion", "motion"),
        ('start="motion"', "motion"),
        ("teacher=None", None),
        ("labels=b,a", ("b", "a")),
        ('labels=["1", "a, b"]', ("1", "a, b")),
        ('augmentation.opposites={"a": "b", "b": "a"}', {"a": "b", "b": "a"}),
        ("data.split=2", 2),
        ("arguments.dropout=0.25", 0.25),
        ("arguments.shift=none", "none"),
        ("arguments.non_local=none", None),
        ("arguments.non_local=gaussian", "gaussian"),
        (" augmentation.colours = 0.5 ", 0.5),
    ],
)
def test_values(settings, change, value):
    found = changed(settings, [change])
    for name in change.partition("=")[0].strip().split("."):
        found = found[name] if isinstance(found, dict) else getattr(found, name)
    assert found == value
    assert type(found) is type(value)


def test_several_together(settings):
    """The second would not do without the first, nor the other way round."""
    found = changed(settings, ["preprocessing.short_side=300", "preprocessing.height=224", "preprocessing.width=224"])
    assert (found.preprocessing.height, found.preprocessing.short_side) == (224, 300)
    found = changed(
        settings, ['arguments={"width": 0.5, "shift": "uni"}', "arguments.dropout=0", "epochs=2", "epochs=4"]
    )
    assert found.arguments == {"width": 0.5, "shift": "uni", "dropout": 0.0}
    assert found.epochs == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("augmentation.flip=maybe", "'maybe' is no value of augmentation.flip; expected true or false"),
        ("augmentation.flip=2", "expected true or false"),
        ("augmentation.flip=", "augmentation.flip is given no value"),
        ("start=", "start is given no value"),
        ("epochs", "expected NAME=VALUE; the names are data, network"),
        ("epochs=2.5", "'2.5' is no value of epochs; expected a whole number"),
        ("epochs=nan", "'nan' is no value of epochs; expected a whole number"),
        ("epochs=true", "'true' is no value of epochs; expected a whole number"),
        ("epochs=0", "epochs is 0; expected 1 or more"),
        ("batch_size=-8", "batch_size is -8"),
        ("seed=-1", "seed is -1; expected 0 or more"),
        ("sampled.num_frames=1e1", "'1e1' is no value of sampled.num_frames; expected a whole number"),
        (
            "optimisation.learning_rate=fast",
            "'fast' is no value of optimisation.learning_rate; expected a finite number",
        ),
        ("optimisation.learning_rate=nan", "expected a finite number"),
        ("optimisation.max_norm=inf", "expected a finite number"),
        ("optimisation.max_norm=-Infinity", "expected a finite number"),
        ("optimisation.learning_rate=true", "expected a finite number"),
        ("optimisation.learning_rate=-1", "learning_rate is -1.0; expected more than 0"),
        ("optimisation.milestones=0.4,much", "'much' is no value of optimisation.milestones; expected a finite number"),
        ("optimisation.milestones=[0.4", "'[0.4' is no value of optimisation.milestones; expected a list, [a, b]"),
        ("optimisation.milestones=[0.4, true]", "'true' is no value of optimisation.milestones"),
        ("optimisation.precision=fp16", "no precision 'fp16'; there are float32, bfloat16, float16"),
        ("data.format=tar", "no format 'tar'; there are folders"),
        ("augmentation.opposites=left", "expected names and values"),
        ("preprocessing.short_side=small", "'small' is no value of preprocessing.short_side; expected a whole number"),
        ("preprocessing.std=0", "std.0 is 0.0; expected 0.000001 or more"),
        ("optimization.mixup=1", "there is no such setting; nearest is optimisation.mixup"),
        ("mixup=1", "there is no such setting; nearest is optimisation.mixup"),
        ("sampled.speeds=2", "nearest is sampled.speed, and the names are num_frames, sampling"),
        ("epoch=2", "nearest is epochs"),
        ("arguments.widht=0.5", "nearest is arguments.width"),
        ("arguments.width=wide", "'wide' is no value of arguments.width; expected a finite number"),
        ("arguments.shift=both", "no shift 'both'; there are none, uni, bi"),
        ("optimisation=fast", "has parts, which are set one by one"),
        ('sampled={"num_frames": 4}', "has parts, which are set one by one"),
        ("optimisation.num_steps=5", "a run computes it from epochs"),
        ("arguments.num_classes=5", "a run computes it from labels"),
        ("labels=a,a", "labels are a, a; expected no two the same"),
        ("labels=[]", "labels is (); expected at least 1 item"),
        ("=2", "there is no such setting"),
    ],
)
def test_what_is_refused(settings, change, message):
    with pytest.raises(ValueError, match=re.escape(message)) as told:
        changed(settings, [change])
    assert str(told.value).startswith(f"--set {change}: ")


@pytest.mark.parametrize("text", ["", "?", "nan", "-inf", "True", "-1", "2.5", "[", "{}", "[{}]", "none", "a=b"])
def test_every_setting_takes_a_value_or_refuses_it(settings, text):
    """Whatever is given to whichever: a value of its annotation, or a ValueError."""
    for name in _kinds(settings):
        with suppress(ValueError):
            found = changed(settings, [f"{name}={text}"])
            section, _, field = name.rpartition(".")
            holder = getattr(found, section) if section else found
            if is_dataclass(holder) and (kind := get_type_hints(type(holder))[field]) in (bool, int, float, str):
                assert type(getattr(holder, field)) is kind


def test_a_network_inside_of_another_has_arguments_too(settings):
    found = changed(replace(settings, network="tsn"), ["arguments.width=0.5", "arguments.consensus=maximum"])
    assert found.arguments == {"width": 0.5, "consensus": "maximum"}


def test_all_that_can_be_set_has_a_type_that_is_known(settings):
    names = _kinds(settings)
    for section in ("data", "preprocessing", "sampled", "augmentation", "optimisation"):
        assert {f"{section}.{field.name}" for field in fields(getattr(settings, section))} <= names.keys()
