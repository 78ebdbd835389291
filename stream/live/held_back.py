"""The frames of a still scene: they are held back from the network, and a few of them are scored later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from actionstream.engine.scored_stream import Prepared
from actionstream.frame import Frame
from actionstream.live.gate import Gate

Scorable = tuple[Frame, Prepared]
"""What the engine scores: a frame, and the same prepared."""
NO_PICTURE = np.zeros((1, 1, 3), np.uint8)


class HeldBack:
    """Holds back the prepared frames of one stream while its scene is still, as its gate decides.

    The gate looks at the snippets of the first network that has one. Frames that are held back are kept without their
    pictures: a snippet is small, and the memory that they need does not depend on the camera.
    """

    def __init__(self, gate: Gate[Scorable]):
        self._gate = gate
        self._network: int | None = None

    def push(self, frame: Frame, prepared: Prepared) -> tuple[Prepared, Sequence[Scorable]]:
        """The next frame, held back where nothing moves; and those to score before it, oldest first."""
        if prepared.reset:
            self._gate.reset()
        if self._network is None:
            self._network = next((n for n, snippet in enumerate(prepared.snippets) if snippet is not None), None)
        if self._network is None or (snippet := prepared.snippets[self._network]) is None:
            return (prepared.held_back() if prepared.due and self._gate.idle else prepared), ()
        kept = replace(frame, picture=NO_PICTURE), prepared
        decision = self._gate.push(snippet, frame.time_seconds, kept)
        if decision.why in ("idle", "probe"):
            return prepared.held_back(), decision.due
        return prepared, decision.due[:-1]
