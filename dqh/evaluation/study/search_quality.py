"""How good answers are: how many of the truly nearest are among them, and how many of them are relevant.

Q queries, N database items, F feature dimensions, k answers a query.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.evaluation.conventions import convention
from dqh.ranking.buckets import Buckets
from dqh.ranking.relevance import relevant_counts
from dqh.ranking.side import Features, Labels

CONVENTION = "default"
_SLACK = 1e-5
"""An answer that is farther by so small a share is as near: float32 tells no more, in whatever order it adds up."""

_CHUNK = 2**22
"""Numbers that are compared at a time."""


class Truth:
    """How far the truly nearest items are, against which answers are held.

    recall@K is the share of the K nearest items that are among the first K answers. An answer counts that is as near as
    the K-th nearest item, so that of equal items any will do. Distances of all answers are computed anew, from the same
    features in the same way.

    Args:
        query: (Q, F) features, at least one.
        items: (N, F) features.
        ids: (Q, k) rows of the k nearest items, by an exhaustive search.
        cutoffs: each K, 1 to k.

    Example:
        >>> items = np.array([[0.0], [1.0], [1.0], [4.0]], np.float32)
        >>> truth = Truth(np.zeros((1, 1), np.float32), items, np.array([[0, 1]]), cutoffs=(1, 2))
        >>> truth.recall(np.array([[3, 2]])), truth.recall(np.array([[0, 2]]))
        ({'recall@1': 0.0, 'recall@2': 0.5}, {'recall@1': 1.0, 'recall@2': 1.0})
    """

    def __init__(self, query: Features, items: Features, ids: NDArray[np.int64], *, cutoffs: Sequence[int]) -> None:
        self._query, self._items, self.cutoffs = query, items, tuple(cutoffs)
        self._radii = np.sort(self._distances(ids), axis=1)[:, [k - 1 for k in self.cutoffs]]

    def recall(self, ids: NDArray[np.int64]) -> dict[str, float]:
        """`recall@K` of answers (Q, k), best first, -1 where there is none; means over the queries."""
        distances = self._distances(ids)
        shares = {}
        for column, k in enumerate(self.cutoffs):
            radius = self._radii[:, column, None] * (1 + _SLACK)
            near = (distances[:, :k] <= radius).sum(axis=1)
            shares[f"recall@{k}"] = float(near.mean()) / k
        return shares

    def _distances(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """(Q, k) squared L2, infinite where there is no answer."""
        result = np.full(ids.shape, np.inf, np.float32)
        step = max(1, _CHUNK // max(1, ids.shape[1] * self._items.shape[1]))
        for start in range(0, len(ids), step):
            part = ids[start : start + step]
            differences = np.asarray(self._items[part.clip(min=0)], np.float32)
            differences = differences - np.asarray(self._query[start : start + step], np.float32)[:, None]
            squared = np.einsum("qkf,qkf->qk", differences, differences)
            result[start : start + step] = np.where(part < 0, np.float32(np.inf), squared)
        return result


def answer_map(ids: NDArray[np.int64], query: Labels, items: Labels) -> float:
    """mAP@k of answers as they are returned, by the default convention: divided by min(k, relevant items).

    Items at one distance count in the order in which the search returns them, which is that of the rows in a database
    that was shuffled. A missing answer is an irrelevant one, and a query without relevant items counts 0.

    Of answers (Q, k), best first, -1 where there is none, and the labels of both sides.

    Example:
        >>> answer_map(np.array([[0, 1], [1, -1]]), np.array([5, 5]), np.array([5, 6, 5]))
        0.25
    """
    queries, k = ids.shape
    hits = np.zeros((queries, k), np.int64)
    width = 1 if items.ndim == 1 else items.shape[1]
    step = max(1, _CHUNK // max(1, k * width))
    for start in range(0, queries, step):
        part = ids[start : start + step]
        own, answered = query[start : start + step, None], items[part.clip(min=0)]
        shared = own == answered if items.ndim == 1 else (own & answered).any(axis=2)
        hits[start : start + step] = shared & (part >= 0)
    missed = relevant_counts(query, items) - hits.sum(axis=1)
    others = np.maximum(len(items) - k, missed)
    counts = np.concatenate([np.ones_like(hits), others[:, None]], axis=1)
    relevant = np.concatenate([hits, missed[:, None]], axis=1)
    rules = convention(CONVENTION)
    buckets = rules.arrange(Buckets(torch.from_numpy(counts), torch.from_numpy(relevant)))
    return rules.mean(*rules.average_precision(buckets, cutoff=k))
