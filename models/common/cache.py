"""The user's cache, for files that can be made or downloaded again."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit


def cache_folder() -> Path:
    """The folder of the cache: ACTIONSTREAM_CACHE, or actionstream in XDG_CACHE_HOME or ~/.cache."""
    if own := os.environ.get("ACTIONSTREAM_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "actionstream"


def cached_file(address: str) -> Path:
    """The path of an address's file in the cache, whether it exists or not."""
    return cache_folder() / unquote(urlsplit(address).path).rsplit("/", 1)[-1]
