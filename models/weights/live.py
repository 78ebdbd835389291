"""How a clip network runs live: in a window, or frame by frame; its card follows, and its weights stay."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

from actionstream.models.card import ROWS_PER_CLIP, Card
from actionstream.models.catalogue import create_empty
from actionstream.models.common.choices import LiveMode
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.preprocessing import Preprocessing

if TYPE_CHECKING:
    from actionstream.models.network import Network

ARGUMENTS = "streaming", "num_frames", "fading"
"""Those of `actionstream.models.create` that make a network run frame by frame."""


def run_live(network: Network, card: Card, how: LiveMode) -> tuple[Network, Card]:
    """A clip network that runs live in this way, and its card; the weights are shared.

    Raises ActionstreamError for a network that streams by itself, or cannot run frame by frame.
    """
    from actionstream.models.streaming import Streaming

    if isinstance(network, Streaming):
        if network.mode == how:
            return network, card
        network, card = network.network, card_of_clips(card)
    if how == "window":
        if network.streams:
            raise ActionstreamError(f"{card.network} streams by itself, and needs no window")
        return network, card
    streaming = Streaming(network, mode=how, num_frames=card.num_frames).eval()
    if how == "causal":
        warnings.warn(
            f"{card.network} was trained on whole clips; in causal mode it is another function, and its scores mean "
            "less: fine-tune it with train --streaming causal",
            RuntimeWarning,
            stacklevel=3,
        )
    return streaming, replace(
        card,
        arguments={**card.arguments, "streaming": how, "num_frames": card.num_frames},
        preprocessing=stacked(card.preprocessing, streaming.snippet_frames, card.interval_seconds, card.frame_seconds),
        interval_seconds=card.interval_seconds * streaming.snippet_frames,
        frame_seconds=card.frame_seconds if streaming.snippet_frames == 1 else card.interval_seconds,
        context=card.context + streaming.delay,
        delay_snippets=streaming.delay,
        num_frames=1,
        stride=1,
    )


def card_of_clips(card: Card) -> Card:
    """The card of a network for whole clips, from that for frame by frame; another card is returned as it is."""
    if card.arguments.get("streaming") is None:
        return card
    from actionstream.models.streaming import Streaming

    network = create_empty(card.network, **card.arguments)
    assert isinstance(network, Streaming)
    stack = network.snippet_frames
    return replace(
        card,
        arguments={name: each for name, each in card.arguments.items() if name not in ARGUMENTS},
        preprocessing=replace(card.preprocessing, stack=card.preprocessing.stack // stack),
        interval_seconds=card.interval_seconds / stack,
        context=card.context - card.delay_snippets,
        delay_snippets=0,
        num_frames=network.num_frames,
        stride=max(network.num_frames // ROWS_PER_CLIP, 1),
    )


def stacked(size: Preprocessing, snippet_frames: int, interval_seconds: float, frame_seconds: float) -> Preprocessing:
    """The preprocessing of snippets of so many frames, from that of frames.

    Raises ActionstreamError where a frame is made of pictures that are closer together than frames.
    """
    if snippet_frames > 1 and size.num_pictures > 1 and frame_seconds not in (0, interval_seconds):
        raise ActionstreamError(
            f"a frame is made of {size.num_pictures} pictures, {frame_seconds:.2g} s apart, and frames are "
            f"{interval_seconds:.2g} s apart; frame by frame they would have to be as far apart"
        )
    return replace(size, stack=size.stack * snippet_frames)
