"""What assignment of codes to centres comes to: sums of whole numbers, which are the same however the codes are cut.

U distinct codes, k centres.
"""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class CodeSums(NamedTuple):
    """Of the codes that are nearest to each centre.

    Attributes:
        counts: (k,) int64, codes, as often as they come.
        parts: (k, ·) whole numbers that new centres are made of: how many codes have each bit, or each codeword.
    """

    counts: NDArray[np.int64]
    parts: NDArray[Any]

    def plus(self, other: "CodeSums") -> "CodeSums":
        """Of the codes of both."""
        return CodeSums(self.counts + other.counts, self.parts + other.parts)

    def equals(self, other: "CodeSums") -> bool:
        """Whether all numbers are the same."""
        return np.array_equal(self.counts, other.counts) and np.array_equal(self.parts, other.parts)


class WorstCodes(NamedTuple):
    """Codes that lie badly, the worst first, of equal ones the first.

    Attributes:
        places: (m,) int64.
        errors: (m,) float64, above 0, the distance of each to its centre, as often as it comes.
    """

    places: NDArray[np.int64]
    errors: NDArray[np.float64]


def worst_codes(places: NDArray[np.int64], errors: NDArray[np.float64], count: int) -> WorstCodes:
    """The worst of codes at ascending places (n,), at most `count` of them."""
    count = min(count, len(errors))
    least = np.partition(errors, len(errors) - count)[len(errors) - count] if count else np.inf
    worst = np.flatnonzero((errors >= least) & (errors > 0))
    worst = worst[np.argsort(-errors[worst], kind="stable")][:count]
    return WorstCodes(places[worst], errors[worst])


class AssignedCodes(ABC):
    """Distinct codes, and what they are nearest to; keeps the answers for the centres that it was asked about last.

    Args:
        weights: (U,) uint32, how often each code comes; the attribute.
    """

    def __init__(self, weights: NDArray[np.uint32]) -> None:
        self.weights = weights
        self._asked: NDArray[Any] | None = None
        self._answer = np.empty(0, np.int32), np.empty(0, np.float64)

    @abstractmethod
    def nearest(
        self, centres: NDArray[Any], last: NDArray[np.int32] | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The nearest centre of each code, of equal ones the first, and its distance, (U,) each.

        `last` (U,) are the centres that the codes had before these moved, a hint that changes no answer.
        """

    @abstractmethod
    def parts(self, labels: NDArray[np.int32], count: int) -> NDArray[Any]:
        """What `count` new centres are made of, see `CodeSums`, by the labels of the codes."""

    def sums(self, centres: NDArray[Any]) -> CodeSums:
        """Of the codes nearest to each of centres (k, ·)."""
        labels, _ = self._assigned(centres)
        counts = np.bincount(labels, weights=self.weights, minlength=len(centres)).astype(np.int64)
        return CodeSums(counts, self.parts(labels, len(centres)))

    def worst(self, centres: NDArray[Any], count: int) -> WorstCodes:
        """The codes that lie worst, at most `count`."""
        errors = self.weights * self._assigned(centres)[1]
        return worst_codes(np.arange(len(errors)), errors, count)

    def labels(self, centres: NDArray[Any]) -> NDArray[np.int32]:
        """The nearest centre of each code (U,)."""
        return self._assigned(centres)[0]

    def _assigned(self, centres: NDArray[Any]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        if self._asked is None or not np.array_equal(self._asked, centres):
            last = self._answer[0] if self._asked is not None and len(self._asked) == len(centres) else None
            self._answer, self._asked = self.nearest(centres, last), centres.copy()
        return self._answer
