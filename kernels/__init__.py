"""The temporal shift as an operator, and the state leaves it reads and writes."""

from actionstream.kernels.leaf import Leaf, Slots, read, replace
from actionstream.kernels.temporal_shift import temporal_shift

__all__ = ["Leaf", "Slots", "read", "replace", "temporal_shift"]
