"""What a delayed network says of the inside of a clip, beside the same network on the whole clip."""

from __future__ import annotations

import torch
from precision import apart

from actionstream.models.network import Network
from actionstream.models.networks.artnet import ARTNet
from actionstream.models.networks.c3d import C3D
from actionstream.models.networks.resnet3d import ResNet3D
from actionstream.models.over_time import VolumeCarry
from actionstream.models.streaming import Streaming

INSIDE = 2
"""Snippets that are compared."""


@torch.inference_mode()
def distance_inside(network: Network) -> float:
    """In float64, `apart` of the features of snippets that are too far from the ends of a clip to see its padding."""
    streaming = Streaming(network.double(), mode="delayed", num_frames=1)
    side = 16 if isinstance(network, C3D | ARTNet | ResNet3D) else 32
    before = streaming.delay + 3  # features look back at most so far: over the delay, and strides round it up
    num_snippets = before + INSIDE + streaming.delay
    shape = (1, num_snippets, streaming.in_channels, side, side)
    frames = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found, _ = streaming.trunk(frames)
    clip = frames.unflatten(2, (streaming.snippet_frames, -1)).flatten(1, 2).transpose(1, 2)
    whole = streaming.network.volume(clip, VolumeCarry()).transpose(1, 2)
    return apart(found[:, before + streaming.delay :], whole[:, before : before + INSIDE])
