"""By the number of bits in which codes differ: binary codes, and class indexes."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from dqh.index.engines.engine import ExactEngine, FilteringEngine, nothing
from dqh.index.faiss_export import empty_binary_flat, empty_binary_ivf
from dqh.index.hamming import HammingIndex
from dqh.index.ways.way import CodeWay, Way, coded
from dqh.native.bitmaps import Bitmap
from dqh.quantizers.quantizer import Coder
from dqh.ranking import Ranking
from dqh.ranking.side import Side

if TYPE_CHECKING:
    import torch

    from dqh.index.orders.order import Order


class Hamming(CodeWay):
    """Binary codes as such, the paper's BCS.

    Up to `most_rows` of 128 bits are expected to take 10 ms a query on one core in C: 8 million of 64 bits take 1.9 ms.
    """

    name = "binary"
    distance = "hamming"
    ball = "Hamming ball"
    asks: ClassVar[Literal["codes", "embedding"]] = "codes"
    engine: ClassVar[str] = "hamming"
    most_rows: ClassVar[float] = 20_000_000
    meaning = "Codes alone: items in order of the number of bits in which they differ from the query."

    def fits(self, quantizer: Coder | None) -> bool:
        """Codes that are compared bit by bit."""
        return quantizer is not None and "hamming" in quantizer.distances

    def index(self, quantizer: Coder, codes: NDArray[np.uint8]) -> ExactEngine:
        """A scan of all codes, as `HammingIndex` does it."""
        return _Scan(quantizer, codes)

    def in_faiss(self, quantizer: Coder, codes: NDArray[np.uint8]) -> Any:
        """A scan."""
        index = empty_binary_flat(quantizer.bits)
        index.add(np.ascontiguousarray(codes))
        return index

    def empty_in_faiss(self, quantizer: Coder, sample: NDArray[np.uint8], *, lists: int) -> dict[str, Any]:
        """A scan, and inverted lists."""
        bits = quantizer.bits
        return {"binary_flat": empty_binary_flat(bits), "binary_ivf": empty_binary_ivf(bits, sample, lists=lists)}

    def order(
        self, query: Side, database: Side, quantizer: Coder | None, *, device: "torch.device | str" = "cpu"
    ) -> "Order":
        """By histograms."""
        from dqh.index.orders.hamming import HammingOrder

        return HammingOrder(query, database, bits=coded(quantizer).bits, device=device)


class _Scan(FilteringEngine):
    name = Hamming.engine

    def __init__(self, quantizer: Coder, codes: NDArray[np.uint8]) -> None:
        self._index = HammingIndex(quantizer)
        self._index.add(codes)

    def search(self, embeddings: NDArray[np.floating[Any]], k: int, *, allowed: Bitmap | None = None) -> Ranking:
        return self._index.search(embeddings, k, allowed=allowed) if len(self._index) else nothing(len(embeddings), k)

    def within(self, embeddings: NDArray[np.floating[Any]], radius: float, *, allowed: Bitmap | None = None) -> Ranking:
        if not len(self._index):
            return nothing(len(embeddings), 0)
        return self._index.search_radius(embeddings, radius, allowed=allowed).to_ranking()


WAYS: tuple[Way, ...] = (Hamming(),)
