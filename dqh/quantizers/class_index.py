"""The class that a classifier names, as a code: what every supervised hash must be compared with."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dqh.codes import pack, unpack
from dqh.quantizers.quantizer import SOFT_BIT, Bits, require_distance, require_embedding, require_state

if TYPE_CHECKING:
    from torch import nn


class ClassIndex(Bits):
    """Bit c of a code is 1 where class c has the highest score, so that two codes differ in 0 or in 2 bits.

    It has nothing to fit. Packed codes are described in `dqh.codes`; ⌈log2 C⌉ bits would hold the same.

    Args:
        bits: C, number of classes and length of a code.

    Raises:
        ValueError: `bits` is below 1.
    """

    kind: ClassVar[str] = "class_index"
    rule: ClassVar[str] = "bit = embedding is the first largest of its row"

    def __init__(self, bits: int) -> None:
        if bits < 1:
            raise ValueError(f"bits must be at least 1, got {bits}")
        self.bits = bits

    @property
    def dimension(self) -> int:
        """C, length of an embedding."""
        return self.bits

    def state(self) -> dict[str, NDArray[Any]]:
        """Nothing but the number of bits needs to be kept."""
        return {}

    @classmethod
    def from_state(cls, bits: int, state: Mapping[str, NDArray[Any]], *, distance: str | None = None) -> Self:
        """The quantizer whose `state`, an empty one, was kept; errors as of `Quantizer`."""
        require_distance(cls.kind, distance, cls.distances)
        require_state(bits, state, {})
        return cls(bits)

    def encode(self, embedding: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
        """Codes (N, ⌈C / 8⌉) uint8 of class scores (N, C); of equal highest scores the first class counts.

        Raises:
            ValueError: the embedding does not have C columns, or holds NaN.

        Example:
            >>> ClassIndex(3).encode(np.array([[0.1, 0.7, 0.2], [5.0, -1.0, 5.0]])).tolist()
            [[2], [1]]
        """
        require_embedding(embedding, self.bits)
        return pack(embedding.argmax(axis=1)[:, None] == np.arange(self.bits))

    def decode(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Bits of codes (N, ⌈C / 8⌉) uint8 as (N, C) float32, 0 or 1; `ValueError` for another dtype or shape."""
        return unpack(codes, self.bits).astype(np.float32)

    def preimage(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, C) float32 class scores that have the codes (N, ⌈C / 8⌉)."""
        return self.decode(codes)

    def sample(self, count: int, generator: np.random.Generator) -> NDArray[np.uint8]:
        """(C, ⌈C / 8⌉) uint8, every class once: there are no others."""
        return pack(np.eye(self.bits, dtype=bool))

    def soft(
        self, embedding: NDArray[np.floating[Any]], codes: NDArray[np.uint8], others: NDArray[np.uint8]
    ) -> NDArray[np.bool_]:
        """(N, C): bits of the classes within twice `SOFT_BIT` of the highest score, where there are several."""
        near = embedding >= embedding.max(axis=1, keepdims=True) - 2 * SOFT_BIT
        return np.asarray(near & (near.sum(axis=1, keepdims=True) > 1))

    def graph(self) -> "nn.Module":
        """The first highest score in torch."""
        from dqh.quantizers.graph import ClassIndexBits

        return ClassIndexBits(self.bits)
