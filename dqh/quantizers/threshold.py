"""The binary quantizer of the latent-binary network: one bit a dimension, set above a threshold."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dqh.codes import pack, unpack
from dqh.quantizers.quantizer import SOFT_BIT, Bits, require_distance, require_embedding, require_state

if TYPE_CHECKING:
    from torch import nn


class Threshold(Bits):
    """Bit b of a code is 1 where embedding dimension b lies strictly above the threshold (Lin et al. 2015, §3.3).

    It has nothing to fit. Packed codes are described in `dqh.codes`.

    Args:
        bits: B, dimensions of the embedding and bits of a code.
        threshold: 0.5 for an embedding out of a sigmoid; finite.

    Raises:
        ValueError: `bits` is below 1, or the threshold is not finite.
    """

    kind: ClassVar[str] = "binary"
    rule: ClassVar[str] = "bit = embedding > threshold"

    def __init__(self, bits: int, *, threshold: float = 0.5) -> None:
        if bits < 1:
            raise ValueError(f"bits must be at least 1, got {bits}")
        if not math.isfinite(threshold):
            raise ValueError(f"threshold must be finite, got {threshold}")
        self.bits = bits
        self.threshold = threshold

    @property
    def dimension(self) -> int:
        """B, length of an embedding."""
        return self.bits

    def state(self) -> dict[str, NDArray[Any]]:
        """What an artifact keeps beside the number of bits."""
        return {"threshold": np.array(self.threshold, np.float64)}

    @classmethod
    def from_state(cls, bits: int, state: Mapping[str, NDArray[Any]], *, distance: str | None = None) -> Self:
        """The quantizer whose `state` was kept, one finite float64 named `threshold`; errors as of `Quantizer`."""
        require_distance(cls.kind, distance, cls.distances)
        require_state(bits, state, {"threshold": (np.float64, 0)})
        return cls(bits, threshold=float(state["threshold"]))

    def encode(self, embedding: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
        """Codes (N, ⌈B / 8⌉) uint8 of embeddings (N, B) float; `ValueError` for other columns, or NaN."""
        require_embedding(embedding, self.bits)
        return pack(embedding > self.threshold)

    def decode(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Bits of codes (N, ⌈B / 8⌉) uint8 as (N, B) float32, 0 or 1; `ValueError` for another dtype or shape."""
        return unpack(codes, self.bits).astype(np.float32)

    def preimage(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, B) float32 embeddings that have the codes (N, ⌈B / 8⌉), far from the threshold."""
        far = np.float32(1e30)
        return np.where(unpack(codes, self.bits), far, -far).astype(np.float32)

    def sample(self, count: int, generator: np.random.Generator) -> NDArray[np.uint8]:
        """(`count`, ⌈B / 8⌉) uint8, random bits."""
        return pack(generator.random((count, self.bits)) < 0.5)

    def soft(
        self, embedding: NDArray[np.floating[Any]], codes: NDArray[np.uint8], others: NDArray[np.uint8]
    ) -> NDArray[np.bool_]:
        """(N, B): bits whose embedding lies within `SOFT_BIT` of the threshold."""
        return np.asarray(np.abs(embedding - self.threshold) <= SOFT_BIT)

    def threshold_of_bits(self) -> float:
        """The threshold."""
        return self.threshold

    def graph(self) -> "nn.Module":
        """The comparison with the threshold in torch."""
        from dqh.quantizers.graph import ThresholdBits

        return ThresholdBits(self.threshold)
