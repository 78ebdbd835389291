"""Networks, checkpoints and preprocessing. Everything offline is in models.training."""

from __future__ import annotations

import os

from models.catalogue import create, list_models
from models.checkpoint import Card, load, packaged, read_card, save
from models.preprocessing import Preprocessing

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime reads it when it is imported, after this

__all__ = ["Card", "Preprocessing", "create", "list_models", "load", "packaged", "read_card", "save"]
