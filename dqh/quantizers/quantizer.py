"""What all quantizers have in common: embeddings become packed codes, and back."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class Quantizer(Protocol):
    """From embeddings to codes and back.

    Attributes:
        kind: of the codes, as artifacts name it; the key in `dqh.quantizers.QUANTIZERS`.
        rule: how a bit comes about, in words for an artifact.
        bits: length of a code.
    """

    kind: ClassVar[str]
    rule: ClassVar[str]
    bits: int

    @property
    def dimension(self) -> int:
        """D, length of an embedding."""
        ...

    def state(self) -> dict[str, Tensor]:
        """What an artifact keeps beside the number of bits."""
        ...

    @classmethod
    def from_state(cls, bits: int, state: Mapping[str, Tensor]) -> Self:
        """The quantizer whose `state` was kept; `KeyError` where something is missing in it."""
        ...

    def encode(self, embedding: NDArray[np.floating[Any]], /) -> NDArray[np.uint8]:
        """Packed codes, (N, ⌈bits / 8⌉) uint8, of embeddings (N, D)."""
        ...

    def decode(self, codes: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """What packed codes stand for, (N, D)."""
        ...

    def soft(self, embedding: NDArray[np.floating[Any]], /, *, tolerance: float) -> NDArray[np.bool_]:
        """(N, bits): a change of the embedding by `tolerance` can change this bit."""
        ...


def require_embedding(embedding: NDArray[np.floating[Any]], dimension: int, *, finite: bool = False) -> None:
    """Raise `ValueError` unless an embedding has the shape (N, `dimension`) and is free of NaN, or all `finite`."""
    if embedding.ndim != 2 or embedding.shape[1] != dimension:
        raise ValueError(f"embedding must have shape (N, {dimension}), got {embedding.shape}")
    bad = ~np.isfinite(embedding) if finite else np.isnan(embedding)
    if bad.any():
        rows = np.flatnonzero(bad.any(axis=1))
        unwanted = "NaN and infinity" if finite else "NaN"
        raise ValueError(f"embedding must be free of {unwanted}, got it in {len(rows)} rows, first row {rows[0]}")
