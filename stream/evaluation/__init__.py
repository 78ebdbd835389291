"""Evaluation of untrimmed video, with the engine that ships."""

from actionstream.evaluation.detection import DetectionAccuracy, activitynet_detection, thumos14_detection
from actionstream.evaluation.segments import Segments, Truth

__all__ = [
    "DetectionAccuracy",
    "Segments",
    "Truth",
    "activitynet_detection",
    "thumos14_detection",
]
