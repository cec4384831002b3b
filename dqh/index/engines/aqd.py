"""The exact engine of product-quantized codes: sums of look-up tables over all of them, as `AQDIndex` makes them."""

from typing import Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray

from dqh.index.aqd import AQDIndex, CodebookQuantizer, Distance
from dqh.index.engines.engine import ExactEngine, nothing, ordered
from dqh.quantizers import Quantizer
from dqh.ranking import Ranking

_SCAN = 2**18


class AQD(ExactEngine):
    """By asymmetric quantizer distance. Up to `most_rows` a query takes about 10 ms on one core, by faiss 1.15."""

    name: ClassVar[str] = "aqd"
    most_rows: ClassVar[float] = 2_000_000

    def __init__(self, index: AQDIndex, codes: NDArray[np.uint8]) -> None:
        self._index, self._codes = index, codes

    @classmethod
    def fits(cls, quantizer: Quantizer, distance: str) -> bool:
        """Codes that stand for vectors, by any distance."""
        return "l2" in quantizer.distances

    @classmethod
    def build(cls, quantizer: Quantizer, codes: NDArray[np.uint8], distance: str) -> Self:
        """Over codes (N, ⌈B / 8⌉)."""
        index = AQDIndex(cast(CodebookQuantizer, quantizer), distance=cast(Distance, distance))
        index.add(codes)
        return cls(index, codes)

    def search(self, embeddings: NDArray[np.floating[Any]], k: int) -> Ranking:
        """The k nearest rows."""
        return self._index.search(embeddings, k) if len(self._index) else nothing(len(embeddings), k)

    def within(self, embedding: NDArray[np.floating[Any]], radius: float) -> Ranking:
        """All rows at most `radius` away."""
        from dqh.index.lookup import lookup_sums, lookup_tables

        quantizer, distance = self._index.quantizer, self._index.distance
        tables = lookup_tables(quantizer, embedding, distance=distance)
        rows, distances = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
        for start in range(0, len(self._codes), _SCAN):
            indices = quantizer.codewords_of(self._codes[start : start + _SCAN])
            norms = _norms(quantizer, indices) if distance == "cosine" else None
            found = lookup_sums(tables, indices, norms=norms)[0]
            near = np.flatnonzero(found <= radius)
            rows.append(near + start)
            distances.append(found[near])
        return ordered(np.concatenate(rows)[None], np.concatenate(distances)[None])


def _norms(quantizer: CodebookQuantizer, indices: NDArray[np.int64]) -> NDArray[np.float32]:
    """(N,) L2 norms of what codewords (N, M) stand for."""
    import torch

    from dqh.index.tables import decoded_norms

    norms: NDArray[np.float32] = decoded_norms(quantizer, torch.from_numpy(indices)).numpy()
    return norms
