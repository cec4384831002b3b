"""One retrieval experiment: encoded queries against an encoded database, searched in all ways, measured and timed.

Metrics come from the rankings of `dqh.index.ways` and do not depend on the order of the database; times come from their
real indexes. Encoding images is in `encoding`, the whole evaluation of an artifact in `evaluate`.

Q queries, N database items.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from dqh.evaluation.baselines import DEFAULT_BASELINES, NAMES
from dqh.evaluation.conventions import convention
from dqh.evaluation.measure import Retrieved, Row, Tallied, Tally, joined, retrieved, tallied, times
from dqh.evaluation.ranked_elsewhere import Elsewhere, order_of
from dqh.index.orders.order import Order
from dqh.index.ways import WAYS, Candidates, Way, main_way, ways_of
from dqh.quantizers import Quantizer
from dqh.ranking import Ranking
from dqh.ranking.side import Side
from dqh.schema import LARGEST

__all__ = ["Retrieval", "Retrieved", "Side", "neighbours", "retrieve"]


@dataclass(frozen=True, kw_only=True)
class Retrieval:
    """How retrieval is evaluated.

    Coarse-to-fine takes as candidates of a query the smallest whole ball of codes with at least `pool` items, or the
    ball of `radius` bits, ranks them by squared L2 between features, and lets the others follow in the order of the
    codes: by Hamming distance, or by AQD. The timed search, which must answer with a list, cuts at `pool`
    by id.

    Args:
        pool: candidates wanted, at least 1; not read where `radius` is given.
        radius: bits of the ball, at least 0; None to go by `pool`, as product-quantized codes must.
        map_cutoffs: cutoffs of mAP, None for all ranks; one beyond the database size counts all ranks.
        precision_cutoffs: cutoffs of P@K; those beyond the database size are left out.
        recall_cutoffs: cutoffs of recall@K; those beyond the database size are left out.
        within: radii of the Hamming balls of `precision@r…`, `recall@r…` and `average_precision@r…`, bits, at least 0;
            of binary codes only.
        convention: a name or an alias of `dqh.evaluation.conventions`.
        answers: items that the timed searches return, at least 1.
        timed_queries: queries timed one at a time, at most; 0 leaves `query_ms` and `qps` out.
        untrained_images: queries, and database items, on which the network before training is measured, at most, at
            least 1; None for all.
        baselines: quantizers to compare the codes with, names of `dqh.evaluation.baselines`, at equal bits; None for
            those of `with_default_baselines` in a training, and none elsewhere.

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
    untrained_images: int | None = 5000
    baselines: tuple[str, ...] | None = ()

    def __post_init__(self) -> None:
        problems = []
        counts = (("pool", 1), ("radius", 0), ("answers", 1), ("timed_queries", 0), ("untrained_images", 1))
        for name, least in counts:
            value = getattr(self, name)
            if type(value) is not int and not (value is None and name in ("radius", "untrained_images")):
                problems.append(f"{name} must be a whole number, got {value!r}")
            elif value is not None and value < least:
                problems.append(f"{name} must be at least {least}, got {value}")
            elif value is not None and value > LARGEST:
                problems.append(f"{name} must be at most {LARGEST}, got {value}")
        for name, least in (("map_cutoffs", 1), ("precision_cutoffs", 1), ("recall_cutoffs", 1), ("within", 0)):
            if not _are_different(getattr(self, name), least=least, optional=name == "map_cutoffs"):
                problems.append(
                    f"{name} must be a tuple of different whole numbers of at least {least}, got {getattr(self, name)}"
                )
        if self.map_cutoffs == ():
            problems.append("map_cutoffs must name at least one cutoff, null for all of the database, got none")
        names = () if self.baselines is None else self.baselines
        if type(names) is not tuple or any(name not in NAMES for name in names) or len(set(names)) < len(names):
            problems.append(f"baselines must be a tuple of different names out of {', '.join(NAMES)}, got {names}")
        try:
            convention(self.convention)
        except ValueError as error:
            problems.append(str(error))
        if problems:
            raise ValueError("\n".join(problems))

    def with_default_baselines(self, pretrained: bool) -> "Retrieval":
        """The same where baselines were asked for, or none; else with `DEFAULT_BASELINES` of a pretrained network.

        Its features are what people had before they trained codes: these must do better than what a shallow quantizer
        makes of them in seconds.
        """
        if self.baselines is not None:
            return self
        return dataclasses.replace(self, baselines=DEFAULT_BASELINES if pretrained else ())

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON values; `Retrieval.from_json` is the inverse."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Retrieval":
        """The settings that `to_json` wrote.

        Args:
            fields: values by name; one that is missing, because it is younger than the file, has its default, but for
                `untrained_images`: older versions took all.

        Raises:
            ValueError: a field is unknown or its value is not one of its own; all problems are reported together.
        """
        fields = {"untrained_images": None} | dict(fields)
        known = {field.name: "tuple" in str(field.type) for field in dataclasses.fields(cls)}
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

    @property
    def candidates(self) -> Candidates:
        """Of coarse-to-fine."""
        return Candidates(self.pool, self.radius)

    def tally(self, size: int) -> Tally:
        """An empty `Tally` of what is to be measured in a database of `size` items."""
        return Tally(
            convention(self.convention),
            size,
            map_cutoffs=self.map_cutoffs,
            precision_cutoffs=self.precision_cutoffs,
            recall_cutoffs=self.recall_cutoffs,
        )

    def protocol(self, quantizer: Quantizer) -> dict[str, Any]:
        """What must be known to compare the numbers of codes of a quantizer; plain JSON values."""
        rules, main = convention(self.convention), main_way(quantizer)
        by_pool = f"smallest whole {main.ball} with at least {self.pool} items"
        return {
            "main": main.name,
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
    quantizer: Quantizer,
    retrieval: Retrieval,
    device: torch.device | str = "cpu",
    elsewhere: Elsewhere | None = None,
) -> Retrieved:
    """Metrics, times and curves of all ways of searching codes of a quantizer.

    Two runs on the same inputs give the same metrics, bit for bit; another order of the database gives the same for
    what ranks by codes, and for the others up to the rounding of distances. Nothing of size Q × N is held.

    The queries' codes must be those of their embeddings; the timed searches run on the CPU, in this process, whoever
    ranks. There is a row for each of `ways_of` the quantizer.

    Raises:
        ValueError: the two sides do not fit together, a vector is not finite, or a radius is given for
            product-quantized codes.
    """
    ways, items = ways_of(quantizer), len(database.codes)
    require_rows(query, database, ways)
    codes = order_of(ways[0], query, database, quantizer, device=device, elsewhere=elsewhere)
    coarse = codes if isinstance(codes, Order) else None  # what is computed elsewhere is not shared
    parts: dict[str, Retrieved] = {}
    for way in reversed(ways):  # a later one may rank on its way what an earlier one does
        if way.name in parts:
            continue
        order = codes
        if way is not ways[0]:
            way = way.among(retrieval.candidates, coarse=coarse)
            order = order_of(way, query, database, quantizer, device=device, elsewhere=elsewhere)
        within = retrieval.within if order is codes else ()
        passed = tallied(order, way.name, empty=partial(retrieval.tally, items), within=within)
        for name, tally in passed.tallies.items():
            costs: Row = {"candidates": _candidates(passed, items) if name == way.name else items}
            costs = _costs(WAYS[name], query, database, quantizer=quantizer, retrieval=retrieval) | costs
            parts[name] = retrieved(tally, name, costs=_means(passed.within) | costs)
    return joined([parts[way.name] for way in ways])


