"""Closed sets of names that the library and the command line share. This file imports nothing heavy."""

from __future__ import annotations

from typing import Literal

RuntimeName = Literal["auto", "torch", "compile", "graphs", "onnx", "openvino"]
PrecisionName = Literal["float32", "bfloat16", "int8", "auto"]
"""Of weights and activations; auto: the fastest that this machine has, whose scores agree with float32."""
DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Policy = Literal["auto", "newest", "every"]
"""Which frames of a source are labelled: see `actionstream.live.feed.Feed`."""
Transport = Literal["tcp", "udp"]
SubtitleFormat = Literal["srt", "vtt"]
Challenge = Literal["thumos14", "activitynet"]
Metric = Literal["f1", "map", "false-alarms"]
"""By which thresholds and durations of labels are chosen: see `actionstream.detector.decisions`."""
EvaluationTask = Literal["detection", "classification", "proposals"]
OTHERS = "*"
"""In thresholds by label: all labels without one of their own."""
