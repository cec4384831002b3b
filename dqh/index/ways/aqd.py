"""By the asymmetric quantizer distance (AQD): a query in floats against what codes stand for."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import numpy as np
from numpy.typing import NDArray

from dqh.index.aqd import AQDIndex, CodebookQuantizer, Distance
from dqh.index.engines.engine import ExactEngine, FilteringEngine, nothing
from dqh.index.faiss_export import empty_ivfpq, index_pq
from dqh.index.ways.way import CodeWay, Way, coded
from dqh.native.bitmaps import Bitmap
from dqh.quantizers.quantizer import Coder
from dqh.ranking import Ranking
from dqh.ranking.side import Side

if TYPE_CHECKING:
    import torch

    from dqh.index.orders.order import Order

_WORDS = {"l2": "squared L2", "ip": "inner product", "cosine": "cosine"}


class AQD(CodeWay):
    """Sums of look-up tables. Up to `most_rows` of 64 bits a query takes 3 to 5 ms on one core in C."""

    asks: ClassVar[Literal["codes", "embedding"]] = "embedding"
    engine: ClassVar[str] = "aqd"
    most_rows: ClassVar[float] = 8_000_000
    symmetric: ClassVar[bool] = False
    distance: Distance

    def __init__(self, distance: Distance, *, meaning: str, against: str | None = None) -> None:
        self.name, self.distance = f"{self.engine}_{distance}", distance
        self.meaning, self.against = meaning, against
        symmetry = "symmetric" if self.symmetric else "asymmetric"
        self.ball = f"ball of {symmetry} distances ({self.engine.upper()}, {_WORDS[distance]})"

    def fits(self, quantizer: Coder | None) -> bool:
        """Codes that stand for vectors."""
        return quantizer is not None and "l2" in quantizer.distances

    def restates(self, other: Way) -> bool:
        """The same codes by another distance."""
        return type(other) is type(self) and other.distance != self.distance

    def index(self, quantizer: Coder, codes: NDArray[np.uint8]) -> ExactEngine:
        """A scan of all codes, as `AQDIndex` does it."""
        return _Scan(self, quantizer, codes)

    def in_faiss(self, quantizer: Coder, codes: NDArray[np.uint8]) -> Any:
        """A scan; none of faiss divides by norms, or quantizes queries."""
        if self.symmetric or self.distance == "cosine":
            return super().in_faiss(quantizer, codes)
        return index_pq(cast(CodebookQuantizer, quantizer), codes, distance=self.distance)

    def empty_in_faiss(self, quantizer: Coder, sample: NDArray[np.uint8], *, lists: int) -> dict[str, Any]:
        """A scan, and inverted lists, likewise."""
        if self.symmetric or self.distance == "cosine":
            return {}
        books, by = cast(CodebookQuantizer, quantizer), self.distance
        return {
            f"pq_{by}": index_pq(books, sample[:0], distance=by),
            f"ivfpq_{by}": empty_ivfpq(books, sample, lists=lists, distance=by),
        }

    def order(
        self, query: Side, database: Side, quantizer: Coder | None, *, device: "torch.device | str" = "cpu"
    ) -> "Order":
        """By a sort of the sums."""
        from dqh.index.orders.tables import TableOrder

        return TableOrder(
            query,
            database,
            quantizer=coded(quantizer),
            distance=self.distance,
            symmetric=self.symmetric,
            device=device,
        )


class _Scan(FilteringEngine):
    def __init__(self, way: AQD, quantizer: Any, codes: NDArray[np.uint8]) -> None:
        self.name = way.engine
        self._index = AQDIndex(quantizer, distance=way.distance, symmetric=way.symmetric)
        self._index.add(codes)

    def search(self, embeddings: NDArray[np.floating[Any]], k: int, *, allowed: Bitmap | None = None) -> Ranking:
        return self._index.search(embeddings, k, allowed=allowed) if len(self._index) else nothing(len(embeddings), k)

    def within(self, embeddings: NDArray[np.floating[Any]], radius: float, *, allowed: Bitmap | None = None) -> Ranking:
        if not len(self._index):
            return nothing(len(embeddings), 0)
        return self._index.search_radius(embeddings, radius, allowed=allowed).to_ranking()


WAYS: tuple[Way, ...] = (
    AQD("l2", meaning="Codes alone: the float query against items' codewords, squared L2 by look-up tables (AQD)."),
    AQD("ip", meaning="Codes alone: the float query against items' codewords, inner product by look-up tables (AQD)."),
    AQD("cosine", meaning="Codes alone: the same codes and tables by cosine."),
)