def neighbours(
    query: Side,
    database: Side,
    *,
    quantizer: Quantizer,
    retrieval: Retrieval,
    k: int,
    search: str = "coarse_to_fine",
) -> Ranking:
    """The k nearest items of a few queries, as an interactive search returns them.

    Ranking of (Q, k), padded where there are fewer; distances are bits for `binary`, −q·x for inner products,
    1 − cosine, else squared L2. A pool is cut by id; `search` is the name of one of `ways_of` the quantizer.

    Raises:
        ValueError: k is below 1, the search is unknown, or the two sides do not fit together.
    """
    ways = {way.name: way for way in ways_of(quantizer)}
    if search not in ways:
        raise ValueError(f"search must be one of {', '.join(ways)}, got {search!r}")
    require_rows(query, database, tuple(ways.values()))
    nearest = ways[search].among(retrieval.candidates).searcher(database, quantizer, k=k)
    return nearest(query.embedding, query.features)


def _are_different(values: Any, *, least: int, optional: bool) -> bool:
    """Whether these are a tuple of different whole numbers of at least `least`, or None where that is `optional`."""
    if type(values) is not tuple:
        return False
    fit = all((value is None and optional) or (type(value) is int and least <= value <= LARGEST) for value in values)
    return fit and len(set(values)) == len(values)


def _means(values: Mapping[str, Tensor]) -> Row:
    """Means over the queries."""
    return {name: float(of_queries.cpu().numpy().mean()) for name, of_queries in values.items()}


def _candidates(passed: Tallied, items: int) -> float:
    """Mean items that the last step compares."""
    return items if passed.pool_sizes is None else float(passed.pool_sizes.double().mean())


def _costs(way: Way, query: Side, database: Side, *, quantizer: Quantizer, retrieval: Retrieval) -> Row:
    """Times, where they are asked for, and bytes."""
    costs: Row = {"bytes_per_item": way.item_bytes(database)}
    if retrieval.timed_queries:
        k = min(retrieval.answers, len(database.codes))
        nearest = way.among(retrieval.candidates).searcher(database, quantizer, k=k)
        costs = times(nearest, query, timed=retrieval.timed_queries) | costs
    return costs


def require_rows(query: Side, database: Side, ways: tuple[Way, ...]) -> None:
    """Raise `ValueError` unless both sides have a row for each code, and features of one length.

    The embedding of the database is checked where one of the ways reads it.
    """
    embedded = any(way.reads == "embedding" for way in ways)
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
