"""One retrieval experiment: encoded queries against an encoded database, searched in three ways, measured and timed.

Metrics come from `Buckets` and do not depend on the order of the database; times come from the real indexes, in
`searches`. Encoding images is in `encoding`, the whole evaluation of an artifact in `evaluate`.

Q queries, N database items.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from dqh.evaluation.buckets import Buckets, Pools, hamming_buckets, hamming_pools
from dqh.evaluation.conventions import convention
from dqh.evaluation.metrics import precision_within
from dqh.evaluation.ranked import Coarse, feature_buckets, ordered_hamming_buckets
from dqh.evaluation.relevance import Labels
from dqh.evaluation.searches import SEARCHES, Search, Side, require_rows, searchers, times
from dqh.evaluation.tally import Curves, PerQuery, Row, Tally
from dqh.index.hamming import BinaryQuantizer
from dqh.ranking import Ranking

__all__ = ["SEARCHES", "Retrieval", "Retrieved", "Search", "Side", "neighbours", "retrieve"]


class Retrieved(NamedTuple):
    """What `retrieve` found; rows and curves are plain JSON values.

    Attributes:
        rows: one a way of searching. `search`: its name. `mAP@…`, `P@…`, `recall@…`: means over queries, 0 … 1.
            `precision@r…`: share of relevant items within so many bits, 0 where there is no item (`binary` only).
            `query_ms`: median of one query at a time, encoding excluded. `qps`: queries a second in one batch.
            `bytes_per_item`: of the codes and features searched. `candidates`: mean items that the last step compares.
        curves: by `search`: `precision_at_k` {k, precision} and `precision_recall` {recall, precision}.
        average_precision: by `search`: of each query, at the first of `Retrieval.map_cutoffs`.
    """

    rows: list[Row]
    curves: dict[str, Curves]
    average_precision: dict[str, PerQuery]


@dataclass(frozen=True, kw_only=True)
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
        within: radii of the Hamming balls of `precision@r…`, bits, at least 0.
        convention: a name of `dqh.evaluation.conventions`.
        answers: items that the timed searches return, at least 1.
        timed_queries: queries timed one at a time, at most; 0 leaves `query_ms` and `qps` out.

    Raises:
        ValueError: a value is of another type, out of range or an unknown name; all problems are reported together.
    """

    pool: int = 1000
    radius: int | None = None
    map_cutoffs: tuple[int | None, ...] = (None, 1000)
    precision_cutoffs: tuple[int, ...] = (1, 10, 100, 500, 1000)
    recall_cutoffs: tuple[int, ...] = (100, 1000)
    within: tuple[int, ...] = (2,)
    convention: str = "default"
    answers: int = 100
    timed_queries: int = 100

    def __post_init__(self) -> None:
        problems = []
        for name, least in (("pool", 1), ("radius", 0), ("answers", 1), ("timed_queries", 0)):
            value = getattr(self, name)
            if type(value) is not int and (name, value) != ("radius", None):
                problems.append(f"{name} must be a whole number, got {value!r}")
            elif value is not None and value < least:
                problems.append(f"{name} must be at least {least}, got {value}")
        for name, least in (("map_cutoffs", 1), ("precision_cutoffs", 1), ("recall_cutoffs", 1), ("within", 0)):
            if not _are_different(getattr(self, name), least=least, optional=name == "map_cutoffs"):
                problems.append(
                    f"{name} must be a tuple of different whole numbers of at least {least}, got {getattr(self, name)}"
                )
        try:
            convention(self.convention)
        except ValueError as error:
            problems.append(str(error))
        if problems:
            raise ValueError("\n".join(problems))

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON values; `Retrieval.from_json` is the inverse."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Retrieval":
        """The settings that `to_json` wrote.

        Args:
            fields: values by name; one that is missing, because it is younger than the file, has its default.

        Raises:
            ValueError: a field is unknown or its value is not one of its own; all problems are reported together.
        """
        known = {field.name: isinstance(field.default, tuple) for field in dataclasses.fields(cls)}
        arguments: dict[str, Any] = {
            name: tuple(value) if known[name] and isinstance(value, list) else value
            for name, value in fields.items()
            if name in known
        }
        problems = [f"{name}: no such field, wanted {', '.join(known)}" for name in fields if name not in known]
        try:
            settings = cls(**arguments)
        except ValueError as error:
            problems.append(str(error))
        if problems:
            raise ValueError("\n".join(problems))
        return settings

    def tally(self, size: int) -> Tally:
        """An empty `Tally` of what is to be measured in a database of `size` items."""
        return Tally(
            convention(self.convention),
            size,
            map_cutoffs=self.map_cutoffs,
            precision_cutoffs=self.precision_cutoffs,
            recall_cutoffs=self.recall_cutoffs,
        )

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
    require_rows(query, database)
    bits, labels = quantizer.bits, _labels(query, database)
    histograms = hamming_buckets(query.codes, database.codes, bits=bits, device=device, **labels)
    coarse = Coarse(query.codes, database.codes, bits, _pools(histograms, retrieval))
    tallies = _tallies(query, database, histograms=histograms, coarse=coarse, retrieval=retrieval, device=device)
    costs = _costs(query, database, quantizer=quantizer, pools=coarse.pools, retrieval=retrieval)
    rows: dict[Search, Row] = {search: {"search": search} | tally.row() for search, tally in tallies.items()}
    for radius in retrieval.within:
        rows["binary"][f"precision@r{radius}"] = float(precision_within(histograms, radius).cpu().numpy().mean())
    return Retrieved(
        [row | costs[search] for search, row in rows.items()],
        {search: tally.curves() for search, tally in tallies.items()},
        {search: tally.average_precision(retrieval.map_cutoffs[0]) for search, tally in tallies.items()},
    )


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
    require_rows(query, database)
    ways = searchers(database, quantizer, pool=retrieval.pool, radius=retrieval.radius, k=k)
    return ways[search](query.embedding, query.features)


