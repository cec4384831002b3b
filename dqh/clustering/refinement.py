"""Clusters made better by passes over their vectors: each is compared with the centres nearest to its own.

N vectors of D dimensions, k centres, s candidates of each.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.clustering.cell_points import Vectors, finite_rows
from dqh.clustering.cluster_means import cluster_means
from dqh.clustering.overlap import nearest_centres
from dqh.progress import Progress

CANDIDATES = 32
"""Centres that a vector is compared with: its own, and those nearest to it."""

CHUNK = 2**17
"""Vectors that are read at a time: the more, the more of them share candidates."""


class Refined(NamedTuple):
    """Clusters after the passes.

    Attributes:
        labels: (N,) int32.
        centres: (k, D) float32; one without vectors stays where it was.
        sizes: (k,) int64.
        distortion: mean squared distance of the vectors to the centres of their clusters.
    """

    labels: NDArray[np.int32]
    centres: NDArray[np.float32]
    sizes: NDArray[np.int64]
    distortion: float


class Candidates:
    """Which of the centres near to its own a vector is nearest to.

    Args:
        centres: (k, D) float32.
    """

    def __init__(self, centres: NDArray[np.float32]) -> None:
        self._middle = centres.mean(axis=0)  # a common offset costs no digits
        self._centres = centres - self._middle
        self._norms = (self._centres**2).sum(axis=1)
        near = nearest_centres(self._centres, CANDIDATES - 1) if len(centres) > 1 else np.empty((1, 0), np.int64)
        self._near = np.concatenate([np.arange(len(centres))[:, None], near], axis=1)

    def nearest(
        self, vectors: NDArray[np.float32], labels: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The nearest candidate of vectors (m, D), by the clusters that they had, and its squared distance, (m,)."""
        order = np.argsort(labels, kind="stable")
        own, begins = np.unique(labels[order], return_index=True)
        moved = (vectors - self._middle)[order]
        chosen, least = np.empty(len(labels), np.int32), np.empty(len(labels), np.float32)
        for centre, start, stop in zip(own, begins, [*begins[1:], len(order)], strict=True):
            near = self._near[centre]
            # |x - c|^2 = |x|^2 + |c|^2 - 2 x·c
            values = self._norms[near] - 2 * (moved[start:stop] @ self._centres[near].T)
            places = values.argmin(axis=1)
            chosen[order[start:stop]] = near[places]
            least[order[start:stop]] = np.take_along_axis(values, places[:, None], axis=1)[:, 0]
        squares = np.empty_like(least)
        squares[order] = np.einsum("md,md->m", moved, moved)
        return chosen, np.maximum(least + squares, 0)


def refined(vectors: Vectors, labels: NDArray[np.int32], centres: NDArray[np.float32], *, passes: int) -> Refined:
    """k-means of vectors and the centres nearest to their own alone (Agustsson et al. 2017, k²-means).

    Args:
        vectors: (N, D) float, read from the first to the last in each pass, and once more at the end.
        labels: (N,) int32, the clusters to begin with.
        centres: (k, D) float32, the centres to begin with.
        passes: after each of which centres move, at least 1.
    """
    labels, sizes, distortion = labels.copy(), np.zeros(len(centres), np.int64), 0.0
    progress = Progress("compared", len(labels) * (passes + 1), noun="vectors")
    for number in range(passes + 1):
        candidates, distortion = Candidates(centres), 0.0
        sums, sizes = np.zeros(centres.shape, np.float64), np.zeros(len(centres), np.int64)
        for start in range(0, len(labels), CHUNK):
            rows = finite_rows(vectors, start, start + CHUNK)
            labels[start : start + CHUNK], squares = candidates.nearest(rows, labels[start : start + CHUNK])
            distortion += float(squares.sum(dtype=np.float64)) / len(labels)
            sizes += np.bincount(labels[start : start + CHUNK], minlength=len(centres))
            if number < passes:
                _add(sums, rows, labels[start : start + CHUNK])
            progress.advance(len(rows))
        if number < passes:
            centres = cluster_means(centres, sums, sizes)
    return Refined(labels, centres, sizes, distortion)


def _add(sums: NDArray[np.float64], rows: NDArray[np.float32], labels: NDArray[np.int32]) -> None:
    """Add vectors (m, D) to the sums (k, D) of their clusters."""
    order = np.argsort(labels, kind="stable")
    own, begins = np.unique(labels[order], return_index=True)
    sums[own] += np.add.reduceat(rows[order], begins, axis=0, dtype=np.float64)
