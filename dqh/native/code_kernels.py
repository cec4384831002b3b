"""The kernels of clustering packed codes on the memory that they need, by threads.

N codes, W words of 64 bits a code, k centres.
"""

from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from dqh.native import code_twins
from dqh.native.cell_kernels import NOBODY, Groups, shared
from dqh.native.code_twins import CENTRES
from dqh.native.extension import extension
from dqh.native.twins import require_ok

PART = 16
"""Bits of a part that is looked up."""

WORDS = 4
"""Of a code that `nearest_codes` takes."""

_SLOWER = 8
"""Centres that a scan compares while one is looked at by itself."""

_TRIED, _USUAL, _STEPS = 64, 0.9, 120
"""Codes by which the steps of tables are chosen: this part of them is at most so many steps from its centre."""


def kernels() -> ModuleType:
    """`dqh._native`, or `dqh.native.code_twins` where it is not built."""
    return extension() or code_twins


def bit_sums(
    members: Groups, codes: NDArray[np.uint64], weights: NDArray[np.uint32], *, native: ModuleType
) -> NDArray[np.int64]:
    """How many codes (N, W) of each group have each bit (k, 64 W), counted by weights (N,)."""
    (number, words), groups = codes.shape, len(members.offsets) - 1
    sums = np.empty((groups, 64 * words), np.int64)

    def count(share: slice) -> None:
        require_ok(native.bit_sums(*members, share.start, share.stop, codes, weights, number, words, sums))

    shared(count, groups)
    return sums


def nearest_by_last(
    members: Groups, codes: NDArray[np.uint64], centres: NDArray[np.uint64], *, native: ModuleType
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The nearest centre (k, W) of codes (N, W) that had one, and its distance in bits, (N,) each.

    -1 for both where that takes more than comparing all.
    """
    (number, words), count = codes.shape, len(centres)
    ids, distances = np.empty(number, np.int32), np.empty(number, np.int32)

    def search(share: slice) -> None:
        scratch = np.empty(2 * count + 4 * (64 * words + 1), np.int32)
        part = share.start, share.stop, codes, number, centres, count, words, max(1, count // _SLOWER)
        require_ok(native.nearest_by_last(*members, *part, scratch, ids, distances))

    shared(search, count)
    return ids, distances


def nearest_codes(
    codes: NDArray[np.uint64], places: NDArray[np.int32], centres: NDArray[np.uint64], *, native: ModuleType
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The nearest centre (k, W) of codes (N, W) at places (m,), and its distance, (m,) each; W is at most `WORDS`."""
    (number, words), columns = codes.shape, np.ascontiguousarray(centres.T)
    ids, distances = np.empty(len(places), np.int32), np.empty(len(places), np.int32)

    def search(share: slice) -> None:
        part = codes, number, places[share], share.stop - share.start, columns, len(centres), words
        require_ok(native.nearest_codes(*part, ids[share], distances[share]))

    shared(search, len(places))
    return ids, distances


def nearest_centres(
    distances: NDArray[np.float32], indices: NDArray[np.uint8], centres: NDArray[np.uint8], *, native: ModuleType
) -> NDArray[np.uint64]:
    """Keys (N,) of the nearest of centres (k, M) to codes (N, M), by distances (M, K, K) between codewords."""
    # what is usual of a few codes decides how fine the steps are
    few = np.ascontiguousarray(indices[:: max(1, len(indices) // _TRIED)])
    usual = _lowest(distances, np.zeros(distances.shape, np.uint8), 0.0, few, centres, native)
    near = float(np.quantile((usual >> np.uint64(32)).astype(np.uint32).view(np.float32), _USUAL)) if len(few) else 0.0
    scale = _STEPS / near if near > 0 else 0.0
    steps = np.minimum(distances.astype(np.float64) * scale, 255).astype(np.uint8)
    return _lowest(distances, steps, scale, indices, centres, native)


def _lowest(
    distances: NDArray[np.float32],
    steps: NDArray[np.uint8],
    scale: float,
    indices: NDArray[np.uint8],
    centres: NDArray[np.uint8],
    native: ModuleType,
) -> NDArray[np.uint64]:
    subspaces, codewords, _ = distances.shape
    keys = np.full(len(indices), NOBODY, np.uint64)
    tables = distances, steps, subspaces, codewords, scale, centres, len(centres)

    def lower(share: slice) -> None:
        number = share.stop - share.start
        scratch = np.empty(subspaces * codewords * CENTRES + number, np.uint8)
        require_ok(native.nearest_centres(*tables, indices[share], number, scratch, keys[share]))

    shared(lower, len(indices))
    return keys


class MultiIndex:
    """Codes (k, W) uint64 by the values of their parts of 16 bits, to find the nearest of them.

    Args:
        codes: (k, W) uint64.
        bits: of a code; what lies behind them is zero in all codes.
        native: `dqh._native`, or `dqh.native.code_twins`.
    """

    def __init__(self, codes: NDArray[np.uint64], bits: int, *, native: ModuleType) -> None:
        self._codes, self._native = np.ascontiguousarray(codes), native
        values = self._codes.astype("<u8", copy=False).view("<u2")[:, : -(-bits // PART)].T
        self._places = np.argsort(values, axis=1, kind="stable").astype(np.int32)
        counts = np.stack([np.bincount(row, minlength=2**PART) for row in values])
        self._starts = np.zeros((len(values), 2**PART + 1), np.int32)
        np.cumsum(counts, axis=1, out=self._starts[:, 1:])
        every = np.arange(2**PART, dtype=np.uint16)
        ones = np.bitwise_count(every)
        self._flips = every[np.argsort(ones, kind="stable")]
        self._levels = np.searchsorted(np.sort(ones), np.arange(PART + 2)).astype(np.int32)

    def nearest(self, queries: NDArray[np.uint64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The nearest code of queries (N, W), of equal ones the first, and its distance in bits, (N,) each."""
        ids, distances = np.empty(len(queries), np.int32), np.empty(len(queries), np.int32)
        rows, words = self._codes.shape
        tables = self._codes, self._starts, self._places, self._levels, self._flips, rows, words, len(self._places)

        def search(share: slice) -> None:
            part = np.ascontiguousarray(queries[share]), share.stop - share.start, ids[share], distances[share]
            require_ok(self._native.multi_index_nearest(*tables, *part))

        shared(search, len(queries))
        return ids, distances
