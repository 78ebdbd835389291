"""TSN (Wang et al., ECCV 2016, arXiv:1608.00859) on any picture classifier of torchvision."""

from __future__ import annotations

import torchvision
from torch import Tensor, nn

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.network import Network, State

SECOND_HEADS = ("googlenet", "inception_v3")
"""Classifiers with an auxiliary head for training, which is left out."""


class TorchvisionClassifier(Network):
    """A picture classifier that scores each frame on its own.

    classifier  a name that torchvision.models.get_model takes, such as "googlenet", "inception_v3", "vgg16"

    Its last linear layer becomes the head; the trunk is the rest, with features (B, T, D, 1, 1).

    Raises ValueError for a network that torchvision does not have, or that does not end in a linear layer.
    """

    def __init__(
        self, *, classifier: str = "googlenet", num_classes: int = 400, in_channels: int = 3, dropout: float = 0.0
    ):
        super().__init__(num_classes=num_classes, in_channels=in_channels, shift="none", n_div=8, shift_padding="zero")
        if classifier not in torchvision.models.list_models(module=torchvision.models):
            raise ActionstreamError(f"torchvision has no picture classifier {classifier!r}")
        arguments = {"aux_logits": False, "init_weights": False} if classifier in SECOND_HEADS else {}
        self.pictures = torchvision.models.get_model(classifier, weights=None, **arguments)
        linear = [name for name, module in self.pictures.named_modules() if isinstance(module, nn.Linear)]
        if not linear:
            raise ActionstreamError(f"torchvision's {classifier} does not end in a linear layer")
        if in_channels != 3:
            self._see(in_channels)
        self.fc = nn.Linear(self.pictures.get_submodule(linear[-1]).in_features, num_classes)
        self.pictures.set_submodule(linear[-1], nn.Identity())
        self.dropout = nn.Dropout(dropout)

    def _see(self, in_channels: int) -> None:
        """Replace the first convolution by one with this many input channels."""
        name, first = next((n, m) for n, m in self.pictures.named_modules() if isinstance(m, nn.Conv2d))
        settings = {each: getattr(first, each) for each in ("kernel_size", "stride", "padding", "dilation")}
        new = nn.Conv2d(in_channels, first.out_channels, **settings, bias=first.bias is not None)
        self.pictures.set_submodule(name, new)

    def maps(self, frames: Tensor, state: State | None = None) -> tuple[list[Tensor], State]:
        features = self.pictures(frames.flatten(0, 1))
        return [features.unflatten(0, frames.shape[:2])[..., None, None]], ()

    def head(self, features: Tensor) -> Tensor:
        return self.fc(self.dropout(features.mean(dim=(-2, -1))))
