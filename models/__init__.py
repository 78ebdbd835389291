"""Networks, checkpoints and preprocessing. Everything offline is in actionstream.models.training."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actionstream.models.card import Card
    from actionstream.models.catalogue import create, list_models
    from actionstream.models.locate import packaged
    from actionstream.models.preprocessing import Preprocessing
    from actionstream.models.weights.checkpoint import read_card, save
    from actionstream.models.weights.loading import load

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime reads it when it is imported, after this

_HOMES = {
    "Card": "card",
    "Preprocessing": "preprocessing",
    "create": "catalogue",
    "list_models": "catalogue",
    "load": "weights.loading",
    "packaged": "locate",
    "read_card": "weights.checkpoint",
    "save": "weights.checkpoint",
}

__all__ = ["Card", "Preprocessing", "create", "list_models", "load", "packaged", "read_card", "save"]


def __getattr__(name: str) -> Any:
    """Import a public name on first use: pydantic and NumPy are slow to import, and help texts need neither."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
