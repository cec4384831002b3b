"""The ways of searching, as a program does them: indexes on the CPU, what they answer, how long they take.

How good the answers are is measured in `retrieval`.

Q queries, N database items, B bits, D embedding dimensions, F feature dimensions.
"""

import time
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, get_args

import faiss
import numpy as np
from numpy.typing import NDArray

from dqh.evaluation.relevance import Labels
from dqh.evaluation.tally import Row
from dqh.index.aqd import AQDIndex, Distance
from dqh.index.coarse_to_fine import Features, exhaustive, rerank
from dqh.index.hamming import HammingIndex
from dqh.quantizers import ProductQuantizer, Quantizer
from dqh.ranking import Ranking

Search = Literal[
    "binary",
    "aqd_l2",
    "aqd_ip",
    "aqd_cosine",
    "sqd_l2",
    "sqd_ip",
    "embedding_l2",
    "embedding_ip",
    "embedding_cosine",
    "exhaustive",
    "coarse_to_fine",
]
Searcher = Callable[[NDArray[np.float32], Features], Ranking]

_BATCH = 1000
_HITS = 2**21
"""Candidates that a coarse search may hold at a time; each takes up to 70 bytes until it is re-ranked."""


class Side(NamedTuple):
    """The queries, or the database, of a retrieval experiment.

    Attributes:
        codes: (N, ⌈B / 8⌉) uint8, packed.
        embedding: (N, D) float32, what the codes were made of; that of a database of binary codes is not read.
        features: (N, F) float32 or float16, array or memory map.
        labels: (N,) int64, or (N, C) bool.
    """

    codes: NDArray[np.uint8]
    embedding: NDArray[np.float32]
    features: Features
    labels: Labels

    def at(self, positions: Sequence[int]) -> "Side":
        """The rows at some positions."""
        chosen = list(positions)
        return Side(self.codes[chosen], self.embedding[chosen], self.features[chosen], self.labels[chosen])


def searches_of(quantizer: Quantizer) -> tuple[Search, ...]:
    """The ways of searching codes of a quantizer; the first, by its codes alone, is the main one.

    Product-quantized codes are searched by their own distance first, by the others, and by that of quantized queries.
    """
    every: tuple[Search, ...] = get_args(Search)
    if isinstance(quantizer, ProductQuantizer):
        by_l2 = quantizer.distance == "l2"
        first: Search = "aqd_l2" if by_l2 else "aqd_ip"
        left_out = {"binary", first, "sqd_ip" if by_l2 else "sqd_l2"}
        return first, *(search for search in every if search not in left_out)
    return "binary", "exhaustive", "coarse_to_fine"


def distance_of(search: Search) -> Distance:
    """What a search by codes or embedding goes by; squared L2 where its name says no distance."""
    if search.endswith("_ip"):
        return "ip"
    return "cosine" if search.endswith("_cosine") else "l2"


def searcher(
    search: Search, database: Side, quantizer: Quantizer, *, pool: int, radius: int | None, k: int
) -> Searcher:
    """A way of searching a database, as a function of embeddings and features of queries.

    Args:
        search: one of `searches_of` the quantizer.
        database: what is searched; its labels are not read.
        quantizer: made the codes.
        pool: candidates that coarse-to-fine re-ranks, cut by id; not read where `radius` is given.
        radius: bits; all items within are candidates; None for product-quantized codes.
        k: answers a query, at least 1.

    Returns:
        A function of (Q, D) float32 and (Q, F) that returns a Ranking of (Q, k).

    Raises:
        ValueError: another search.
    """
    if search not in searches_of(quantizer):
        raise ValueError(f"search must be one of {', '.join(searches_of(quantizer))}, got {search!r}")
    if search == "exhaustive":
        return lambda embedding, features: exhaustive(features, database.features, k=k)
    if search == "coarse_to_fine":
        return _coarse_to_fine(database, quantizer, pool=pool, radius=radius, k=k)
    if search.startswith("embedding"):
        return _by_embedding(database.embedding, distance_of(search), k=k)
    index = _index(database, quantizer, distance=distance_of(search), symmetric=search.startswith("sqd"))
    return lambda embedding, features: index.search(embedding, k)


