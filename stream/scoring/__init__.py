"""From scores to results: smoothing, events, scores of whole videos, segments, non-maximum suppression."""

from actionstream.results import OpenSegment, Segment
from actionstream.scoring.events import EventDetector
from actionstream.scoring.integrator import Integrator
from actionstream.scoring.mtwi import WindowPlan, integrate
from actionstream.scoring.nms import nms, soft_nms
from actionstream.scoring.segments import SegmentFinder, sure_segments
from actionstream.scoring.smoothing import Smoother
from actionstream.scoring.tracker import SegmentTracker

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
