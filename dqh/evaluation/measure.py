"""One way of searching from its ranking to its row, its curves, its times, and its average precision of each query."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.evaluation.conventions import Convention
from dqh.evaluation.metrics import (
    average_precision_within,
    precision_at,
    precision_at_recall,
    precision_within,
    recall_at,
    recall_within,
)
from dqh.index.orders.order import Asked, Order
from dqh.index.ways import Searcher
from dqh.ranking.buckets import Buckets
from dqh.ranking.side import Side

CURVE_CUTOFFS = (1, 2, 5, 10, 20, 50, *range(100, 1001, 50))
"""Ranks at which the curve of precision is drawn."""

CURVE_PERCENT = tuple(range(1, 101))
"""Recall levels at which the curve of precision against recall is drawn, percent."""

Row = dict[str, float | int | str]
Curves = dict[str, dict[str, list[float]]]

BATCH = 1000
"""Queries that are timed together, at most."""


class PerQuery(NamedTuple):
    """A metric before its mean: (Q,) float64 values, and (Q,) bool whether a query enters the mean."""

    metric: str
    values: NDArray[np.float64]
    kept: NDArray[np.bool_]


class Tally:
    """Collects the metrics of every query, chunk by chunk.

    Cutoffs of precision and recall beyond the database size are left out; one of mAP counts all ranks.

    Args:
        rules: how average precision is computed and ties are broken.
        size: N, items of the database.
        map_cutoffs: cutoffs of mAP, None for all ranks.
        precision_cutoffs: cutoffs of P@K.
        recall_cutoffs: cutoffs of recall@K.
    """

    def __init__(
        self,
        rules: Convention,
        size: int,
        *,
        map_cutoffs: Sequence[int | None],
        precision_cutoffs: Sequence[int],
        recall_cutoffs: Sequence[int],
    ) -> None:
        self.rules = rules
        self.map_cutoffs = tuple(map_cutoffs)
        self.precision_cutoffs = [k for k in precision_cutoffs if k <= size]
        self.recall_cutoffs = [k for k in recall_cutoffs if k <= size]
        self.curve_cutoffs = [k for k in CURVE_CUTOFFS if k <= size]
        self._chunks: list[dict[str, Tensor]] = []

    def add(self, buckets: Buckets) -> None:
        """Take in the buckets of further queries."""
        buckets = self.rules.arrange(buckets)
        chunk = {
            "P": precision_at(buckets, self.precision_cutoffs),
            "recall": recall_at(buckets, self.recall_cutoffs),
            "precision_at_k": precision_at(buckets, self.curve_cutoffs),
            "precision_recall": precision_at_recall(buckets, CURVE_PERCENT),
            "answerable": buckets.total_relevant > 0,
        }
        for cutoff in self.map_cutoffs:
            chunk[_map_name(cutoff)], chunk[f"kept {cutoff}"] = self.rules.average_precision(buckets, cutoff=cutoff)
        self._chunks.append({name: values.cpu() for name, values in chunk.items()})

    def values(self) -> dict[str, Tensor]:
        """What has been collected of each query, (Q, …) by name."""
        return {name: self._all(name) for name in self._chunks[0]}

    def holding(self, values: Mapping[str, Tensor]) -> Self:
        """This tally with what `values` gave, in the place of what it has."""
        self._chunks = [dict(values)]
        return self

    def row(self) -> Row:
        """`mAP@…`, `P@…` and `recall@…`: means over the queries, 0 … 1.

        The convention says which queries enter mAP; precision and recall count all, those without relevant items as 0.
        """
        means: Row = {
            _map_name(k): self.rules.mean(self._all(_map_name(k)), self._all(f"kept {k}")) for k in self.map_cutoffs
        }
        for name, cutoffs in (("P", self.precision_cutoffs), ("recall", self.recall_cutoffs)):
            means |= {f"{name}@{k}": mean for k, mean in zip(cutoffs, _means(self._all(name)), strict=True)}
        return means

    def average_precision(self, cutoff: int | None) -> PerQuery:
        """Average precision of each query at one of `map_cutoffs`."""
        name = _map_name(cutoff)
        return PerQuery(name, self._all(name).numpy(), self._all(f"kept {cutoff}").numpy())

    def curves(self) -> Curves:
        """`precision_at_k` {k, precision} and `precision_recall` {recall, precision}: means over queries.

        Queries without relevant items count 0 in the first and are left out of the second.
        """
        by_recall = self._all("precision_recall")[self._all("answerable")]
        return {
            "precision_at_k": {
                "k": [float(k) for k in self.curve_cutoffs],
                "precision": _means(self._all("precision_at_k")),
            },
            "precision_recall": {
                "recall": [percent / 100 for percent in CURVE_PERCENT],
                "precision": _means(by_recall),
            },
        }

    def _all(self, name: str) -> Tensor:
        return torch.cat([chunk[name] for chunk in self._chunks])


def _means(values: Tensor) -> list[float]:
    """Mean of each column; 0 where there is no row."""
    return [float(mean) for mean in values.numpy().mean(axis=0)] if len(values) else [0.0] * values.shape[1]


def _map_name(cutoff: int | None) -> str:
    return "mAP@all" if cutoff is None else f"mAP@{cutoff}"


class Retrieved(NamedTuple):
    """What was measured of some ways of searching; rows and curves are plain JSON values.

    Attributes:
        rows: one a way of searching. `search`: its name. `mAP@…`, `P@…`, `recall@…`: means over queries, 0 … 1.
            `precision@r…`, `recall@r…`, `average_precision@r…`: of the items within so many bits (`binary` only).
            `query_ms`: median of one query at a time, encoding excluded. `qps`: queries a second in one batch.
            `bytes_per_item`: of the codes and features searched. `candidates`: mean items that the last step compares.
        curves: by `search`: `precision_at_k` {k, precision} and `precision_recall` {recall, precision}.
        average_precision: by `search`: of each query, at the first cutoff of mAP.
    """

    rows: list[Row]
    curves: dict[str, Curves]
    average_precision: dict[str, PerQuery]


def measure(order: Asked, name: str, *, empty: Callable[[], Tally], costs: Row) -> Retrieved:
    """Metrics and curves of one way of searching, by an `empty` tally; `costs` are columns that stand behind them."""
    return retrieved(tallied(order, name, empty=empty).tallies[name], name, costs=costs)


class Tallied(NamedTuple):
    """What one pass of a ranking comes to.

    Attributes:
        tallies: by name of the way: of its own, and of those along with it.
        pool_sizes: (Q,) int64, items of the pool of each query; None where it has none.
        within: by name of a metric of what lies within so many bits, (Q,) float64; none where distances are no bits.
    """

    tallies: dict[str, Tally]
    pool_sizes: Tensor | None
    within: dict[str, Tensor]


def tallied(order: Asked, name: str, *, empty: Callable[[], Tally], within: tuple[int, ...] = ()) -> Tallied:
    """One pass of a ranking whose own way has this name, with what lies `within` radii, bits."""
    answer = order.asked(Pass(empty, within))
    pool_sizes = answer.pop(_POOL_SIZES, None)
    inside = {metric.removeprefix(_WITHIN): answer.pop(metric) for metric in list(answer) if metric.startswith(_WITHIN)}
    values: defaultdict[str, dict[str, Tensor]] = defaultdict(dict)
    for column, of_queries in answer.items():
        way, _, metric = column.partition("/")
        values[way or name][metric] = of_queries
    return Tallied({way: empty().holding(columns) for way, columns in values.items()}, pool_sizes, inside)


_POOL_SIZES, _WITHIN = "pool sizes", "within "


@dataclass(frozen=True)
class Pass:
    """Asks for all that `Tallied` holds; a metric has the name of its way before it, none for that of the order."""

    empty: Callable[[], Tally]
    within: tuple[int, ...] = ()

    @property
    def stable(self) -> bool:
        """As the convention breaks ties."""
        return self.empty().rules.ties == "order"

    def __call__(self, order: Order, rows: slice) -> dict[str, Tensor]:
        """See `Question`."""
        tallies: defaultdict[str, Tally] = defaultdict(self.empty)
        for ranked in order.along(stable=self.stable, rows=rows):
            for way, buckets in ranked.items():
                tallies[way].add(buckets)
        answer = {f"{way}/{name}": values for way, tally in tallies.items() for name, values in tally.values().items()}
        if (sizes := order.pool_sizes(rows)) is not None:
            answer[_POOL_SIZES] = sizes
        if self.within and (histograms := order.histograms(rows)) is not None:
            answer |= {f"{_WITHIN}{name}": values for name, values in _within(histograms, self.within).items()}
        return answer


def _within(histograms: Buckets, radii: Sequence[int]) -> dict[str, Tensor]:
    """Metrics of what lies within Hamming balls, (Q,) each."""
    metrics = {"precision": precision_within, "recall": recall_within, "average_precision": average_precision_within}
    return {
        f"{name}@r{radius}": measure_of(histograms, radius) for radius in radii for name, measure_of in metrics.items()
    }


def retrieved(tally: Tally, name: str, *, costs: Row) -> Retrieved:
    """What a tally has collected, as one row."""
    row: Row = {"search": name} | tally.row() | costs
    return Retrieved([row], {name: tally.curves()}, {name: tally.average_precision(tally.map_cutoffs[0])})


def renamed(parts: Retrieved, name: str, other: str, *, costs: Row) -> Retrieved:
    """What was measured of the way `name`, as that of another one that ranks alike and has its own costs."""
    (row,) = (row for row in parts.rows if row["search"] == name)
    metrics: Row = {column: value for column, value in row.items() if "@" in column}
    new: Row = {"search": other} | metrics | costs
    return Retrieved([new], {other: parts.curves[name]}, {other: parts.average_precision[name]})


def joined(parts: Sequence[Retrieved]) -> Retrieved:
    """The rows of several parts, in their order."""
    curves: dict[str, Curves] = {}
    average_precision: dict[str, PerQuery] = {}
    for part in parts:
        curves |= part.curves
        average_precision |= part.average_precision
    return Retrieved([row for part in parts for row in part.rows], curves, average_precision)


def times(search: Searcher, query: Side, *, timed: int, clock: Callable[[], float] = time.perf_counter) -> Row:
    """Times of a way of searching, after one call to warm up.

    Of more than 1,000 queries the first 1,000; at most `timed` of them, at least 1, one at a time. A clock gives
    seconds.

    Returns:
        `query_ms`: median milliseconds of a query alone. `qps`: queries a second of all together.
    """
    embedding, features = query.embedding[:BATCH], query.features[:BATCH]
    spent = []
    search(embedding[:1], features[:1])
    for row in range(min(timed, len(embedding))):
        start = clock()
        search(embedding[row : row + 1], features[row : row + 1])
        spent.append(clock() - start)
    start = clock()
    search(embedding, features)
    seconds = clock() - start
    return {"query_ms": 1000 * float(np.median(spent)), "qps": len(embedding) / seconds}
