"""By float vectors, nothing of which is quantized: embeddings, or features."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from dqh.index.aqd import Distance
from dqh.index.coarse_to_fine import exhaustive
from dqh.index.ways.way import Reads, Searcher, Way
from dqh.lazy import faiss
from dqh.quantizers.quantizer import Coder
from dqh.ranking import Ranking
from dqh.ranking.side import Features, Side

if TYPE_CHECKING:
    import torch

    from dqh.index.orders.order import Order


class VectorWay(Way):
    """Float vectors by a distance: squared L2, the negative inner product, or 1 − cosine."""

    reads: ClassVar[Literal["embedding", "features"]]
    distance: Distance

    def __init__(self, name: str, distance: Distance, *, meaning: str, against: str | None = None) -> None:
        self.name, self.distance, self.meaning, self.against = name, distance, meaning, against

    def item_bytes(self, database: Side) -> int:
        """Those of a vector."""
        vectors = getattr(database, self.reads)
        return int(vectors.shape[1] * vectors.dtype.itemsize)

    def searcher(
        self, database: Side, quantizer: Coder | None, *, k: int, device: "torch.device | str" = "cpu"
    ) -> Searcher:
        """A scan of all vectors; equal distances come in the order of faiss."""
        items = getattr(database, self.reads)
        search = _scan(items, self.distance, k=k)
        if self.reads == "embedding":
            return lambda embedding, features: search(embedding)
        return lambda embedding, features: search(features)

    def order(
        self, query: Side, database: Side, quantizer: Coder | None, *, device: "torch.device | str" = "cpu"
    ) -> "Order":
        """By a sort of the distances."""
        from dqh.index.orders.vectors import VectorOrder

        return VectorOrder(query, database, by=self.reads, distance=self.distance, device=device)


class Embedding(VectorWay):
    """Embeddings as they are."""

    reads: ClassVar[Literal["embedding", "features"]] = "embedding"

    def fits(self, quantizer: Coder | None) -> bool:
        """What codes stand for where they stand for vectors."""
        return quantizer is not None and "l2" in quantizer.distances

    def restates(self, other: Way) -> bool:
        """Another distance than that of the codes, between what they were made of."""
        return other.distance != self.distance


class Exhaustive(VectorWay):
    """Features as they are, the paper's ES."""

    reads: ClassVar[Literal["embedding", "features"]] = "features"

    def fits(self, quantizer: Coder | None) -> bool:
        """Whatever the codes are."""
        return True


class ExhaustiveL1(Way):
    """Features by L1, a slow sum on the CPU: for studies of features, where there are no codes."""

    name = "exhaustive_l1"
    distance = "l1"
    reads: ClassVar[Reads] = "features"
    meaning = "The query's float features against those of every item, by L1."

    def fits(self, quantizer: Coder | None) -> bool:
        """Vectors without codes."""
        return quantizer is None

    def item_bytes(self, database: Side) -> int:
        """Those of a vector."""
        return int(database.features.shape[1] * database.features.dtype.itemsize)

    def searcher(
        self, database: Side, quantizer: Coder | None, *, k: int, device: "torch.device | str" = "cpu"
    ) -> Searcher:
        """A scan of all vectors."""
        return lambda embedding, features: _knn(features, database.features, k=k, metric=faiss.METRIC_L1)

    def order(
        self, query: Side, database: Side, quantizer: Coder | None, *, device: "torch.device | str" = "cpu"
    ) -> "Order":
        """By a sort of the sums."""
        from dqh.index.orders.vectors import L1Order

        return L1Order(query, database, device=device)


def _scan(database: Features, distance: Distance, *, k: int) -> Any:
    """Vectors (Q, F) of queries → Ranking of (Q, k)."""
    if distance == "l2":
        return lambda vectors: exhaustive(vectors, database, k=k)
    cosine = distance == "cosine"
    items = _unit(database) if cosine else np.ascontiguousarray(database, np.float32)

    def scan(vectors: Features) -> Ranking:
        queries = _unit(vectors) if cosine else np.ascontiguousarray(vectors, np.float32)
        ids, products = _knn(queries, items, k=k, metric=faiss.METRIC_INNER_PRODUCT)
        return Ranking(ids, np.where(ids < 0, np.inf, 1 - products if cosine else -products).astype(np.float32))

    return scan


def _knn(queries: Features, items: Features, *, k: int, metric: int) -> Ranking:
    """What faiss finds, padded to k."""
    distances, ids = faiss.knn(
        np.ascontiguousarray(queries, np.float32),
        np.ascontiguousarray(items, np.float32),
        min(k, len(items)),
        metric=metric,
    )
    return Ranking(ids, distances).padded(k)


def _unit(vectors: Features) -> NDArray[np.float32]:
    """Vectors of length 1; those of length 0 stay."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, np.where(norms > 0, norms, 1), dtype=np.float32)


_AGAINST = "what quantization costs or brings"

WAYS: tuple[Way, ...] = (
    Embedding(
        "embedding_l2",
        "l2",
        meaning="Float embeddings without quantization, squared L2: what the codes stand for.",
        against=_AGAINST,
    ),
    Embedding("embedding_ip", "ip", meaning="Float embeddings without quantization, inner product.", against=_AGAINST),
    Embedding("embedding_cosine", "cosine", meaning="Float embeddings without quantization, cosine."),
    Exhaustive(
        "exhaustive",
        "l2",
        meaning="No codes: the query's float features against those of every item.",
        against="codes against the float features of the same network",
    ),
    ExhaustiveL1(),
)
