"""The settings of a training run, as settings.json has them."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field

from actionstream.models.common.checked import LabelNames, Plain, Seed, ShortText, checked, parse_json
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.training.augmentation import Augmentation
from actionstream.models.training.data import Data
from actionstream.models.training.optimisation import Optimisation
from actionstream.models.training.sampling import FrameSampling


@checked
class TrainingSettings:
    """The settings of a training run.

    data           where the clips are
    network        of the catalogue, and the arguments it is built with
    start          a checkpoint, by name or path, whose weights are copied where they fit; None: random weights
    teacher        a checkpoint for knowledge distillation, see Optimisation.distillation
    labels         of the scores, in their order
    batch_size     clips of a batch, of all processes together
    epochs         passes over all clips
    class_weights  weight a clip by the inverse frequency of its first label
    """

    data: Data
    network: ShortText
    arguments: Plain = field(default_factory=dict)
    start: ShortText | None = None
    teacher: ShortText | None = None
    labels: Annotated[LabelNames, Field(min_length=1)]
    preprocessing: Preprocessing
    sampled: FrameSampling
    augmentation: Augmentation
    optimisation: Optimisation
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 8
    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 30
    class_weights: bool = False
    seed: Seed = 0

    def __post_init__(self) -> None:
        if len(set(self.labels)) < len(self.labels):
            raise ActionstreamError(f"labels are {', '.join(self.labels)}; expected no two the same")

    @classmethod
    def from_json(cls, text: str, source: object) -> TrainingSettings:
        """Parse a settings.json; ActionstreamError, which begins with `source`, for anything else."""
        return parse_json(text, cls, source)

    @property
    def activation(self) -> Literal["softmax", "sigmoid"]:
        return "sigmoid" if self.data.format == "charades" else "softmax"
