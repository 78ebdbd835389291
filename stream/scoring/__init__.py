"""From probabilities to what a person wants to know: smoothing and events."""

from stream.scoring.events import EventDetector
from stream.scoring.smoothing import Smoother

__all__ = ["EventDetector", "Smoother"]
