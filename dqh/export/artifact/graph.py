"""From raw inputs to packed codes as one torch module, for export: what `Quantizer.encode` does, in torch.

Here is the module alone; `onnx_form` and `exported_program` write it. It gives the codes of `Quantizer.encode`, bit for
bit where the embedding is the same: product quantization computes distances in float64 there and here.

N inputs, B bits, M subspaces of d dimensions, K codewords each.
"""

import numpy as np
import torch
from torch import Tensor, nn

from dqh.artifact.artifact import Artifact
from dqh.codes import code_bytes
from dqh.errors import ArtifactError
from dqh.models import Encoder
from dqh.quantizers import ClassIndex, ProductQuantizer, Quantizer, Threshold
from dqh.quantizers.plain_tables import ROUNDING

OUTPUTS = ("codes", "embedding", "features")
"""What an exported form answers, in this order."""


class EncoderGraph(nn.Module):
    """Encoder, quantizer and bit packing.

    Args:
        encoder: in evaluation mode, on the CPU.
        quantizer: embedding → codes.

    Raises:
        ArtifactError: no graph is known for codes of this kind.
    """

    def __init__(self, encoder: Encoder, quantizer: Quantizer) -> None:
        super().__init__()
        self.encoder = encoder
        self.bits = _bits_of(quantizer)
        self.pack = Pack(quantizer.bits)

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """Encode a batch.

        Args:
            inputs: (N, 3, S, S) uint8, or (N, F) float32 for a vector spec.

        Returns:
            `codes` (N, ⌈B / 8⌉) uint8, `embedding` (N, D) float32, `features` (N, F) float32.
        """
        embedding, features = self.encoder(inputs)
        return {"codes": self.pack(self.bits(embedding)), "embedding": embedding, "features": features}


class Pack(nn.Module):
    """`dqh.codes.pack`: byte i of a code is Σ_j 2^j · bit 8 i + j.

    Args:
        bits: B.
    """

    weights: Tensor

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bytes = code_bytes(bits)
        self.fill = 8 * self.bytes - bits
        self.register_buffer("weights", 2 ** torch.arange(8, dtype=torch.int32))

    def forward(self, bits: Tensor) -> Tensor:
        """(N, B) int32, 0 or 1, to (N, ⌈B / 8⌉) uint8."""
        octets = nn.functional.pad(bits, (0, self.fill)).reshape(-1, self.bytes, 8)
        return (octets * self.weights).sum(2).to(torch.uint8)


class ThresholdBits(nn.Module):
    """`Threshold.encode` before packing; numpy compares in the embedding's float32, and so does this.

    Args:
        quantizer: gives the threshold.
    """

    threshold: Tensor

    def __init__(self, quantizer: Threshold) -> None:
        super().__init__()
        self.register_buffer("threshold", torch.tensor(quantizer.threshold, dtype=torch.float32))

    def forward(self, embedding: Tensor) -> Tensor:
        """(N, B) float32 to (N, B) int32."""
        return (embedding > self.threshold).to(torch.int32)


class ClassIndexBits(nn.Module):
    """`ClassIndex.encode` before packing.

    Args:
        quantizer: gives the number of classes.
    """

    classes: Tensor

    def __init__(self, quantizer: ClassIndex) -> None:
        super().__init__()
        self.register_buffer("classes", torch.arange(quantizer.bits))

    def forward(self, embedding: Tensor) -> Tensor:
        """(N, C) float32 to (N, C) int32."""
        return (embedding.argmax(1, keepdim=True) == self.classes).to(torch.int32)


class ProductBits(nn.Module):
    """`ProductQuantizer.encode` before packing: M · K distances an input in float64, so batches of large K take memory.

    Args:
        quantizer: a fitted one.
    """

    rotation: Tensor | None
    codewords: Tensor
    norms: Tensor
    first_equal: Tensor
    offsets: Tensor
    powers: Tensor

    def __init__(self, quantizer: ProductQuantizer) -> None:
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


def graph_of(artifact: Artifact) -> EncoderGraph:
    """The graph of an artifact, in evaluation mode."""
    return EncoderGraph(artifact.encoder, artifact.quantizer).eval()


def example_of(artifact: Artifact) -> Tensor:
    """Two inputs of the right shape: exporters bake a batch of one in as a constant."""
    spec = artifact.encoder.spec
    if spec.kind == "vector":
        return torch.zeros(2, spec.size)
    return torch.zeros(2, 3, spec.size, spec.size, dtype=torch.uint8)


def _bits_of(quantizer: Quantizer) -> nn.Module:
    if isinstance(quantizer, Threshold):
        return ThresholdBits(quantizer)
    if isinstance(quantizer, ProductQuantizer):
        return ProductBits(quantizer)
    if isinstance(quantizer, ClassIndex):
        return ClassIndexBits(quantizer)
    raise ArtifactError(f"codes of kind {quantizer.kind!r} have no exported form; known are binary, pq, class_index")
