"""From embeddings to bits as torch modules, for export: what `Quantizer.encode` does before packing, in torch.

Bit for bit where the embedding is the same: product quantization computes distances in float64 there and here.

N embeddings, B bits, C classes, M subspaces of d dimensions, K codewords each.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from dqh.native.table_twins import ROUNDING

if TYPE_CHECKING:
    from dqh.quantizers.product import ProductQuantizer


class ThresholdBits(nn.Module):
    """`Threshold.encode` before packing; numpy compares in the embedding's float32, and so does this."""

    threshold: Tensor

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.register_buffer("threshold", torch.tensor(threshold, dtype=torch.float32))

    def forward(self, embedding: Tensor) -> Tensor:
        """(N, B) float32 to (N, B) int32."""
        return (embedding > self.threshold).to(torch.int32)


class ClassIndexBits(nn.Module):
    """`ClassIndex.encode` before packing."""

    classes: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("classes", torch.arange(classes))

    def forward(self, embedding: Tensor) -> Tensor:
        """(N, C) float32 to (N, C) int32."""
        return (embedding.argmax(1, keepdim=True) == self.classes).to(torch.int32)


class ProductBits(nn.Module):
    """`ProductQuantizer.encode` before packing: M · K distances an input, in float64: a large K takes memory."""

    rotation: Tensor | None
    codewords: Tensor
    norms: Tensor
    first_equal: Tensor
    offsets: Tensor
    powers: Tensor

    def __init__(self, quantizer: "ProductQuantizer") -> None:
        super().__init__()
        codebooks = torch.from_numpy(quantizer.codebooks.astype(np.float64))
        width = quantizer.codewords.bit_length() - 1
        rotation = quantizer.rotation
        self.shape = (quantizer.subspaces, quantizer.dimension // quantizer.subspaces)
        self.register_buffer("rotation", None if rotation is None else torch.from_numpy(rotation.astype(np.float64)))
        self.register_buffer("codewords", codebooks.transpose(1, 2).contiguous())
        self.register_buffer("norms", codebooks.square().sum(2)[:, None])
        self.register_buffer("first_equal", torch.from_numpy(quantizer.first_equal.reshape(-1).copy()))
        self.register_buffer("offsets", quantizer.codewords * torch.arange(quantizer.subspaces))
        self.register_buffer("powers", 2 ** torch.arange(width))

    def forward(self, embedding: Tensor) -> Tensor:
        """(N, D) float32 to (N, M log2 K) int32."""
        turned = embedding.double()
        if self.rotation is not None:
            turned = turned @ self.rotation
        parts = turned.reshape(-1, *self.shape).transpose(0, 1)
        lengths = parts.square().sum(2, keepdim=True)
        distances = self.norms - 2 * (parts @ self.codewords) + lengths
        distances = torch.where(distances <= ROUNDING * (self.norms + lengths), 0.0, distances)
        nearest = self.first_equal[distances.argmin(2).T + self.offsets]
        bits = (nearest[:, :, None] // self.powers) % 2
        return bits.flatten(1).to(torch.int32)
