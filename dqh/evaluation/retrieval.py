"""One retrieval experiment: encoded queries against an encoded database, searched in three ways, measured and timed.

Metrics come from `Buckets` and do not depend on the order of the database; times come from the real indexes. Encoding
images is in `encoding`, the whole evaluation of an artifact in `evaluate`.

Q queries, N database items, B bits, D embedding dimensions, F feature dimensions.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.evaluation.buckets import Buckets, Pools, hamming_buckets, hamming_pools
from dqh.evaluation.conventions import convention
from dqh.evaluation.metrics import precision_within
from dqh.evaluation.ranked import Coarse, feature_buckets, ordered_hamming_buckets
from dqh.evaluation.relevance import Labels
from dqh.evaluation.tally import Curves, Row, Tally
from dqh.index.coarse_to_fine import Features, exhaustive, rerank
from dqh.index.hamming import BinaryQuantizer, HammingIndex
from dqh.ranking import Ranking

Search = Literal["binary", "exhaustive", "coarse_to_fine"]

SEARCHES: tuple[Search, ...] = ("binary", "exhaustive", "coarse_to_fine")
WITHIN = 2
"""Radius of `precision@r2`, bits."""

_QUERIES_AT_ONCE = 4096
_BATCH = 1000

_Searcher = Callable[[NDArray[np.float32], Features], Ranking]


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


class Retrieved(NamedTuple):
    """What `retrieve` found; both fields are plain JSON values.

    Attributes:
        rows: one a way of searching. `search`: its name. `mAP@…`, `P@…`, `recall@…`: means over queries, 0 … 1.
            `precision@r2`: share of relevant items within 2 bits, 0 where there is no item (`binary` only).
            `query_ms`: median of one query at a time, encoding excluded. `qps`: queries a second in one batch.
            `bytes_per_item`: of the codes and features searched. `candidates`: mean items that the last step compares.
        curves: by `search`: `precision_at_k` {k, precision} and `precision_recall` {recall, precision}.
    """

    rows: list[Row]
    curves: dict[str, Curves]


@dataclass(frozen=True)
class Retrieval:
    """How retrieval is evaluated.

    Coarse-to-fine takes as candidates of a query the smallest whole Hamming ball with at least `pool` items, or the
    ball of `radius` bits, ranks them by squared L2 between features, and lets the others follow by Hamming distance.
    The timed search, which must answer with a list, cuts at `pool` by id.

    Args:
        pool: candidates wanted, at least 1; not read where `radius` is given.
        radius: bits of the ball, at least 0; None to go by `pool`.
        map_cutoffs: cutoffs of mAP, None for all ranks; one beyond the database size counts all ranks.
        precision_cutoffs: cutoffs of P@K; those beyond the database size are left out.
        recall_cutoffs: cutoffs of recall@K; those beyond the database size are left out.
        convention: a name of `dqh.evaluation.conventions`.
        answers: items that the timed searches return, at least 1.
        timed_queries: queries timed one at a time, at most; 0 leaves `query_ms` and `qps` out.

    Raises:
        ValueError: a value is out of range or an unknown name; all problems are reported together.
    """

    pool: int = 1000
    radius: int | None = None
    map_cutoffs: tuple[int | None, ...] = (None, 1000)
    precision_cutoffs: tuple[int, ...] = (1, 10, 100, 500, 1000)
    recall_cutoffs: tuple[int, ...] = (100, 1000)
    convention: str = "default"
    answers: int = 100
    timed_queries: int = 100

    def __post_init__(self) -> None:
        problems = [
            f"{name} must be at least {least}, got {value}"
            for name, value, least in (
                ("pool", self.pool, 1),
                ("radius", self.radius, 0),
                ("answers", self.answers, 1),
                ("timed_queries", self.timed_queries, 0),
            )
            if value is not None and value < least
        ]
        for name in ("map_cutoffs", "precision_cutoffs", "recall_cutoffs"):
            cutoffs = tuple(getattr(self, name))
            object.__setattr__(self, name, cutoffs)
            if any(k is not None and k < 1 for k in cutoffs) or len(set(cutoffs)) < len(cutoffs):
                problems.append(f"{name} must be different numbers of at least 1, got {cutoffs}")
        try:
            convention(self.convention)
        except ValueError as error:
            problems.append(str(error))
        if problems:
            raise ValueError("\n".join(problems))

    def protocol(self) -> dict[str, Any]:
        """What must be known to compare the numbers; plain JSON values."""
        rules = convention(self.convention)
        by_pool = f"smallest whole Hamming ball with at least {self.pool} items"
        return {
            "relevance": "at least one shared label",
            "convention": self.convention,
            "ties": rules.ties,
            "normaliser": rules.normaliser,
            "zero_hits": rules.zero_hits,
            "pool": self.pool if self.radius is None else None,
            "radius": self.radius,
            "pool_rule": by_pool if self.radius is None else f"all items within {self.radius} bits",
            "feature_distance": "squared L2",
            "timed_answers": self.answers,
        }


def retrieve(
    query: Side,
    database: Side,
    *,
    quantizer: BinaryQuantizer,
    retrieval: Retrieval,
    device: torch.device | str = "cpu",
) -> Retrieved:
    """Metrics, times and curves of the three ways of searching.

    Two runs on the same inputs give the same metrics, bit for bit; another order of the database gives the same for
    `binary`, and for the others up to the rounding of feature distances. Nothing of size Q × N is held.

    Args:
        query: the queries; their codes must be those of their embeddings.
        database: what is searched.
        quantizer: made the codes.
        retrieval: how to search and what to measure.
        device: where distances and metrics are computed; the timed searches run on the CPU.

    Returns:
        Retrieved with the rows `binary`, `exhaustive` and `coarse_to_fine`.

    Raises:
        ValueError: the two sides do not fit together, or a feature is not finite.
    """
    _require_rows(query, database)
    rules, size = convention(retrieval.convention), len(database.codes)
    labels: dict[str, Labels] = {"query_labels": query.labels, "database_labels": database.labels}
    histograms = hamming_buckets(query.codes, database.codes, bits=quantizer.bits, device=device, **labels)
    pools = _pools(histograms, retrieval)
    coarse = Coarse(query.codes, database.codes, quantizer.bits, pools)
    tallies = {
        search: Tally(
            rules,
            size,
            map_cutoffs=retrieval.map_cutoffs,
            precision_cutoffs=retrieval.precision_cutoffs,
            recall_cutoffs=retrieval.recall_cutoffs,
        )
        for search in SEARCHES
    }
    stable = rules.ties == "order"
    by_code = ordered_hamming_buckets(coarse, device=device, **labels) if stable else _chunks(histograms)
    for buckets in by_code:
        tallies["binary"].add(buckets)
    by_feature = feature_buckets(
        query.features, database.features, coarse=coarse, stable=stable, device=device, **labels
    )
    for ranked in by_feature:
        assert ranked.coarse_to_fine is not None
        tallies["exhaustive"].add(ranked.exhaustive)
        tallies["coarse_to_fine"].add(ranked.coarse_to_fine)
    rows: dict[Search, Row] = {search: {"search": search} | tally.row() for search, tally in tallies.items()}
    rows["binary"][f"precision@r{WITHIN}"] = float(precision_within(histograms, WITHIN).cpu().numpy().mean())
    for search, costs in _costs(query, database, quantizer, pools, retrieval).items():
        rows[search] |= costs
    return Retrieved(list(rows.values()), {search: tally.curves() for search, tally in tallies.items()})


def neighbours(
    query: Side,
    database: Side,
    *,
    quantizer: BinaryQuantizer,
    retrieval: Retrieval,
    k: int,
    search: Search = "coarse_to_fine",
) -> Ranking:
    """The k nearest items of a few queries, as an interactive search returns them.

    Args:
        query: the queries.
        database: what is searched.
        quantizer: made the codes.
        retrieval: how many candidates coarse-to-fine re-ranks; a pool is cut by id.
        k: answers a query, at least 1; padded where there are fewer.
        search: `binary`, `exhaustive` or `coarse_to_fine`.

    Returns:
        Ranking of (Q, k), distances in bits for `binary`, else squared L2.

    Raises:
        ValueError: k is below 1, the search is unknown, or the two sides do not fit together.
    """
    if search not in SEARCHES:
        raise ValueError(f"search must be one of {', '.join(SEARCHES)}, got {search!r}")
    _require_rows(query, database)
    return _searchers(database, quantizer, retrieval, k)[search](query.embedding, query.features)


def _pools(histograms: Buckets, retrieval: Retrieval) -> Pools:
    if retrieval.radius is not None:
        return hamming_pools(histograms, radius=retrieval.radius)
    return hamming_pools(histograms, pool=retrieval.pool)


def _searchers(database: Side, quantizer: BinaryQuantizer, retrieval: Retrieval, k: int) -> dict[Search, _Searcher]:
    index = HammingIndex(quantizer)
    index.add(database.codes)

    def coarse_to_fine(embedding: NDArray[np.float32], features: Features) -> Ranking:
        if retrieval.radius is not None:
            candidates = index.search_radius(embedding, retrieval.radius).to_ranking()
        else:
            candidates = index.search(embedding, min(retrieval.pool, len(index)))
        return rerank(candidates, features, database.features, k=k)

    return {
        "binary": lambda embedding, features: index.search(embedding, k),
        "exhaustive": lambda embedding, features: exhaustive(features, database.features, k=k),
        "coarse_to_fine": coarse_to_fine,
    }


def _costs(
    query: Side, database: Side, quantizer: BinaryQuantizer, pools: Pools, retrieval: Retrieval
) -> dict[Search, Row]:
    size, code_bytes = database.codes.shape
    feature_bytes = database.features.shape[1] * database.features.dtype.itemsize
    costs: dict[Search, Row] = {
        "binary": {"bytes_per_item": code_bytes, "candidates": size},
        "exhaustive": {"bytes_per_item": feature_bytes, "candidates": size},
        "coarse_to_fine": {
            "bytes_per_item": code_bytes + feature_bytes,
            "candidates": float(pools.sizes.double().mean()),
        },
    }
    if retrieval.timed_queries:
        searchers = _searchers(database, quantizer, retrieval, min(retrieval.answers, size))
        for search, searcher in searchers.items():
            costs[search] = _times(searcher, query, retrieval.timed_queries) | costs[search]
    return costs


def _times(search: _Searcher, query: Side, timed: int) -> Row:
    """Median milliseconds of a query alone, and queries a second of a batch, after one call to warm up."""
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


def _chunks(buckets: Buckets) -> Iterator[Buckets]:
    for start in range(0, len(buckets), _QUERIES_AT_ONCE):
        yield buckets.rows(start, start + _QUERIES_AT_ONCE)


def _require_rows(query: Side, database: Side) -> None:
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
