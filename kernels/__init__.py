"""The temporal shift as an operator, and the state leaves it reads and writes."""

from kernels.leaf import Leaf, Slots
from kernels.temporal_shift import temporal_shift

__all__ = ["Leaf", "Slots", "temporal_shift"]
