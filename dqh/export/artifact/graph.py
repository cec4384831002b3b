"""From raw inputs to packed codes as one torch module, for export: what `Quantizer.encode` does, in torch.

Here is the module alone; `onnx_form` and `exported_program` write it. What makes bits of an embedding is in
`dqh.quantizers.graph`.

N inputs, B bits.
"""

import torch
from torch import Tensor, nn

from dqh.artifact.artifact import Artifact
from dqh.codes import code_bytes
from dqh.models import Encoder
from dqh.quantizers import Quantizer

OUTPUTS = ("codes", "embedding", "features")
"""What an exported form answers, in this order."""


class EncoderGraph(nn.Module):
    """Encoder, quantizer and bit packing."""

    def __init__(self, encoder: Encoder, quantizer: Quantizer) -> None:
        super().__init__()
        self.encoder = encoder
        self.bits = quantizer.graph()
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
    """`dqh.codes.pack`: byte i of a code is Σ_j 2^j · bit 8 i + j."""

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


def graph_of(artifact: Artifact) -> EncoderGraph:
    """The graph of an artifact, in evaluation mode."""
    return EncoderGraph(artifact.encoder, artifact.quantizer).eval()


def example_of(artifact: Artifact) -> Tensor:
    """Two inputs of the right shape: exporters bake a batch of one in as a constant."""
    spec = artifact.encoder.spec
    if spec.kind == "vector":
        return torch.zeros(2, spec.size)
    return torch.zeros(2, 3, spec.size, spec.size, dtype=torch.uint8)
