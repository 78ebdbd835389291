"""Batches that cannot be made, in a module that another process can import."""

import numpy as np

from actionstream.models.preprocessing import Preprocessing
from actionstream.models.training.batches import ClipBatches


class BrokenBatches(ClipBatches):
    """The first by a mistake of the user, the others by a fault of the program."""

    def __getitem__(self, number):
        if number:
            return np.stack([np.zeros(2), np.zeros(3)])
        return Preprocessing(height=0, width=8)
