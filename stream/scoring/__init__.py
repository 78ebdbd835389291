"""From scores to what a person wants to know: smoothing, events, what a whole video shows, the best of segments."""

from stream.scoring.events import EventDetector
from stream.scoring.integrator import Integrator
from stream.scoring.mtwi import WindowPlan, integrate
from stream.scoring.nms import nms, soft_nms
from stream.scoring.smoothing import Smoother

__all__ = ["EventDetector", "Integrator", "Smoother", "WindowPlan", "integrate", "nms", "soft_nms"]
