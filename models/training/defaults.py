"""What a run takes where its user says nothing: from the clips, and from the checkpoint that it starts from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors import safe_open

from actionstream.models.card import Card
from actionstream.models.catalogue import NETWORKS, Entry, create_empty, find_entry
from actionstream.models.common.choices import FrameModality, Shift
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.locate import CHECKPOINTS, locate
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.published import PUBLISHED
from actionstream.models.streaming import Streaming
from actionstream.models.training.augmentation import Augmentation, find_opposites
from actionstream.models.training.data import Data
from actionstream.models.training.datasets import Clip
from actionstream.models.training.features import FeatureSettings
from actionstream.models.training.optimisation import Optimisation
from actionstream.models.training.reading import seconds_of
from actionstream.models.training.sampling import FrameSampling
from actionstream.models.training.settings import TrainingSettings
from actionstream.models.video import SourceError
from actionstream.models.weights.checkpoint import read_card
from actionstream.models.weights.live import ARGUMENTS, card_of_clips, stacked

NETWORK, START, NO_START = "tsm_efficientnet_lite0", "imagenet", "none"
MOST_MEASURED = 200
"""Clips whose durations are looked up."""
SHORTEST_SECONDS, MOST_SNIPPETS, MOST_OF_START = 1 / 15, 8, 32
"""The least interval between snippets, and the most of them: more where the start has learnt movements at its own."""
FEW, MANY = 200, 2000
"""Clips: below the one a network that is started overfits, above the other it learns as from random weights."""
BATCH_SIZE, NUM_STEPS = 8, 100
FEW_SIZE = 128
"""Height and width of frames with few clips, a third of the multiply-adds at 224: a CPU trains in minutes."""
NUM_FROZEN = 6
"""Blocks of a MobileNetV2 or EfficientNet-Lite0 that stay frozen with few clips."""
IN_CHANNELS: dict[FrameModality, int] = {"rgb": 3, "rgb-difference": 15, "flow": 10, "warped-flow": 10}
"""Channels of a snippet (TSN, arXiv:1608.00859), for networks without a number of channels of their own."""


@dataclass(frozen=True)
class Beginning:
    """A network, and what it starts from.

    arguments  of the network that it has from the checkpoint
    start      None: random weights
    card       of the checkpoint, for whole clips; None for random weights, and for published weights
    live       arguments of a checkpoint that was trained to run frame by frame
    remark     what the user did not ask for; "" where there is nothing
    """

    network: str
    start: str | None
    arguments: dict[str, Any] = field(default_factory=dict)
    card: Card | None = None
    live: dict[str, Any] = field(default_factory=dict)
    remark: str = ""


def begin_with(network: str | None, start: str | None) -> Beginning:
    """The network and its start; each is None where the user has not said it.

    Raises ActionstreamError for a start that does not exist, or is no network whose weights can be trained.
    """
    if start == NO_START:
        return Beginning(network or NETWORK, None)
    name = start or START
    found = locate(name)
    card = None if found.kind == "published" else read_card(found)
    theirs = PUBLISHED[found.name].network if card is None else card.network
    if theirs == "taught":
        raise ActionstreamError(
            f"{start} has frozen backbones; expected a network whose weights are trained; start from {START} or "
            f"motion, or give it more clips: actionstream teach {start} --data DIR"
        )
    remark = ""
    if network is None and start is None:
        network = NETWORK
    elif network is None:
        network = theirs.replace("tsn_", "tsm_") if theirs.replace("tsn_", "tsm_") in NETWORKS else theirs
        remark = f"the network is {network}, as in {start}"
    ours, other = find_entry(network), find_entry(theirs)
    if (ours.module, ours.name) != (other.module, other.name):
        if start is None:
            why = f"{START} is {theirs}; --start CHECKPOINT gives it others"
            return Beginning(network, None, remark=f"{network} starts from random weights: {why}")
        remark = (
            f"of {start}, which is {theirs}, only weights that fit {network} are taken, not its padding and "
            "preprocessing"
        )
        return Beginning(network, start, remark=remark)  # whether they fit is seen when it is built
    own = ("num_classes", "in_channels", "shift", "dropout")
    live: dict[str, Any] = {}
    if card is not None:
        if card.arguments.get("streaming") == "causal":
            live = {key: card.arguments[key] for key in ARGUMENTS if key in card.arguments}
        card = card_of_clips(card)
    arguments = {} if card is None else {key: value for key, value in card.arguments.items() if key not in own}
    return Beginning(network, name, arguments, card, live, remark)


def start_fits(settings: TrainingSettings) -> bool:
    """Whether most values of the network have their place in the checkpoint that it starts from, if any."""
    if settings.start is None:
        return True
    card = read_card(locate(settings.start))
    own = create_empty(settings.network, **{**settings.arguments, "num_classes": len(settings.labels)}).state_dict()
    shapes = {name: tensor.shape for name, tensor in create_empty(card.network, **card.arguments).state_dict().items()}
    fitting = sum(tensor.numel() for name, tensor in own.items() if shapes.get(name) == tensor.shape)
    return 2 * fitting >= sum(tensor.numel() for tensor in own.values())


def median_seconds(clips: Sequence[Clip]) -> float | None:
    """The median duration of some of the clips, evenly spread; None where none can be read."""
    durations = []
    for number in np.linspace(0, len(clips) - 1, min(len(clips), MOST_MEASURED)).round().astype(int):
        try:
            durations.append(seconds_of(clips[number]))
        except SourceError:  # it is named when it is read
            continue
    return float(np.median(durations)) if durations else None


def view_of(seconds: float, num_frames: int, card: Card | None = None) -> tuple[int, float]:
    """The number of snippets, and the seconds from one to the next, that cover a clip of `seconds`.

    num_frames  of a network for whole clips; 1 for one that streams
    card        of the start, whose interval is kept where it has learnt movements and the clip is not too long
    """
    if num_frames == 1:
        if card is not None and card.shift != "none" and seconds <= MOST_OF_START * card.interval_seconds:
            return max(round(seconds / card.interval_seconds), 1), card.interval_seconds
        num_frames = min(max(ceil(seconds / SHORTEST_SECONDS - 0.01), 1), MOST_SNIPPETS)
    return num_frames, max(round(60 * seconds / num_frames), 2) / 60


def optimisation_for(num_clips: int, *, network: str, start: str | None) -> Optimisation:
    """How a network is trained; with few clips that which it has learnt before changes less."""
    if start is None:
        return Optimisation()
    if num_clips >= FEW:
        return Optimisation(learning_rate=5e-4, norms="none" if has_folded_norms(start) else "all")
    first = NUM_FROZEN if find_entry(network).module in ("mobilenet_v2", "efficientnet_lite") else 0
    frozen = tuple(f"features.{number}" for number in range(first))
    return Optimisation(learning_rate=3e-4, norms="none", label_smoothing=0.1, frozen=frozen)


def has_folded_norms(start: str) -> bool:
    """Whether the batch norms of a checkpoint are folded into its convolutions: no mean is left, and biases are."""
    found = locate(start)
    if found.kind == "published":  # their batch norms are as they were trained
        return False
    with safe_open(found.file(*CHECKPOINTS), framework="numpy") as file:
        means = [name for name in file.keys() if name.endswith(".running_mean")]  # noqa: SIM118  it is no mapping
        biases = [name.replace(".running_mean", ".bias") for name in means]
        return (
            bool(means)
            and not any(file.get_tensor(name).any() for name in means)
            and any(file.get_tensor(name).any() for name in biases)
        )


def augmentation_for(num_clips: int, labels: Sequence[str]) -> Augmentation:
    return Augmentation(opposites=find_opposites(labels), colours=0.3 if num_clips < FEW else 0.0)


def epochs_for(num_clips: int, batch_size: int, *, start: str | None) -> int:
    """Epochs with NUM_STEPS steps or more."""
    return max(ceil(NUM_STEPS * batch_size / num_clips), 30 if start is None else 10)


def settings_for(
    data: Data,
    *,
    model: str | None,
    shift: Shift | None,
    streaming: Literal["window", "causal"] | None,
    modality: FrameModality | None,
    size: int | None,
    start: str | None,
    batch_size: int | None,
    epochs: int | None,
    teacher: str | None,
    seed: int,
    say: Callable[[str], None],
) -> TrainingSettings:
    """The settings of the training loop; those that are None follow from the clips and the start.

    say  gets lines on what was chosen
    """
    features = FeatureSettings.read(Path(data.root))
    if (features is not None) != (model == "timeception"):
        what = "no features in it" if features is None else "features in it"
        raise ActionstreamError(
            f"{data.root} has {what}, and the model is {model or NETWORK}: timeception, and no other, learns from what "
            "`actionstream features` has written"
        )
    beginning = begin_with(model, start)
    if beginning.remark:
        say(beginning.remark)
    entry = find_entry(beginning.network)
    arguments = {**beginning.arguments, **({} if shift is None else {"shift": shift})}
    in_channels = entry.arguments.get("in_channels", 3)
    if modality is not None:
        in_channels = arguments["in_channels"] = IN_CHANNELS[modality] if in_channels == 3 else in_channels
    clips, _, labels = data.open()
    if features is not None:
        preprocessing = Preprocessing.of_features(*features.shape[1:])
        arguments["in_channels"] = preprocessing.in_channels
        sampled = FrameSampling(num_frames=features.num_segments, interval_seconds=entry.step / 30, sampling="segments")
    else:
        preprocessing = entry.preprocessing(in_channels, modality=modality)
        if beginning.card is not None:
            if beginning.card.preprocessing.modality == preprocessing.modality:
                preprocessing = beginning.card.preprocessing
            else:
                theirs = beginning.card.preprocessing.modality
                say(
                    f"the preprocessing of {beginning.start} is for {theirs}; that for {preprocessing.modality} is the "
                    "network's own"
                )
        sampled = _sampling_for(clips, entry, beginning.card, preprocessing, say)
    if size is None and beginning.start == START and len(clips) < FEW:
        size = FEW_SIZE
    if streaming == "causal" or (streaming is None and beginning.live):
        arguments |= {**beginning.live, "streaming": "causal", "num_frames": sampled.num_frames}
        preprocessing, sampled = _frame_by_frame(beginning.network, arguments, preprocessing, sampled)
    if size is not None:
        preprocessing = replace(preprocessing, height=size, width=size, short_side=round(size * 8 / 7))
    batch_size = batch_size or BATCH_SIZE
    return TrainingSettings(
        data=data,
        network=beginning.network,
        arguments=arguments,
        start=beginning.start,
        teacher=teacher,
        labels=labels,
        preprocessing=preprocessing,
        sampled=sampled,
        augmentation=augmentation_for(len(clips), labels),
        optimisation=optimisation_for(len(clips), network=beginning.network, start=beginning.start),
        batch_size=batch_size,
        epochs=epochs or epochs_for(len(clips), batch_size, start=beginning.start),
        seed=seed,
    )


def _frame_by_frame(
    network: str, arguments: dict[str, Any], preprocessing: Preprocessing, sampled: FrameSampling
) -> tuple[Preprocessing, FrameSampling]:
    """What a clip network is trained with that runs frame by frame, from what it would be trained with on clips."""
    empty = create_empty(network, **arguments)
    assert isinstance(empty, Streaming)
    stack, interval = empty.snippet_frames, sampled.interval_seconds
    snippets = replace(
        sampled,
        num_frames=max(sampled.num_frames // stack, 1),
        interval_seconds=interval * stack,
        frame_seconds=sampled.frame_seconds if stack == 1 else interval,
    )
    return stacked(preprocessing, stack, interval, sampled.frame_seconds), snippets


def _sampling_for(
    clips: Sequence[Clip], entry: Entry, card: Card | None, preprocessing: Preprocessing, say: Callable[[str], None]
) -> FrameSampling:
    frame_seconds = 1 / 30 if preprocessing.num_pictures > 1 else 0.0
    seconds = median_seconds(clips)
    if seconds is None:  # none can be read, which is said when they are
        return FrameSampling(interval_seconds=entry.step / 30, frame_seconds=frame_seconds)
    num_frames, interval = view_of(seconds, entry.num_frames, card)
    say(f"clips last {seconds:.2g} s (median): {num_frames} frames, {interval:.2g} s apart")
    return FrameSampling(num_frames=num_frames, interval_seconds=interval, frame_seconds=frame_seconds)
