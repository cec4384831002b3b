"""Codewords of items in the layout of the kernels, and exact search of them by look-up tables, by threads.

A query is answered alike by any number of threads and by any instruction set.

N items, M subspaces, K codewords each, Q queries, k answers a query.
"""

from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.native import twins
from dqh.native.sharing import merged, query_shares, row_ranges
from dqh.native.threads import in_threads

MOST_CODEWORDS = 256
"""Codewords that a byte tells apart."""

Answers = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Rows and distances."""


class ProductCodes:
    """Items to search by sums of look-up tables.

    Args:
        indices: (M, N) uint8, C-contiguous, codewords of the items; kept, not copied. N is below 2³².
        codewords: K, a power of two up to 256.
        kernels: `dqh._native`, or `dqh.native.twins`.

    Example:
        >>> codes = ProductCodes(np.array([[0, 1, 1], [0, 0, 1]], np.uint8), 2, kernels=twins)
        >>> codes.nearest(np.array([[[0, 3], [5, 1]]], np.float32), 2)
        (array([[2, 0]]), array([[4., 5.]], dtype=float32))
    """

    def __init__(self, indices: NDArray[np.uint8], codewords: int, *, kernels: ModuleType) -> None:
        self._kernels: Any = kernels
        self._indices, self._codewords = indices, codewords

    def __len__(self) -> int:
        return int(self._indices.shape[1])

    def nearest(self, tables: NDArray[np.float32], k: int, *, allowed: NDArray[np.bool_] | None = None) -> Answers:
        """The k nearest items of each query, by sums in float32 from the first subspace to the last; equal ones by row.

        Args:
            tables: (Q, M, K) float32, finite, smaller is nearer.
            k: at least 1.
            allowed: (N,) which items may be in an answer; None: all.

        Returns:
            Rows (Q, k) int64 and distances (Q, k) float32; -1 and +inf where there are fewer.
        """
        tables = np.ascontiguousarray(tables)
        bitmap = None if allowed is None else np.packbits(allowed, bitorder="little")
        queries, subspaces, rows = len(tables), len(self._indices), len(self)
        ids, distances = np.empty((queries, k), np.int64), np.empty((queries, k), np.float32)
        need = -(-max(8, self._kernels.tables_scratch(1, rows, subspaces, self._codewords, k)) // 8)
        ranges = row_ranges(rows, queries=queries, work=rows * subspaces)

        def search(share: slice, part: slice) -> Answers:
            own = tables[share]
            answers = ids[share], distances[share]
            if len(ranges) > 1:
                answers = np.empty_like(answers[0]), np.empty_like(answers[1])
            items = (self._indices, bitmap, rows, subspaces, self._codewords, part.start, part.stop)
            scratch = np.empty(need * len(own), np.uint64)
            status = self._kernels.tables_nearest(*items, own, len(own), k, scratch, *answers)
            assert status == twins.OK, f"a kernel returned {status}"
            return answers

        shares = query_shares(queries, ranges=len(ranges), work=rows * subspaces, scratch=8 * need)
        parts = in_threads([partial(search, share, part) for share in shares for part in ranges])
        if len(ranges) > 1:
            for number, share in enumerate(shares):
                ids[share], distances[share] = merged(parts[number * len(ranges) : (number + 1) * len(ranges)], k)
        return ids, distances
