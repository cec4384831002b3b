"""The exact engine of binary codes: a scan of all of them, as `HammingIndex` does it."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from dqh.index.engines.engine import ExactEngine, nothing
from dqh.index.hamming import HammingIndex
from dqh.quantizers import Quantizer
from dqh.ranking import Ranking


class Hamming(ExactEngine):
    """By the number of bits that differ. Up to `most_rows` a query takes about 10 ms on one core, by faiss 1.15."""

    name: ClassVar[str] = "hamming"
    most_rows: ClassVar[float] = 10_000_000

    def __init__(self, index: HammingIndex) -> None:
        self._index = index

    @classmethod
    def fits(cls, quantizer: Quantizer, distance: str) -> bool:
        """Codes that are compared bit by bit."""
        return "hamming" in quantizer.distances

    @classmethod
    def build(cls, quantizer: Quantizer, codes: NDArray[np.uint8], distance: str) -> Self:
        """Over codes (N, ⌈B / 8⌉)."""
        index = HammingIndex(quantizer)
        index.add(codes)
        return cls(index)

    def search(self, embeddings: NDArray[np.floating[Any]], k: int) -> Ranking:
        """The k nearest rows."""
        return self._index.search(embeddings, k) if len(self._index) else nothing(len(embeddings), k)

    def within(self, embedding: NDArray[np.floating[Any]], radius: float) -> Ranking:
        """All rows at most `radius` bits away."""
        if not len(self._index):
            return nothing(len(embedding), 0)
        # faiss holds a radius in 32 bits; no distance is beyond the number of bits
        return self._index.search_radius(embedding, int(min(radius, self._index.bits))).to_ranking()
