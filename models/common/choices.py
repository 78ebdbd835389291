"""Closed sets of names that the library and the command line share. This file imports nothing heavy."""

from __future__ import annotations

from typing import Literal

Shift = Literal["none", "uni", "bi"]
FrameModality = Literal["rgb", "rgb-difference", "flow", "warped-flow"]
"""The modalities whose snippets are made of frames."""
ModalityName = Literal[FrameModality, "features"]
FlowMethod = Literal["dis", "tvl1"]
StreamingMode = Literal["causal", "delayed"]
"""How a clip network runs frame by frame, see `actionstream.models.streaming.Streaming`."""
LiveMode = Literal["window", StreamingMode]
"""How a clip network runs live."""
ExportTarget = Literal["onnx", "openvino", "torch-export"]
Takes = Literal["pixels", "pictures", "frames"]
"""What an exported file takes: see `actionstream.models.export.exported.Exported`."""
DataFormat = Literal[
    "folders",
    "ucf101",
    "hmdb51",
    "list",
    "something-something",
    "jester",
    "kinetics",
    "charades",
    "activitynet",
    "thumos14",
    "ut-interaction",
]
DecoderName = Literal["processor", "cuda", "qsv", "vaapi", "drm", "videotoolbox", "d3d11va", "amf"]
