"""From raw images to features and embeddings: normalisation, backbone and head in one module."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from dqh.inputs import InputSpec
from dqh.models.backbone import Backbone
from dqh.models.heads import HashHead


class EncoderOutput(NamedTuple):
    """What an encoder says of a batch.

    Attributes:
        embedding: (N, D) float, input of the quantizer.
        features: (N, F) float, the fine representation, as the backbone's tap gives it.
    """

    embedding: Tensor
    features: Tensor


class Encoder(nn.Module):
    """Normalisation, backbone and head, for images with their kernels in channels-last order, which is faster.

    Args:
        backbone: images in model space → features.
        head: features → embedding.
        spec: the input; the backbone's own where it is None.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone, head: HashHead, *, spec: InputSpec | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.spec = spec or backbone.spec
        if self.spec.kind == "image":
            self.backbone.to(memory_format=torch.channels_last)
            self.register_buffer("mean", _of_bytes(self.spec.mean))
            self.register_buffer("std", _of_bytes(self.spec.std))

    def normalise(self, images: Tensor) -> Tensor:
        """Raw images (N, 3, S, S), uint8 or float 0 … 255, to model space; vectors (N, F) stay as they are."""
        if self.spec.kind == "vector":
            return images.float()
        images = images.contiguous(memory_format=torch.channels_last)  # of bytes, where they are bytes
        return (images - self.mean).div_(self.std)  # float32: mean is

    def forward(self, images: Tensor) -> EncoderOutput:
        """Encode a batch.

        Args:
            images: raw (N, 3, S, S), uint8 or float 0 … 255, S as in `spec.size`; for a vector spec (N, F) float.
        """
        seen = self.normalise(images)
        features = self.backbone(seen)
        if self.spec.mirror and not self.training:
            features = (features + self.backbone(seen.flip(3))) / 2
        return EncoderOutput(self.head(features), features)


def _of_bytes(values: Sequence[float]) -> Tensor:
    """(1, 3, 1, 1) values of colours in 0 … 1 as those of bytes, on the default device, where the weights are made.

    By numpy: on the meta device, where a network is made without weights, a product loads torch's compiler.
    """
    return torch.tensor((np.float32(255) * np.asarray(values, np.float32)).reshape(1, 3, 1, 1))
