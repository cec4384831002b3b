"""Distinct packed codes by Hamming distance, and centres of bits.

U distinct codes of B bits, k centres, W words of 64 bits a code.
"""

import time
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dqh.clustering.code_sums import AssignedCodes, CodeSums
from dqh.clustering.distinct_codes import DistinctCodes
from dqh.index.bit_scans import bit_scan
from dqh.native import cell_kernels, code_kernels
from dqh.native.code_kernels import MultiIndex
from dqh.native.extension import extension
from dqh.native.hamming_codes import words_of

Assignment = Literal["auto", "brute_force", "multi_index"]
ASSIGNMENTS: tuple[str, ...] = get_args(Assignment)

_CHUNK = 2**18
"""Codes assigned at a time."""

_TRIED = 2**11
"""Codes by which the two ways of assignment are compared."""

_FEW = 2**28
"""Pairs of a code and a centre below which comparing both ways takes longer than comparing all."""

_POINTS = 4
"""Codes for each centre from which on centres are compared with one another."""

_Nearest = Callable[[NDArray[np.int32]], tuple[NDArray[np.int32], NDArray[np.int32]]]


class BinarySpace(AssignedCodes):
    """Codes and centres as words of 64 bits.

    Args:
        merged: the codes.
        bits: B.
        assignment: `brute_force`, `multi_index`, or `auto`, see `BinaryKMeans`.

    Attributes:
        weights: (U,) uint32.
    """

    def __init__(self, merged: DistinctCodes, bits: int, assignment: Assignment) -> None:
        super().__init__(merged.weights)
        self._codes, self._words = merged.codes, words_of(merged.codes)
        self._bits, self._assignment = bits, assignment

    def between(self, place: int, places: NDArray[np.int64]) -> NDArray[np.float64]:
        """Bits in which a code differs from others (m,)."""
        differing = np.bitwise_count(self._words[places] ^ self._words[place])
        sums: NDArray[np.float64] = differing.sum(axis=1, dtype=np.float64)
        return sums

    def to_nearest(self, places: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.float64]:
        """Bits in which codes (m,) differ from the nearest of others."""
        compare = self._by_all if self._words.shape[1] <= code_kernels.WORDS else self._by_scan
        return compare(self._words[others])(places.astype(np.int32))[1].astype(np.float64)

    def centres_at(self, places: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Codes as centres (m, W)."""
        return self._words[places]

    def nearest(
        self, centres: NDArray[np.uint64], last: NDArray[np.int32] | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The nearest of centres (k, W) to each code, of equal ones the first, and its distance, (U,) each.

        By the centres near to the `last` one of each code where that is known, else, and where those are many, by all.
        """
        if last is None or self._assignment != "auto" or len(centres) > len(self._codes) // _POINTS:
            labels, near = self._searched(centres, np.arange(len(self._codes), dtype=np.int32))
            return labels, near.astype(np.float64)
        members = cell_kernels.group(last, len(centres), native=cell_kernels.kernels())
        labels, near = code_kernels.nearest_by_last(members, self._words, centres, native=code_kernels.kernels())
        left = np.flatnonzero(labels < 0).astype(np.int32)
        if len(left):
            labels[left], near[left] = self._searched(centres, left)
        return labels, near.astype(np.float64)

    def parts(self, labels: NDArray[np.int32], count: int) -> NDArray[np.int64]:
        """How many codes of each centre have each bit (k, 64 W)."""
        members = cell_kernels.group(labels, count, native=cell_kernels.kernels())
        return code_kernels.bit_sums(members, self._words, self.weights, native=code_kernels.kernels())

    def error(self, centres: NDArray[np.uint64], sums: CodeSums) -> float:
        """Bits in which the codes differ from their centres."""
        wrong = np.where(_bits_of(centres), sums.counts[:, None] - sums.parts, sums.parts)
        return float(wrong.sum(dtype=np.int64))

    def moved(self, centres: NDArray[np.uint64], sums: CodeSums) -> NDArray[np.uint64]:
        """Majorities: bits that at least half of the codes have; one that none has is 0."""
        bits = (sums.parts > 0) & (2 * sums.parts >= sums.counts[:, None])
        majorities = np.packbits(bits, axis=1, bitorder="little").view(np.uint64)
        return np.where(sums.counts[:, None] > 0, majorities, centres)

    def _searched(
        self, centres: NDArray[np.uint64], places: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The nearest centres of some codes (m,), and their distances."""
        labels, distances = np.empty(len(places), np.int32), np.empty(len(places), np.int32)
        search = self._way(centres, places)
        for start in range(0, len(labels), _CHUNK):
            part = slice(start, start + _CHUNK)
            labels[part], distances[part] = search(places[part])
        return labels, distances

    def _way(self, centres: NDArray[np.uint64], places: NDArray[np.int32]) -> _Nearest:
        """How codes are assigned: as asked, or as some of them are assigned in less time."""
        ways = {"brute_force": self._by_all if self._is_short else self._by_scan, "multi_index": self._by_parts}
        if self._assignment != "auto" or len(places) * len(centres) < _FEW:
            return ways["multi_index" if self._assignment == "multi_index" else "brute_force"](centres)
        spread = np.ascontiguousarray(places[:: max(1, len(places) // _TRIED)])
        searches = [way(centres) for way in ways.values()]
        seconds = []
        for search in searches:
            began = time.perf_counter()
            search(spread)
            seconds.append(time.perf_counter() - began)
        return searches[int(np.argmin(seconds))]

    @property
    def _is_short(self) -> bool:
        """Whether a kernel without limits compares all in less time than the scan of an index."""
        native = extension()
        return (
            native is not None and native.instruction_set() == "avx512" and self._words.shape[1] <= code_kernels.WORDS
        )

    def _by_all(self, centres: NDArray[np.uint64]) -> _Nearest:
        native = code_kernels.kernels()
        return lambda places: code_kernels.nearest_codes(self._words, places, centres, native=native)

    def _by_scan(self, centres: NDArray[np.uint64]) -> _Nearest:
        scan = bit_scan(self._codes.shape[1])
        scan.add(np.ascontiguousarray(centres.astype("<u8").view(np.uint8)[:, : self._codes.shape[1]]))

        def search(places: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
            ids, distances = scan.nearest(self._codes[places], 1)
            return ids[:, 0].astype(np.int32), distances[:, 0]

        return search

    def _by_parts(self, centres: NDArray[np.uint64]) -> _Nearest:
        index = MultiIndex(centres, self._bits, native=code_kernels.kernels())
        return lambda places: index.nearest(self._words[places])


def _bits_of(words: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Bits (k, 64 W) of words (k, W), the lowest of the first one first."""
    return np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=1, bitorder="little")
