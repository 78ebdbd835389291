"""Where files that can be made or fetched again are kept."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit


def cache_folder() -> Path:
    """Where downloads are kept: ACTIONSTREAM_CACHE, or actionstream in XDG_CACHE_HOME or ~/.cache."""
    if own := os.environ.get("ACTIONSTREAM_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "actionstream"


def cached_file(address: str) -> Path:
    """Where the file of an address is kept, or would be."""
    return cache_folder() / unquote(urlsplit(address).path).rsplit("/", 1)[-1]
