"""The settings of a detector."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated

from pydantic import Field, Strict

from actionstream.choices import Metric
from actionstream.models.backbones import BACKBONES
from actionstream.models.catalogue import create_empty
from actionstream.models.common.checked import Plain, Share, ShortText, checked
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.training.optimisation import Optimisation

Count = Annotated[int, Field(ge=1, le=2**40)]
HOW = Optimisation(learning_rate=1e-3, warmup=0.1, weight_decay=0.02, max_norm=1.0)


@checked
class DetectorSettings:
    """How a detector is trained.

    backbones              checkpoints that look at the frames, see `actionstream.models.backbones`
    network, arguments     the memory: a streaming network of features in the catalogue, and its arguments besides the
                           numbers of features and classes
    steps                  of the training of a memory
    num_snippets           of a piece of a stream, through which the gradient flows (T)
    batch_size             streams at once (B)
    speed                  see `Streams`
    soft_seconds           see `LearntVideo.targets`
    balance                snippets of a label that is rare weigh ((1 - p) / p) ** balance, where p is their share
    optimisation           see `Optimisation`
    metric                 by which thresholds and durations are chosen, see `choose_decisions`
    false_alarms_per_hour  at most, for the metric "false-alarms"
    num_folds              of the cross-validation that makes held-out scores
    seed                   of all randomness
    """

    backbones: Annotated[tuple[ShortText, ...], Strict(False), Field(min_length=1, max_length=16)] = BACKBONES
    network: ShortText = "moving_averages"
    arguments: Plain = field(default_factory=dict)
    steps: Count = 600
    num_snippets: Annotated[int, Field(ge=2, le=4096)] = 64
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 16
    speed: Annotated[float, Field(ge=0, le=1)] = 0.2
    soft_seconds: Annotated[float, Field(ge=0, le=60)] = 0.5
    balance: Share = 0.5
    optimisation: Optimisation = HOW
    metric: Metric = "f1"
    false_alarms_per_hour: Annotated[float, Field(gt=0, le=1e6)] | None = None
    num_folds: Annotated[int, Field(ge=2, le=100)] = 4
    seed: Annotated[int, Field(ge=0)] = 0

    def __post_init__(self) -> None:
        if told := {"in_channels", "num_classes"} & set(self.arguments):
            raise ActionstreamError(f"arguments has {min(told)}, which follows from the data; leave it out")
        # an error of the whole detector would be longer, and hide what is wrong
        if not create_empty(self.network, **self.arguments).streams:
            raise ActionstreamError(f"{self.network} needs whole clips; expected a network that streams, such as gru")
        if (self.metric == "false-alarms") != (self.false_alarms_per_hour is not None):
            raise ActionstreamError(
                f"metric is {self.metric} and false_alarms_per_hour {self.false_alarms_per_hour}; expected a number "
                "for the metric false-alarms, and none for others"
            )
