"""Slots of a pool that grows: one for the state of each stream."""

from __future__ import annotations

from abc import ABC, abstractmethod


class SlotPool(ABC):
    """Gives slots to streams and takes them back; twice as many when there is none left."""

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
        """Twice the room for `_num_slots` states; those that are there stay where they are."""
