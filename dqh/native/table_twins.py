"""The kernels of look-up tables of product codes in numpy, as `twins` has those of Hamming distances.

N rows, M subspaces, K codewords each, Q queries, k answers a query, D dimensions.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.native.twins import ARGUMENT, FULL, OK, put_hits, rows_of_range

BLOCK = 1024
"""Items whose codewords lie together, subspace by subspace."""

ROUNDING = 1e-13
"""Squared distances below this share of the squared norms are rounding, and 0."""


def tables_scratch(count: int, rows: int, subspaces: int, codewords: int, k: int) -> int:
    """Bytes of `scratch` that a search of so many queries needs: none here."""
    return 0


def tables_nearest(
    blocks: NDArray[np.integer[Any]],
    allowed: NDArray[np.uint8] | None,
    rows: int,
    subspaces: int,
    codewords: int,
    scales: NDArray[np.float32] | None,
    norm_least: float,
    norm_step: float,
    first: int,
    last: int,
    tables: NDArray[np.float32],
    count: int,
    k: int,
    scratch: Any,
    ids: NDArray[np.int64],
    distances: NDArray[np.float32],
) -> int:
    """The k nearest of rows `first` to `last` by sums of look-up tables, from the first subspace to the last.

    Arguments that are not listed are those of `twins.hamming_nearest`; `first` and `last` may be any rows.

    - `blocks`: (⌈N / 1024⌉, M, 1024) uint8, codewords; with `scales` columns of norms follow those of the subspaces,
      see `product_codes.norm_columns`.
    - `rows`: N, below 2³².
    - `subspaces`: M.
    - `codewords`: K, a power of two up to 256.
    - `scales`: (N,) float32, a distance is 1 + scale · sum; None: it is the sum.
    - `norm_least`, `norm_step`: of the columns of norms, which bound distances and change none.
    - `tables`: (Q, M, K) float32, finite.
    - `distances`: (Q, k) float32, is filled; +inf where a query has fewer answers. −0 is +0.

    Returns:
        A status.
    """
    if k < 1:
        return ARGUMENT
    for query, table in enumerate(tables):
        number, sums = _sums(blocks, allowed, scales, first, last, table)
        order = np.argsort(sums, kind="stable")[:k]
        answered = len(order)
        ids[query, :answered], ids[query, answered:] = number[order], -1
        distances[query, :answered], distances[query, answered:] = sums[order], np.inf
    return OK


def tables_within(
    blocks: NDArray[np.integer[Any]],
    allowed: NDArray[np.uint8] | None,
    rows: int,
    subspaces: int,
    codewords: int,
    scales: NDArray[np.float32] | None,
    norm_least: float,
    norm_step: float,
    first: int,
    last: int,
    tables: NDArray[np.float32],
    count: int,
    radius: float,
    scratch: Any,
    cursors: NDArray[np.int64],
    ids: NDArray[np.int64] | None,
    distances: NDArray[np.float32] | None,
) -> int:
    """Rows at most `radius` away, in order of their number, by two calls: one that counts, and one that fills.

    Arguments that are not listed are those of `tables_nearest`.

    - `radius`: float32, no NaN.
    - `cursors`: (Q,) int64. Without `ids` and `distances` they are increased by the number of rows; with them they say
      where the next row is put, and are moved on.
    - `ids`: (H,) int64.
    - `distances`: (H,) float32.

    Returns:
        A status; `FULL` where a cursor left the memory.
    """
    if radius != radius:
        return ARGUMENT
    full = False
    for query, table in enumerate(tables):
        number, sums = _sums(blocks, allowed, scales, first, last, table)
        near = np.flatnonzero(sums <= np.float32(radius))
        if ids is not None and distances is not None:
            full |= not put_hits(ids, distances, cursors[query] + np.arange(len(near)), number[near], sums[near])
        cursors[query] += len(near)
    return FULL if full else OK


def query_tables(
    queries: NDArray[np.float64],
    count: int,
    rotation: NDArray[np.float32] | None,
    columns: NDArray[np.float32],
    norms: NDArray[np.float64],
    subspaces: int,
    codewords: int,
    width: int,
    squared: bool,
    scratch: Any,
    tables: NDArray[np.float32],
) -> int:
    """Look-up tables of queries, in float64 by sums from the first dimension to the last, rounded to float32.

    Args:
        queries: (Q, D) float64.
        count: Q.
        rotation: (D, D) float32, what queries are multiplied by first, or None.
        columns: (M, d, K) float32, codewords, those of one dimension together.
        norms: (M, K) float64, their squared norms.
        subspaces: M.
        codewords: K, 1 to 2¹⁶.
        width: d = D / M.
        squared: squared L2 distances, 0 where they are rounding alone; else inner products.
        scratch: (D,) float64.
        tables: (Q, M, K) float32, is filled.

    Returns:
        A status.
    """
    if rotation is not None:
        turned = np.zeros_like(queries)
        for value, row in zip(queries.T, rotation, strict=True):
            turned += value[:, None] * row
        queries = turned
    parts = queries.reshape(count, subspaces, width)
    sums, lengths = np.zeros(tables.shape), np.zeros((count, subspaces, 1))
    for i in range(width):
        sums += parts[:, :, i, None] * columns[:, i]
        lengths += np.square(parts[:, :, i, None])
    if squared:
        sums = norms - 2 * sums + lengths  # |x - c|^2
        sums[sums <= ROUNDING * (norms + lengths)] = 0
    tables[:] = sums
    return OK


def block_columns(blocks: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """Columns (C, 1024 n) of n blocks (n, C, 1024)."""
    return blocks.transpose(1, 0, 2).reshape(blocks.shape[1], -1)


def _sums(
    blocks: NDArray[np.integer[Any]],
    allowed: NDArray[np.uint8] | None,
    scales: NDArray[np.float32] | None,
    first: int,
    last: int,
    table: NDArray[np.float32],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The rows of a range that may be in an answer, (n,), and their distances by a look-up table (M, K), (n,)."""
    number = rows_of_range(allowed, first, last)
    chosen: Any = slice(first, last) if allowed is None else number
    sums = np.zeros(len(number), np.float32)
    for subspace, values in enumerate(table):
        sums += values[blocks[:, subspace].reshape(-1)[chosen]]
    if scales is not None:
        sums *= scales[chosen]
        sums += np.float32(1)
    return number, sums + np.float32(0)
