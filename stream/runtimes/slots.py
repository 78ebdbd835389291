"""A pool of slots that grows: one slot for the state of each stream."""

from __future__ import annotations

from abc import ABC, abstractmethod


class SlotPool(ABC):
    """Allocates and frees slots; the pool doubles when no slot is free."""

    def __init__(self, num_slots: int):
        self._num_slots = num_slots
        self._free = list(reversed(range(num_slots)))

    def allocate(self) -> int:
        if not self._free:
            self._grow()
            self._free = list(reversed(range(self._num_slots, 2 * self._num_slots)))
            self._num_slots *= 2
        slot = self._free.pop()
        self.reset(slot)
        return slot

    def free(self, slot: int) -> None:
        assert slot not in self._free
        self._free.append(slot)

    @abstractmethod
    def reset(self, slot: int) -> None:
        """Empty a state."""

    @abstractmethod
    def _grow(self) -> None:
        """Double the memory for `_num_slots` states; existing states keep their places."""
