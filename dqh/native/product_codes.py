"""Codewords of items in the layout of the kernels, and exact search of them by look-up tables, by threads.

A query is answered alike by any number of threads and by any instruction set.

N items, M subspaces, K codewords each, Q queries, k answers a query.
"""

from __future__ import annotations  # those of inner functions would be made anew by each search

from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.native import table_twins
from dqh.native.bitmaps import Bitmap
from dqh.native.memory import aligned_zeros
from dqh.native.sharing import SCRATCH, fill_nearest, joined_hits, query_shares, row_ranges
from dqh.native.threads import in_threads
from dqh.native.twins import require_ok

MOST_CODEWORDS = 256
"""Codewords that a byte tells apart."""

Answers = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Rows and distances."""


class ProductCodes:
    """Items to search by sums of look-up tables, or by 1 + sum / norm, the cosine.

    Args:
        indices: (M, N) uint8, codewords of the items; copied into blocks. N is below 2³².
        codewords: K, a power of two up to 256.
        norms: (N,) float32, at least 0, for the cosine: a distance is 1 where the norm is 0.
        kernels: `dqh._native`, or `dqh.native.table_twins`, which takes indices of any width.

    Example:
        >>> codes = ProductCodes(np.array([[0, 1, 1], [0, 0, 1]], np.uint8), 2, kernels=table_twins)
        >>> codes.nearest(np.array([[[0, 3], [5, 1]]], np.float32), 2)
        (array([[2, 0]]), array([[4., 5.]], dtype=float32))
    """

    def __init__(
        self,
        indices: NDArray[np.integer[Any]],
        codewords: int,
        *,
        norms: NDArray[np.float32] | None = None,
        kernels: ModuleType,
    ) -> None:
        self._kernels: Any = kernels
        self._subspaces, self._rows = indices.shape
        self._codewords = codewords
        columns, self._norms = np.empty((0, self._rows), indices.dtype), _Norms(None, 0.0, 0.0)
        if norms is not None:
            columns, self._norms = norm_columns(norms, halves=codewords <= _HALF)
        self._blocks = product_blocks(indices, columns)

    def __len__(self) -> int:
        return int(self._rows)

    def indices(self) -> NDArray[np.integer[Any]]:
        """(M, N), the codewords again."""
        return np.ascontiguousarray(table_twins.block_columns(self._blocks)[: self._subspaces, : self._rows])

    def nearest(self, tables: NDArray[np.float32], k: int, *, allowed: Bitmap | None = None) -> Answers:
        """The k nearest items of each query, by sums in float32 from the first subspace to the last; equal ones by row.

        Args:
            tables: (Q, M, K) float32, finite, smaller is nearer.
            k: at least 1.
            allowed: which items may be in an answer; None: all.

        Returns:
            Rows (Q, k) int64 and distances (Q, k) float32; -1 and +inf where there are fewer.
        """
        tables = np.ascontiguousarray(tables)
        queries, work = len(tables), self._rows * self._subspaces
        ids, distances = np.empty((queries, k), np.int64), np.empty((queries, k), np.float32)
        need = self._scratch(k)
        ranges = row_ranges(self._rows, queries=queries, work=work, block=table_twins.BLOCK)

        def search(share: slice, rows: slice, *answers: NDArray[Any]) -> None:
            own = tables[share]
            scratch = np.empty(need * len(own), np.uint64)
            require_ok(self._kernels.tables_nearest(*self._range(allowed, rows), own, len(own), k, scratch, *answers))

        shares = query_shares(queries, ranges=len(ranges), work=work, scratch=8 * need)
        fill_nearest(search, ids, distances, shares=shares, ranges=ranges)
        return ids, distances

    def within(
        self, tables: NDArray[np.float32], radius: float, *, allowed: Bitmap | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """All items at most `radius` away from each query, nearest first, equal distances by row.

        Args:
            tables: (Q, M, K) float32, finite, smaller is nearer.
            radius: any number, rounded to float32 as distances are.
            allowed: which items may be in an answer; None: all.

        Returns:
            Offsets (Q + 1,) int64: the hits of query q are `offsets[q]` to `offsets[q + 1]` of the rows (H,) int64 and
            of the distances (H,) float32 that follow.
        """
        tables = np.ascontiguousarray(tables)
        with np.errstate(over="ignore"):  # beyond float32 is infinite
            limit = float(np.float32(radius))
        need = self._scratch(1)
        ranges = row_ranges(self._rows, queries=1, work=self._rows * self._subspaces, block=table_twins.BLOCK)
        step = max(1, SCRATCH // (8 * need * len(ranges)))
        parts = [
            self._within(tables[start : start + step], limit, allowed, ranges) for start in range(0, len(tables), step)
        ]
        return joined_hits(parts, np.float32)

    def _within(
        self, tables: NDArray[np.float32], radius: float, allowed: Bitmap | None, ranges: list[slice]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Hits of each query, and their rows and distances: counted first, then put where they belong, then sorted."""
        cursors = np.zeros((len(ranges), len(tables)), np.int64)
        need = self._scratch(1)

        def scan(part: int, *answers: NDArray[Any] | None) -> None:
            scratch = np.empty(need * len(tables), np.uint64)
            items = self._range(allowed, ranges[part])
            require_ok(
                self._kernels.tables_within(*items, tables, len(tables), radius, scratch, cursors[part], *answers)
            )

        in_threads([partial(scan, part, None, None) for part in range(len(ranges))])
        sizes = cursors.T.copy()  # hits lie in order of query and range of rows
        ends = np.cumsum(sizes).reshape(sizes.shape)
        cursors[:] = (ends - sizes).T
        ids, distances = np.empty(int(ends[-1, -1]), np.int64), np.empty(int(ends[-1, -1]), np.float32)
        in_threads([partial(scan, part, ids, distances) for part in range(len(ranges))])
        for start, end in zip(ends[:, -1] - sizes.sum(axis=1), ends[:, -1], strict=True):
            order = np.argsort(distances[start:end], kind="stable")
            ids[start:end], distances[start:end] = ids[start:end][order], distances[start:end][order]
        return sizes.sum(axis=1), ids, distances

    def _scratch(self, k: int) -> int:
        """Words of memory that a kernel needs for a query."""
        need = self._kernels.tables_scratch(1, self._rows, self._subspaces, self._codewords, k)
        return int(-(-max(8, need) // 8))

    def _range(self, allowed: Bitmap | None, rows: slice) -> tuple[Any, ...]:
        """The first arguments of every kernel."""
        allowed = None if allowed is None else np.ascontiguousarray(allowed)
        items = (self._blocks, allowed, self._rows, self._subspaces, self._codewords)
        return *items, *self._norms, rows.start, rows.stop


def product_blocks(indices: NDArray[np.integer[Any]], norms: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """Codewords (M, N) and columns of norms (C, N) in blocks of 1,024 items, (⌈N / 1024⌉, M + C, 1024)."""
    rows, size = indices.shape[1], table_twins.BLOCK
    blocks = aligned_zeros((-(-rows // size), len(indices) + len(norms), size), indices.dtype)
    for number, block in enumerate(blocks):
        part = slice(number * size, min((number + 1) * size, rows))
        width = part.stop - part.start
        block[: len(indices), :width], block[len(indices) :, :width] = indices[:, part], norms[:, part]
    return blocks


_HALF = 16
"""Codewords up to which a norm is two halves of a byte."""


class _Norms(NamedTuple):
    """What kernels are told of norms.

    Attributes:
        scales: (N,) float32, 1 / norm, or 0; None without norms.
        least: of all norms.
        step: of a byte.
    """

    scales: NDArray[np.float32] | None
    least: float
    step: float


def norm_columns(norms: NDArray[np.float32], *, halves: bool) -> tuple[NDArray[np.uint8], _Norms]:
    """Norms (N,) in bytes n, (1, N), or in their low and high halves (2, N): norm ≥ least + n · step."""
    values = norms.astype(np.float64)
    least, largest = float(values.min(initial=np.inf)), float(values.max(initial=0))
    step = (largest - least) / 255 if least < largest < np.inf else 0.0
    places = np.floor((values - least) / step).clip(0, 255) if step else np.zeros(len(values))
    places -= (least + places * step > values) & (places > 0)
    octets = places.astype(np.uint8)[None]
    with np.errstate(divide="ignore"):
        scales = np.where(norms > 0, 1 / norms, np.float32(0))
    columns = np.concatenate([octets & 15, octets >> 4]) if halves else octets
    return columns, _Norms(scales, least, step)