def _are_different(values: Any, *, least: int, optional: bool) -> bool:
    """Whether these are a tuple of different whole numbers of at least `least`, or None where that is `optional`."""
    if type(values) is not tuple:
        return False
    fit = all((value is None and optional) or (type(value) is int and value >= least) for value in values)
    return fit and len(set(values)) == len(values)


def _pools(histograms: Buckets, retrieval: Retrieval) -> Pools:
    if retrieval.radius is not None:
        return hamming_pools(histograms, radius=retrieval.radius)
    return hamming_pools(histograms, pool=retrieval.pool)


def _tallies(
    query: Side,
    database: Side,
    *,
    histograms: Buckets,
    coarse: Coarse,
    retrieval: Retrieval,
    device: torch.device | str,
) -> dict[Search, Tally]:
    rules, labels = convention(retrieval.convention), _labels(query, database)
    tallies = {search: retrieval.tally(len(database.codes)) for search in SEARCHES}
    stable = rules.ties == "order"
    by_code = ordered_hamming_buckets(coarse, device=device, **labels) if stable else histograms.chunks()
    for buckets in by_code:
        tallies["binary"].add(buckets)
    by_feature = feature_buckets(
        query.features, database.features, coarse=coarse, stable=stable, device=device, **labels
    )
    for ranked in by_feature:
        tallies["exhaustive"].add(ranked.exhaustive)
        tallies["coarse_to_fine"].add(ranked.coarse_to_fine)
    return tallies


def _costs(
    query: Side, database: Side, *, quantizer: BinaryQuantizer, pools: Pools, retrieval: Retrieval
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
        k = min(retrieval.answers, size)
        ways = searchers(database, quantizer, pool=retrieval.pool, radius=retrieval.radius, k=k)
        for search, searcher in ways.items():
            costs[search] = times(searcher, query, timed=retrieval.timed_queries) | costs[search]
    return costs


def _labels(query: Side, database: Side) -> dict[str, Labels]:
    return {"query_labels": query.labels, "database_labels": database.labels}
