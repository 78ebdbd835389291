"""What stands for the stream of an engine, where only its feed is looked at."""

import numpy as np

from actionstream.engine.scored_stream import Prepared


def prepare(frame, sampled=True):
    """As a stream does, of which a frame is a snippet with its index."""
    return Prepared(
        stream=None,
        time_seconds=frame.time_seconds,
        sampled=sampled,
        snippets=(np.array(frame.index) if sampled else None,),
        reset="gap" if frame.after_gap else None if frame.index else "start",
        good_until_seconds=np.inf,
        seconds=0.25,
        samplings=(),
        rhythm=None,
    )
