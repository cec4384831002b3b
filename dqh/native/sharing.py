"""How a search is shared by threads: queries where there are many, else rows, whose answers are merged.

Q queries, N rows, k answers a query.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dqh.cores import threads

SCRATCH = 2**26
"""Bytes of memory that kernels get at a time, where one query does not need more."""

WORK = 2**18
"""Words or bytes compared with a query that are worth a thread."""

_TOGETHER = 4
"""Queries that a kernel may compare with a row at once: shares of them are multiples of it."""

Distance = TypeVar("Distance", np.int32, np.float32)


def row_ranges(rows: int, *, queries: int, work: int) -> list[slice]:
    """Rows of each thread, of whole blocks of 8; all of them where there are enough queries to share.

    Args:
        rows: N.
        queries: Q.
        work: words or bytes compared with each query.
    """
    most = threads() if queries < 2 * _TOGETHER else 1
    count = max(1, min(most, queries * work // WORK))
    step = max(8, -(-rows // (8 * count)) * 8)
    return [slice(start, min(start + step, rows)) for start in range(0, max(1, rows), step)]


def query_shares(queries: int, *, ranges: int, work: int, scratch: int) -> list[slice]:
    """Queries of each call of a kernel: as many as memory allows, and one share a thread where rows are not split.

    Args:
        queries: Q.
        ranges: of rows.
        work: words or bytes compared with each query.
        scratch: bytes of memory a query.
    """
    fewest = max(1, min(threads(), queries * work // WORK)) if ranges == 1 else 1
    share = -(-queries // fewest)
    step = max(1, min(-(-share // _TOGETHER) * _TOGETHER, SCRATCH // scratch))
    return [slice(start, min(start + step, queries)) for start in range(0, queries, step)]


def merged(
    parts: Sequence[tuple[NDArray[np.int64], NDArray[Distance]]], k: int
) -> tuple[NDArray[np.int64], NDArray[Distance]]:
    """The k nearest of several ranges of rows, given in the order of the rows: ids and distances (Q, k)."""
    ids, distances = (
        np.concatenate([part[0] for part in parts], axis=1),
        np.concatenate([part[1] for part in parts], axis=1),
    )
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(ids, order, axis=1), np.take_along_axis(distances, order, axis=1)
