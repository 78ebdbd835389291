"""From probabilities to what a person wants to know: smoothing and events, and what a whole video shows."""

from stream.scoring.events import EventDetector
from stream.scoring.integrator import Integrator
from stream.scoring.mtwi import WindowPlan, integrate
from stream.scoring.smoothing import Smoother

__all__ = ["EventDetector", "Integrator", "Smoother", "WindowPlan", "integrate"]