def _coarse_to_fine(database: Side, quantizer: Quantizer, *, pool: int, radius: int | None, k: int) -> Searcher:
    index = _index(database, quantizer)
    pool = min(pool, len(index))
    step = max(1, _HITS // (pool if radius is None else len(index)))

    def some(embedding: NDArray[np.float32], features: Features) -> Ranking:
        if radius is not None:
            assert isinstance(index, HammingIndex)
            candidates = index.search_radius(embedding, radius).to_ranking()
        else:
            candidates = index.search(embedding, pool)
        return rerank(candidates, features, database_features=database.features, k=k)

    def coarse_to_fine(embedding: NDArray[np.float32], features: Features) -> Ranking:
        chunks = [slice(start, start + step) for start in range(0, max(1, len(embedding)), step)]
        found = [some(embedding[rows], features[rows]) for rows in chunks]
        return Ranking(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    return coarse_to_fine


def _index(
    database: Side, quantizer: Quantizer, *, distance: Distance | None = None, symmetric: bool = False
) -> HammingIndex | AQDIndex:
    index = (
        AQDIndex(quantizer, distance=distance, symmetric=symmetric)
        if isinstance(quantizer, ProductQuantizer)
        else HammingIndex(quantizer)
    )
    index.add(database.codes)
    return index


def _by_embedding(database: NDArray[np.float32], distance: Distance, *, k: int) -> Searcher:
    """A scan of float embeddings; equal distances come in the order of faiss."""
    if distance == "l2":
        return lambda embedding, features: exhaustive(embedding, database, k=k)
    items = _unit(database) if distance == "cosine" else np.ascontiguousarray(database, np.float32)

    def scan(embedding: NDArray[np.float32], features: Features) -> Ranking:
        queries = _unit(embedding) if distance == "cosine" else np.ascontiguousarray(embedding, np.float32)
        products, ids = faiss.knn(queries, items, min(k, len(items)), metric=faiss.METRIC_INNER_PRODUCT)
        padding = ((0, 0), (0, k - ids.shape[1]))
        distances = (1 - products) if distance == "cosine" else -products
        return Ranking(np.pad(ids, padding, constant_values=-1), np.pad(distances, padding, constant_values=np.inf))

    return scan


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors of length 1; those of length 0 stay."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, np.where(norms > 0, norms, 1), dtype=np.float32)


def times(search: Searcher, query: Side, *, timed: int) -> Row:
    """Times of a way of searching, after one call to warm up.

    Args:
        search: a `searcher`.
        query: the queries; of more than 1,000 the first 1,000.
        timed: queries that are timed alone, at most, at least 1.

    Returns:
        `query_ms`: median milliseconds of a query alone. `qps`: queries a second of all together.
    """
    embedding, features = query.embedding[:_BATCH], query.features[:_BATCH]
    spent = []
    search(embedding[:1], features[:1])
    for row in range(min(timed, len(embedding))):
        start = time.perf_counter()
        search(embedding[row : row + 1], features[row : row + 1])
        spent.append(time.perf_counter() - start)
    start = time.perf_counter()
    search(embedding, features)
    seconds = time.perf_counter() - start
    return {"query_ms": 1000 * float(np.median(spent)), "qps": len(embedding) / seconds}


def require_rows(query: Side, database: Side, *, embedded: bool = False) -> None:
    """Raise `ValueError` unless both sides have a row for each code, and features of one length.

    Where the database must be `embedded`, too, its embedding is checked as well.
    """
    problems = [
        f"{field} of the {name} must have a row for each of its {len(side.codes)} codes, got {rows}"
        for name, side in (("query", query), ("database", database))
        for field, rows in (("features", len(side.features)), ("embedding", len(side.embedding)))
        if rows != len(side.codes) and (embedded or (name, field) != ("database", "embedding"))
    ]
    if query.features.ndim != 2 or query.features.shape[1:] != database.features.shape[1:]:
        problems.append(
            "features of query and database must have shapes (Q, F) and (N, F), "
            f"got {query.features.shape} and {database.features.shape}"
        )
    if problems:
        raise ValueError("\n".join(problems))
