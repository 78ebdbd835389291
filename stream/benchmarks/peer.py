"""A network of another project for comparison: MoViNet-A0-Stream (arXiv:2103.11511) as a TFLite file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from actionstream.models.common.errors import ActionstreamError

NAME = "MoViNet-A0-Stream"


class Peer:
    """A streaming network in the one TFLite file of a folder, with the signature of MoViNet's export.

    Inputs: "image", float32 (1, 1, height, width, 3) in 0..1, and states, at first zeros. Outputs: states of the same
    names, and "logits". Needs LiteRT: `pip install ai-edge-litert`.

    Raises ValueError where the folder has no such file, or LiteRT is not installed.
    """

    def __init__(self, folder: Path, *, num_threads: int):
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:
            raise ActionstreamError(
                "the peer is a TFLite file, which LiteRT runs: pip install ai-edge-litert, or leave --peer out"
            ) from None
        files = sorted(folder.glob("*.tflite"))
        if len(files) != 1:
            raise ActionstreamError(f"{folder} has {len(files)} TFLite files; --peer is a folder with one, {NAME}")
        self.file = files[0].name
        try:
            self._interpreter = Interpreter(model_path=str(files[0]), num_threads=num_threads)
        except ValueError as error:  # of LiteRT
            raise ActionstreamError(f"{files[0]} is damaged or no TFLite file: {error}") from error
        names = list(self._interpreter.get_signature_list())
        self._call = self._interpreter.get_signature_runner(names[0])
        inputs = self._call.get_input_details()
        if "image" not in inputs or "logits" not in self._call.get_output_details():
            raise ActionstreamError(
                f"{files[0]} is not a streaming MoViNet: it has no input image, or no output logits"
            )
        self.height, self.width = map(int, inputs["image"]["shape"][2:4])
        self._state = {
            name: np.zeros(details["shape"], details["dtype"]) for name, details in inputs.items() if name != "image"
        }

    def step(self, image: np.ndarray) -> np.ndarray:
        """Score the next frame, float32 (1, 1, height, width, 3); returns logits (1, K)."""
        outputs = self._call(image=image, **self._state)
        self._state = {name: outputs[name] for name in self._state}
        return outputs["logits"]
