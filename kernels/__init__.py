"""The temporal operators, and the state leaves that they read and write."""

from actionstream.kernels.leaf import Leaf, Slots, read, replace
from actionstream.kernels.temporal_context import temporal_context
from actionstream.kernels.temporal_shift import temporal_shift

__all__ = ["Leaf", "Slots", "read", "replace", "temporal_context", "temporal_shift"]
