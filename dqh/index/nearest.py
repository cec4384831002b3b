"""The k nearest of items that pass by in chunks, exact, equal distances by id. Who computes the distances is elsewhere.

A distance and an id become one int64 whose order is theirs, so that numpy's vectorised partition settles ties too.

Q queries, n items of a chunk, k answers a query.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.ranking import Ranking

_NOTHING = np.iinfo(np.int64).max


class Nearest:
    """Holds the k nearest items seen so far of each query.

    Args:
        queries: Q.
        k: answers a query, at least 1.

    Example:
        >>> nearest = Nearest(1, 2)
        >>> nearest.offer(np.array([[3], [1]], dtype=np.float32), first_id=0)
        >>> nearest.offer(np.array([[1], [0.5]], dtype=np.float32), first_id=2)
        >>> nearest.ranking()
        Ranking(ids=array([[3, 1]]), distances=array([[0.5, 1. ]], dtype=float32))
    """

    def __init__(self, queries: int, k: int) -> None:
        self._keys = np.full((queries, k), _NOTHING)
        self._furthest = np.full(queries, np.inf, dtype=np.float32)

    def offer(self, distances: NDArray[np.float32], *, first_id: int) -> None:
        """Show the next items; their ids are greater than all before.

        Args:
            distances: (n, Q) float32, C-contiguous, finite.
            first_id: id of the first row, the others follow; below 2³².
        """
        # Later ids are greater, so that an item as far away as the kth cannot enter.
        entering = np.flatnonzero(distances < self._furthest)
        if not len(entering):
            return
        queries, k = self._keys.shape
        row, query = np.divmod(entering, queries)
        order = np.argsort(query, kind="stable")
        keys = _keys(distances.reshape(-1)[entering], first_id + row)[order]
        counts = np.bincount(query, minlength=queries)
        column = np.arange(len(keys)) - np.repeat(np.cumsum(counts) - counts, counts)
        offered = np.full((queries, counts.max()), _NOTHING)
        offered[query[order], column] = keys
        both = np.concatenate([self._keys, offered], axis=1)
        both.partition(k - 1, axis=1)
        self._keys = both[:, :k]
        self._furthest = _distances(self._keys[:, -1])

    def ranking(self) -> Ranking:
        """What was found, (Q, k), nearest first; fewer than k items are padded."""
        keys = np.sort(self._keys, axis=1)
        ids = keys & 0xFFFFFFFF
        ids[keys == _NOTHING] = -1
        return Ranking(ids, _distances(keys))


def _keys(distances: NDArray[np.float32], ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 that order as (distance, id) do; −0 and +0 are one distance."""
    return (_ordered((distances + np.float32(0)).view(np.int32)).astype(np.int64) << 32) | ids


def _distances(keys: NDArray[np.int64]) -> NDArray[np.float32]:
    """The distances in `_keys`, +inf for `_NOTHING`."""
    distances = _ordered((keys >> 32).astype(np.int32)).view(np.float32)
    return np.where(keys == _NOTHING, np.float32(np.inf), distances)


def _ordered(bits: NDArray[np.int32]) -> NDArray[Any]:
    """Bits of float32 as int32 in the order of the floats, and back: negative ones count backwards."""
    return bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))
