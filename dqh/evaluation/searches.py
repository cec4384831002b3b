"""The three ways of searching, as a program does them: indexes on the CPU, what they answer, how long they take.

How good the answers are is measured in `retrieval`.

Q queries, N database items, B bits, D embedding dimensions, F feature dimensions.
"""

import time
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.evaluation.relevance import Labels
from dqh.evaluation.tally import Row
from dqh.index.coarse_to_fine import Features, exhaustive, rerank
from dqh.index.hamming import BinaryQuantizer, HammingIndex
from dqh.ranking import Ranking

Search = Literal["binary", "exhaustive", "coarse_to_fine"]
Searcher = Callable[[NDArray[np.float32], Features], Ranking]

SEARCHES: tuple[Search, ...] = ("binary", "exhaustive", "coarse_to_fine")

_BATCH = 1000
_HITS = 2**21
"""Candidates that a coarse search may hold at a time; each takes up to 70 bytes until it is re-ranked."""


class Side(NamedTuple):
    """The queries, or the database, of a retrieval experiment.

    Attributes:
        codes: (N, ⌈B / 8⌉) uint8, packed.
        embedding: (N, D) float32, what the codes were made of; only that of the queries is read.
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


def searchers(
    database: Side, quantizer: BinaryQuantizer, *, pool: int, radius: int | None, k: int
) -> dict[Search, Searcher]:
    """The ways of searching a database, each a function of embeddings and features of queries.

    Args:
        database: what is searched; its labels are not read.
        quantizer: made the codes.
        pool: candidates that coarse-to-fine re-ranks, cut by id; not read where `radius` is given.
        radius: bits; all items within are candidates.
        k: answers a query, at least 1.

    Returns:
        By name, functions of (Q, D) float32 and (Q, F) that return a Ranking of (Q, k).
    """
    index = HammingIndex(quantizer)
    index.add(database.codes)
    pool = min(pool, len(index))
    step = max(1, _HITS // (pool if radius is None else len(index)))

    def some(embedding: NDArray[np.float32], features: Features) -> Ranking:
        if radius is not None:
            candidates = index.search_radius(embedding, radius).to_ranking()
        else:
            candidates = index.search(embedding, pool)
        return rerank(candidates, features, database_features=database.features, k=k)

    def coarse_to_fine(embedding: NDArray[np.float32], features: Features) -> Ranking:
        chunks = [slice(start, start + step) for start in range(0, max(1, len(embedding)), step)]
        found = [some(embedding[rows], features[rows]) for rows in chunks]
        return Ranking(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    return {
        "binary": lambda embedding, features: index.search(embedding, k),
        "exhaustive": lambda embedding, features: exhaustive(features, database.features, k=k),
        "coarse_to_fine": coarse_to_fine,
    }


def times(search: Searcher, query: Side, *, timed: int) -> Row:
    """Times of a way of searching, after one call to warm up.

    Args:
        search: one of `searchers`.
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


def require_rows(query: Side, database: Side) -> None:
    """Raise `ValueError` unless both sides have a row for each code, and features of one length."""
    problems = [
        f"{field} of the {name} must have a row for each of its {len(side.codes)} codes, got {rows}"
        for name, side in (("query", query), ("database", database))
        for field, rows in (("features", len(side.features)), ("embedding", len(side.embedding)))
        if rows != len(side.codes) and (name, field) != ("database", "embedding")
    ]
    if query.features.ndim != 2 or query.features.shape[1:] != database.features.shape[1:]:
        problems.append(
            "features of query and database must have shapes (Q, F) and (N, F), "
            f"got {query.features.shape} and {database.features.shape}"
        )
    if problems:
        raise ValueError("\n".join(problems))
