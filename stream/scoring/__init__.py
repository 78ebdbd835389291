"""From scores to what a person wants to know: smoothing, events, what a whole video shows, the best of segments."""

from stream.scoring.events import EventDetector
from stream.scoring.integrator import Integrator
from stream.scoring.mtwi import WindowPlan, integrate
from stream.scoring.nms import nms, soft_nms
from stream.scoring.segments import Segment, SegmentFinder, sure_segments
from stream.scoring.smoothing import Smoother
from stream.scoring.tracker import OpenSegment, SegmentTracker

__all__ = [
    "EventDetector",
    "Integrator",
    "OpenSegment",
    "Segment",
    "SegmentFinder",
    "SegmentTracker",
    "Smoother",
    "WindowPlan",
    "integrate",
    "nms",
    "soft_nms",
    "sure_segments",
]
