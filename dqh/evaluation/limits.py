"""What rankings can score at best and at worst on given labels, whatever the codes.

A query without a relevant item counts 0, or is left out, in every ranking; to one that has only relevant items every
ranking is perfect; and of fewer than k relevant items precision at k finds no more than these.

Q queries, N database items, R relevant ones of a query.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.evaluation.measure import Tally
from dqh.ranking.buckets import Buckets
from dqh.ranking.relevance import relevant_counts
from dqh.ranking.side import Labels


def limits(query: Labels, database: Labels, *, tally: Callable[[int], Tally]) -> dict[str, Any]:
    """What the labels alone say of the scores, as it goes into `metrics.json`.

    Args:
        query: (Q,) int64 or (Q, C) bool, at least one.
        database: (N,) int64 or (N, C) bool, at least one.
        tally: makes an empty tally for N items: which metrics, by which convention.

    Returns:
        `queries`: Q. `without_relevant`: queries without a relevant item. `all_relevant`: queries to which every item
        is relevant. `relevant`: `least`, `median` and `most` relevant items of a query. `best` and `worst`: the row of
        metrics of the ranking that has relevant items first, or last. `precision_at_k`: the curve of the former.
    """
    counts, items = relevant_counts(query, database), len(database)
    best, worst = tally(items), tally(items)
    best.add(relevant_first(counts, items))
    worst.add(relevant_last(counts, items))
    return {
        "queries": len(counts),
        "without_relevant": int((counts == 0).sum()),
        "all_relevant": int((counts == items).sum()),
        "relevant": {"least": int(counts.min()), "median": float(np.median(counts)), "most": int(counts.max())},
        "best": best.row(),
        "worst": worst.row(),
        "precision_at_k": best.curves()["precision_at_k"],
    }


def relevant_first(counts: NDArray[np.int64], items: int) -> Buckets:
    """A perfect ranking of N `items` for queries with `counts` (Q,) relevant ones."""
    relevant = torch.from_numpy(counts)
    nothing = torch.zeros_like(relevant)
    return Buckets(torch.stack([relevant, items - relevant], 1), torch.stack([relevant, nothing], 1))


def relevant_last(counts: NDArray[np.int64], items: int) -> Buckets:
    """The ranking that has every relevant item behind all others."""
    relevant = torch.from_numpy(counts)
    nothing = torch.zeros_like(relevant)
    return Buckets(torch.stack([items - relevant, relevant], 1), torch.stack([nothing, relevant], 1))
