"""Metrics of rankings whose items are not right or wrong but more or less so: DCG and NDCG.

n items of a ranking, from the first to the last, each with a grade g ≥ 0; gain 2^g − 1, discount 1 / log2(1 + rank).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def dcg(grades: NDArray[np.float64], *, cutoff: int) -> NDArray[np.float64]:
    """Discounted cumulative gain Σ_{r ≤ cutoff} (2^g_r − 1) / log2(1 + r) of rankings.

    Burges et al., Learning to Rank using Gradient Descent, 2005, §7; Järvelin and Kekäläinen 2002 have the gain g.

    Args:
        grades: (…, n), first item first; finite, at least 0.
        cutoff: ranks that count, at least 1.

    Returns:
        (…,) float64.

    Raises:
        ValueError: a grade is negative or not finite, or the cutoff is below 1.

    Example:
        >>> round(float(dcg(np.array([0.0, 2.0, 1.0]), cutoff=2)), 4)  # 0 / log2(2) + 3 / log2(3)
        1.8928
    """
    if cutoff < 1:
        raise ValueError(f"cutoff must be at least 1, got {cutoff}")
    if not np.isfinite(grades).all() or (grades < 0).any():
        raise ValueError("grades must be finite and at least 0; give those of the items, in their order")
    top = grades[..., :cutoff]
    return np.asarray((np.exp2(top) - 1) @ (1 / np.log2(np.arange(top.shape[-1]) + 2.0)), np.float64)


def ndcg(ranked: NDArray[np.float64], every: NDArray[np.float64] | None = None, *, cutoff: int) -> float:
    """DCG of a ranking divided by that of the best one: 0 … 1.

    Ties have no rule of their own: items count in the order given. A query none of whose items has a grade above 0
    counts 0, as in trec_eval.

    Args:
        ranked: (n,) grades in the order of the ranking.
        every: (m,) grades of all items that the best ranking chooses from, in any order, those of `ranked` among them;
            None where a ranking has all of them.
        cutoff: ranks that count, at least 1.

    Raises:
        ValueError: see `dcg`.

    Example:
        >>> round(ndcg(np.array([0.0, 2.0, 1.0]), cutoff=2), 4)  # by 3 / log2(2) + 1 / log2(3)
        0.5213
    """
    best = float(dcg(-np.sort(-(ranked if every is None else every)), cutoff=cutoff))
    return float(dcg(ranked, cutoff=cutoff)) / best if best else 0.0


def mean_ndcg(scores: Sequence[NDArray[np.float64]], grades: Sequence[NDArray[np.float64]], *, cutoff: int) -> float:
    """The mean of `ndcg` over queries, each with the scores of its items and their grades.

    Of equal scores the earlier item comes first.
    """
    values = [
        ndcg(grade[np.argsort(-score, kind="stable")], cutoff=cutoff)
        for score, grade in zip(scores, grades, strict=True)
    ]
    return float(np.mean(values))
