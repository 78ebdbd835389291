"""The temporal shift as an operator, and the state leaves it reads and writes."""

from kernels.leaf import Leaf, Slots, read, replace
from kernels.temporal_shift import temporal_shift

__all__ = ["Leaf", "Slots", "read", "replace", "temporal_shift"]
