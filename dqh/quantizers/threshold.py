"""The binary quantizer of the latent-binary network: one bit a dimension, set above a threshold."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.codes import pack, unpack


class Threshold:
    """Bit b of a code is 1 where embedding dimension b lies strictly above the threshold (Lin et al. 2015, §3.3).

    It has nothing to fit. Packed codes are described in `dqh.codes`.

    Args:
        bits: B, dimensions of the embedding and bits of a code.
        threshold: 0.5 for an embedding out of a sigmoid.

    Raises:
        ValueError: `bits` is below 1.
    """

    kind = "binary"

    def __init__(self, bits: int, *, threshold: float = 0.5) -> None:
        if bits < 1:
            raise ValueError(f"bits must be at least 1, got {bits}")
        self.bits = bits
        self.threshold = threshold

    def state(self) -> dict[str, Tensor]:
        """What an artifact keeps beside the number of bits."""
        return {"threshold": torch.tensor(self.threshold, dtype=torch.float64)}

    @classmethod
    def from_state(cls, bits: int, state: Mapping[str, Tensor]) -> "Threshold":
        """The quantizer whose `state` was kept.

        Raises:
            KeyError: something is missing in it.
        """
        return cls(bits, threshold=float(state["threshold"]))

    def encode(self, embedding: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
        """Codes of embeddings.

        Args:
            embedding: (N, B) float.

        Returns:
            (N, ⌈B / 8⌉) uint8, packed.

        Raises:
            ValueError: the embedding does not have B columns, or holds NaN.
        """
        if embedding.ndim != 2 or embedding.shape[1] != self.bits:
            raise ValueError(f"embedding must have shape (N, {self.bits}), got {embedding.shape}")
        if np.isnan(embedding).any():
            rows = np.flatnonzero(np.isnan(embedding).any(axis=1))
            raise ValueError(f"embedding must be free of NaN, got it in {len(rows)} rows, first row {rows[0]}")
        return pack(embedding > self.threshold)

    def decode(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Bits of codes as numbers.

        Args:
            codes: (N, ⌈B / 8⌉) uint8, packed.

        Returns:
            (N, B) float32, 0 or 1.

        Raises:
            ValueError: wrong dtype or shape.
        """
        return unpack(codes, self.bits).astype(np.float32)
