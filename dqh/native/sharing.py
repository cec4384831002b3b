"""How a search is shared by threads: queries where there are many, else rows, whose answers are merged.

Q queries, N rows, k answers a query.
"""

from __future__ import annotations  # those of inner functions would be made anew by each search

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dqh.cores import threads
from dqh.native.threads import in_threads

SCRATCH = 2**26
"""Bytes of memory that kernels get at a time, where one query does not need more."""

WORK = 2**18
"""Words or bytes compared with a query that are worth a thread."""

_TOGETHER = 4
"""Queries that a kernel may compare with a row at once: shares of them are multiples of it."""

Distance = TypeVar("Distance", np.int32, np.float32)


def row_ranges(rows: int, *, queries: int, work: int, block: int = 8) -> list[slice]:
    """Rows of each thread, of whole blocks; all of them where there are enough queries to share.

    Args:
        rows: N.
        queries: Q.
        work: words or bytes compared with each query.
        block: rows of one.
    """
    count = queries * work // WORK if queries < 2 * _TOGETHER else 1
    if count <= 1:
        return [slice(0, rows)]
    count = min(count, threads())
    step = max(block, -(-rows // (block * count)) * block)
    return [slice(start, min(start + step, rows)) for start in range(0, max(1, rows), step)]


def query_shares(queries: int, *, ranges: int, work: int, scratch: int) -> list[slice]:
    """Queries of each call of a kernel: as many as memory allows, and one share a thread where rows are not split.

    Args:
        queries: Q.
        ranges: of rows.
        work: words or bytes compared with each query.
        scratch: bytes of memory a query.
    """
    worth = queries * work // WORK if ranges == 1 else 1
    fewest = min(threads(), worth) if worth > 1 else 1
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


def fill_nearest(
    search: Callable[[slice, slice, NDArray[np.int64], NDArray[Distance]], None],
    ids: NDArray[np.int64],
    distances: NDArray[Distance],
    *,
    shares: Sequence[slice],
    ranges: Sequence[slice],
) -> None:
    """Fill what is nearest, by a call for each share of the queries and each range of the rows.

    Args:
        search: of queries and rows, fills their ids and distances (L, k).
        ids: (Q, k), is filled.
        distances: (Q, k), is filled.
        shares: of the queries.
        ranges: of the rows, ascending.
    """

    def part(share: slice, rows: slice) -> tuple[NDArray[np.int64], NDArray[Distance]]:
        answers = ids[share], distances[share]
        if len(ranges) > 1:
            answers = np.empty_like(answers[0]), np.empty_like(answers[1])
        search(share, rows, *answers)
        return answers

    if len(shares) == len(ranges) == 1:  # one query takes little longer than what would be prepared for threads
        part(shares[0], ranges[0])
        return
    parts = in_threads([partial(part, share, rows) for share in shares for rows in ranges])
    if len(ranges) > 1:
        for number, share in enumerate(shares):
            ids[share], distances[share] = merged(
                parts[number * len(ranges) : (number + 1) * len(ranges)], k=ids.shape[1]
            )


def joined_hits(
    parts: Sequence[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Distance]]], kind: type[Distance]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Distance]]:
    """Offsets (Q + 1,), ids and distances (H,) of the hits of all queries, of which each part counts and names some."""
    counts = np.concatenate([np.zeros(1, np.int64), *(part[0] for part in parts)])
    ids = np.concatenate([np.empty(0, np.int64), *(part[1] for part in parts)])
    return np.cumsum(counts), ids, np.concatenate([np.empty(0, kind), *(part[2] for part in parts)])
