"""Distinct packed codes by Hamming distance, and centres of bits.

U distinct codes of B bits, k centres, W words of 64 bits a code.
"""

import time
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dqh.clustering.distinct_codes import DistinctCodes
from dqh.index.bit_scans import bit_scan
from dqh.native import cell_kernels, code_kernels
from dqh.native.code_kernels import MultiIndex
from dqh.native.hamming_codes import words_of

Assignment = Literal["auto", "brute_force", "multi_index"]
ASSIGNMENTS: tuple[str, ...] = get_args(Assignment)

_CHUNK = 2**18
"""Codes assigned at a time."""

_TRIED = 2**11
"""Codes by which the two ways of assignment are compared."""

_Nearest = Callable[[slice], tuple[NDArray[np.int32], NDArray[np.int32]]]


class BinarySpace:
    """Codes and centres as words of 64 bits.

    Args:
        merged: the codes.
        bits: B.
        assignment: `brute_force`, `multi_index`, or `auto`: whichever is quicker for some of the codes.

    Attributes:
        weights: (U,) uint32.
    """

    def __init__(self, merged: DistinctCodes, bits: int, assignment: Assignment) -> None:
        self.weights = merged.weights
        self._codes, self._words = merged.codes, words_of(merged.codes)
        self._bits, self._assignment = bits, assignment

    def between(self, place: int, places: NDArray[np.int64]) -> NDArray[np.float64]:
        """Bits in which a code differs from others (m,)."""
        differing = np.bitwise_count(self._words[places] ^ self._words[place])
        sums: NDArray[np.float64] = differing.sum(axis=1, dtype=np.float64)
        return sums

    def centres_at(self, places: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Codes as centres (m, W)."""
        return self._words[places]

    def nearest(self, centres: NDArray[np.uint64]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The nearest of centres (k, W) to each code, of equal ones the first, and its distance, (U,) each."""
        labels, distances = np.empty(len(self._codes), np.int32), np.empty(len(self._codes), np.float64)
        search = self._way(centres)
        for start in range(0, len(labels), _CHUNK):
            part = slice(start, min(start + _CHUNK, len(labels)))
            labels[part], distances[part] = search(part)
        return labels, distances

    def moved(self, centres: NDArray[np.uint64], labels: NDArray[np.int32]) -> NDArray[np.uint64]:
        """Majorities of the codes with each label."""
        members = cell_kernels.group(labels, len(centres), native=cell_kernels.kernels())
        new = centres.copy()
        code_kernels.majority(members, self._words, self.weights, new, native=code_kernels.kernels())
        return new

    def _way(self, centres: NDArray[np.uint64]) -> _Nearest:
        """How codes are assigned: as asked, or as the first of them are assigned in less time."""
        ways = {"brute_force": self._by_scan, "multi_index": self._by_parts}
        if self._assignment != "auto":
            return ways[self._assignment](centres)
        spread = slice(0, len(self._codes), max(1, len(self._codes) // _TRIED))
        searches = [way(centres) for way in ways.values()]
        seconds = []
        for search in searches:
            began = time.perf_counter()
            search(spread)
            seconds.append(time.perf_counter() - began)
        return searches[int(np.argmin(seconds))]

    def _by_scan(self, centres: NDArray[np.uint64]) -> _Nearest:
        scan = bit_scan(self._codes.shape[1])
        scan.add(np.ascontiguousarray(centres.astype("<u8").view(np.uint8)[:, : self._codes.shape[1]]))

        def search(part: slice) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
            ids, distances = scan.nearest(np.ascontiguousarray(self._codes[part]), 1)
            return ids[:, 0].astype(np.int32), distances[:, 0]

        return search

    def _by_parts(self, centres: NDArray[np.uint64]) -> _Nearest:
        index = MultiIndex(centres, self._bits, native=code_kernels.kernels())
        return lambda part: index.nearest(self._words[part])
