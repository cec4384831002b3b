"""Cells by the means of their points, which say more of these than the codewords do.

n cells with points, N points of D dimensions, k centres.
"""

from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.native import cell_kernels
from dqh.progress import Progress
from dqh.quantizers.kmeans import nearest

CHUNK = 2**15
"""Cells whose means are held at a time."""


class MeanCells(NamedTuple):
    """Cells by the means of their points.

    Attributes:
        means: (·, D) float32.
        rows: (n,) int32, which of the means is that of each cell.
        populations: (n,) uint32, points of each.
    """

    means: NDArray[np.float32]
    rows: NDArray[np.int32]
    populations: NDArray[np.uint32]

    def drawn(self, most: int, generator: np.random.Generator) -> "MeanCells":
        """About so many of the cells, each with a chance in proportion to its points, as far as that is below 1.

        A cell that was drawn stands for others: its points are divided by its chance, and rounded up or down by
        chance, so that a sum over the drawn cells is that over all of them in expectation (Horvitz and Thompson 1952).
        """
        weights = self.populations.astype(np.float64)
        if len(weights) <= most:
            return self
        certain = np.zeros(len(weights), np.bool_)
        while True:
            rate = (most - certain.sum()) / weights[~certain].sum()
            more = ~certain & (rate * weights >= 1)
            if not more.any():
                break
            certain |= more
        chances = np.minimum(1.0, rate * weights)
        chances[certain] = 1.0
        places = np.flatnonzero(generator.random(len(weights)) < chances)
        shares = np.floor(weights[places] / chances[places] + generator.random(len(places)))
        return MeanCells(self.means, self.rows[places], np.maximum(shares, 1).astype(np.uint32))

    def sums(
        self, labels: NDArray[np.int32], clusters: int, native: ModuleType
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Sums (k, D) of the points of each cluster, by labels (n,) of cells, -1 for none; and their numbers (k,)."""
        members = cell_kernels.group(labels, clusters, native=native)
        sums = cell_kernels.mean_sums(members, self.populations, self.means, self.rows, native=native)
        owned = labels >= 0
        populations = np.bincount(labels[owned], weights=self.populations[owned], minlength=clusters)
        return sums, populations.astype(np.int64)

    def nearest(self, centres: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The centre (n,) nearest to the mean of each cell, and its squared distance (n,)."""
        labels, distances = np.empty(len(self.rows), np.int32), np.empty(len(self.rows), np.float32)
        progress = Progress("compared", len(self.rows), noun="cells")
        for start in range(0, len(self.rows), CHUNK):
            rows = slice(start, start + CHUNK)
            means = torch.from_numpy(self.means[self.rows[rows]])
            labels[rows], distances[rows] = (part.numpy() for part in nearest(means, torch.from_numpy(centres)))
            progress.advance(len(means))
        return labels, distances
