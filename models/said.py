"""What the user is told in passing."""

from __future__ import annotations

import warnings
from functools import cache


@cache
def say_once(which: str) -> None:
    """Warn once, though many ask: the filter of warnings forgets what it has shown."""
    warnings.warn(which, RuntimeWarning, stacklevel=3)
