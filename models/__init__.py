"""Networks, checkpoints and preprocessing. Everything offline is in actionstream.models.training."""

from __future__ import annotations

import os

from actionstream.models.card import Card
from actionstream.models.catalogue import create, list_models
from actionstream.models.locate import packaged
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.weights.checkpoint import read_card, save
from actionstream.models.weights.loading import load

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime reads it when it is imported, after this

__all__ = ["Card", "Preprocessing", "create", "list_models", "load", "packaged", "read_card", "save"]
