"""Decoders of the hardware, and the processor where they cannot decode."""

from __future__ import annotations

from typing import Any

from actionstream.models.common.choices import DecoderName
from actionstream.models.video.errors import reason


def hardware_options(device: DecoderName) -> dict[str, Any]:
    """Options of av.open with which a device decodes, as far as it knows the codec; pictures come to main memory."""
    from av.codec.hwaccel import HWAccel

    return {"hwaccel": HWAccel(device_type=device, allow_software_fallback=True)}


def why_not(device: DecoderName, error: BaseException | None) -> str:
    """Why the processor decodes, and not the device that was named."""
    why = "it does not decode this codec here" if error is None else reason(error).lower()
    return f"the processor decodes it, not {device}: {why}"
