"""Codes, each kept once with how often it comes: what clusters codes has far fewer of them to look at.

N codes, U distinct ones.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.native.hamming_codes import words_of


class DistinctCodes(NamedTuple):
    """Codes without repetitions.

    Attributes:
        codes: (U, bytes) uint8, in order of their 64-bit words, the first word first.
        weights: (U,) uint32, how often each comes.
        places: (N,) int32, which of them each code is.
    """

    codes: NDArray[np.uint8]
    weights: NDArray[np.uint32]
    places: NDArray[np.int32]


def distinct_codes(codes: NDArray[np.uint8]) -> DistinctCodes:
    """Merge equal codes of (N, bytes) uint8, N at least 1 and below 2³¹.

    Example:
        >>> merged = distinct_codes(np.array([[7], [3], [7]], np.uint8))
        >>> merged.codes.tolist(), merged.weights.tolist(), merged.places.tolist()
        ([[3], [7]], [1, 2], [1, 0, 1])
    """
    words = words_of(codes)
    order = np.lexsort(words.T[::-1]) if words.shape[1] > 1 else np.argsort(words[:, 0], kind="stable")
    first = np.zeros(len(words), np.bool_)  # whether a code in this order differs from the one before
    first[0] = True
    for column in words.T:
        ordered = column[order]
        first[1:] |= ordered[1:] != ordered[:-1]
    begins = np.flatnonzero(first)
    places = np.empty(len(words), np.int32)
    places[order] = np.cumsum(first, dtype=np.int32) - 1
    weights = np.diff(begins, append=len(words)).astype(np.uint32)
    return DistinctCodes(np.ascontiguousarray(codes[order[begins]]), weights, places)
