"""Metrics of one way of searching, collected chunk by chunk and averaged over the queries.

The metrics of a query are in `metrics`; whose chunks these are is up to `retrieval`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.evaluation.conventions import Convention
from dqh.evaluation.metrics import precision_at, precision_at_recall, recall_at
from dqh.ranking.buckets import Buckets

CURVE_CUTOFFS = (1, 2, 5, 10, 20, 50, *range(100, 1001, 50))
"""Ranks at which the curve of precision is drawn."""

CURVE_PERCENT = tuple(range(1, 101))
"""Recall levels at which the curve of precision against recall is drawn, percent."""

Row = dict[str, float | int | str]
Curves = dict[str, dict[str, list[float]]]


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
