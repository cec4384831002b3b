"""The k nearest by look-up tables of 16 codewords, exact, out of the coarse sums of faiss's 4-bit scan.

That scan keeps the tables in registers as bytes (André, Kermarrec and Le Scouarnec 2015) and is 50 times as quick as a
scan in float32, but ranks by rounded sums. Here it only chooses: items whose rounded sum cannot belong to the k nearest
are left out by proof, all others are compared by `dqh.index.lookup.lookup_sums`, so that the answer is that of a
scan.

N items, M subspaces, 16 codewords each, k answers.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.index.lookup import lookup_sums
from dqh.lazy import faiss

CODEWORDS = 16
"""Codewords a subspace that the scan takes."""

MOST_SUBSPACES = 256
"""A sum of so many bytes is within 16 bits."""

_CLAMP = 3.0
"""Table values beyond their minimum by so many times what they are on average count as that much."""

_FIRST, _MORE, _SHARE = 64, 4, 8
"""Items looked at: 2 k and so many; `_MORE` times as many until they are proved enough; at most N / `_SHARE`."""

_ROUNDING = 0.501
"""Steps by which a byte of the scan is off at most: half of one, and float32 on the way to it."""


class FastScan:
    """N items to search.

    Args:
        indices: (M, N) uint8, codewords of the items, each below 16; kept, not copied. Beside them the scan keeps half
            a byte an item and subspace.

    Raises:
        ValueError: M is above 256.
    """

    def __init__(self, indices: NDArray[np.uint8]) -> None:
        subspaces, count = indices.shape
        if subspaces > MOST_SUBSPACES:
            raise ValueError(f"subspaces must be at most {MOST_SUBSPACES}, got {subspaces}; scan in float32")
        self._indices = indices
        # the tables of faiss are inner products; with unit vectors as codewords they are the query itself
        plain: Any = faiss.IndexPQ(CODEWORDS * subspaces, subspaces, 4, faiss.METRIC_INNER_PRODUCT)
        units = np.tile(np.eye(CODEWORDS, dtype=np.float32), (subspaces, 1))
        faiss.copy_array_to_vector(units.ravel(), plain.pq.centroids)
        plain.is_trained = True
        codes = np.zeros((count, -(-subspaces // 2)), np.uint8)
        codes[:] = indices[::2].T
        codes[:, : subspaces // 2] |= indices[1::2].T << 4
        plain.add_sa_codes(codes)
        self._scan: Any = faiss.IndexPQFastScan(plain)

    def nearest(self, tables: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]] | None:
        """The k items of the smallest sums, equal sums by id, smallest first.

        The scan gives d(x) = Σ_m min(t_m(x), c_m) up to an error E, with c_m = min t_m + 3 mean(t − min t). Of an item
        that is not among its n smallest the exact sum is thus at least d_n − E: where the kth exact sum of the n lies
        below that, no other item can be nearer than it, or as near.

        Args:
            tables: (1, M, 16) float32, finite, smaller is nearer.
            k: answers, 1 to N.

        Returns:
            ids (k,) and sums (k,) float32; None where a scan of everything takes no longer.
        """
        coarse, error = self._query(np.ascontiguousarray(tables[0]))
        seen = 2 * k + _FIRST
        while error is not None and seen <= self._indices.shape[1] // _SHARE:
            similarities, rows = self._scan.search(coarse, seen)
            if (rows < 0).any():  # faiss leaves out items that are as far away as a sum of bytes can tell
                break
            ids = np.sort(rows[0])
            exact = lookup_sums(tables, self._indices[:, ids].T)[0]
            order = np.argsort(exact, kind="stable")[:k]
            if exact[order[-1]] < -similarities[0, -1] - error:
                return ids[order], exact[order] + np.float32(0)  # −0 and +0 are one distance
            seen *= _MORE
        return None

    @staticmethod
    def _query(table: NDArray[np.float32]) -> tuple[NDArray[np.float32], float | None]:
        """What the scan is asked with, (1, 16 M) float32, and the error E; None where all sums are equal."""
        least = table.min(axis=1, keepdims=True)
        clamped: NDArray[np.float32] = np.minimum(table, least + np.float32(_CLAMP) * (table - least).mean())
        span = float((clamped.max(axis=1) - clamped.min(axis=1)).max())
        if not 0 < span < np.inf:
            return -clamped.reshape(1, -1), None
        subspaces = len(table)
        # faiss adds up float32 too: M minima, then the sum of bytes times span / 255; `lookup_sums` M values
        largest = float(np.abs(table).max(axis=1).sum(dtype=np.float64))
        summing = 4 * subspaces * float(np.finfo(np.float32).eps) * largest
        return -clamped.reshape(1, -1), float(subspaces * _ROUNDING * span / 255 + summing)
