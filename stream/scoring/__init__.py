"""From probabilities to what a person wants to know: smoothing, events, and the best of overlapping segments."""

from stream.scoring.events import EventDetector
from stream.scoring.nms import nms, soft_nms
from stream.scoring.smoothing import Smoother

__all__ = ["EventDetector", "Smoother", "nms", "soft_nms"]
