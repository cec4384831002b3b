"""Passes over cells by the means of their points, between which centres move to where they serve more.

n cells with points, N points of D dimensions, k centres.
"""

import logging
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.clustering.cluster_means import cluster_means
from dqh.clustering.mean_cells import CHUNK, MeanCells
from dqh.clustering.overlap import nearest_centres
from dqh.plural import counted

logger = logging.getLogger(__name__)

CELLS_A_CENTRE = 64
"""Cells that a pass looks at, drawn where there are more."""

MOST_PAIRS = 2**36
"""Pairs of a cell and a centre that are compared by means at the end: minutes of 128 dimensions."""

NEIGHBOURS = 4
"""Centres near to one that it may be merged with."""

TURNS = 5
"""Of 2-means, when a cluster is split."""


class Split(NamedTuple):
    """Each cluster as two.

    Attributes:
        halves: (k, 2, D) float32, the means of the two.
        gains: (k,) by how much the sum of squared distances falls; 0 where all cells of a cluster lie in one place.
    """

    halves: NDArray[np.float32]
    gains: NDArray[np.float64]


def passes_by_means(
    cells: MeanCells,
    centres: NDArray[np.float32],
    *,
    passes: int,
    done: int,
    relocating: bool,
    seed: int,
    native: ModuleType,
    offer: Callable[[NDArray[np.float32], int], None],
) -> NDArray[np.float32]:
    """Centres (k, D) after passes over cells, or over some of them, that are compared by the means of their points.

    Between two passes centres are relocated, see `relocated`.

    Args:
        cells: all of them.
        centres: (k, D) float32.
        passes: how many.
        done: how many of them an earlier call has done.
        relocating: whether centres move elsewhere between passes.
        seed: of the cells that are drawn.
        native: the kernels.
        offer: takes centres and how many passes there were.
    """
    for number in range(done, passes):
        drawn = cells.drawn(CELLS_A_CENTRE * len(centres), np.random.default_rng([seed, number]))
        labels, distances = drawn.nearest(centres)
        sums, populations = drawn.sums(labels, len(centres), native)
        centres = cluster_means(centres, sums, populations)
        if relocating and number + 1 < passes:
            clusters = labels, distances, centres, populations
            centres, moves = relocated(drawn, *clusters, whole=drawn is cells, native=native)
            told = f", {counted(moves, 'centre')} relocated"
        else:
            told = ""
        logger.info("pass %d of %d by means of cells%s", number + 1, passes, told)
        offer(centres, number + 1)
    return centres


def relocated(
    cells: MeanCells,
    labels: NDArray[np.int32],
    distances: NDArray[np.float32],
    centres: NDArray[np.float32],
    populations: NDArray[np.int64],
    *,
    whole: bool = True,
    native: ModuleType,
) -> tuple[NDArray[np.float32], int]:
    """Centres moved out of clusters that do with one less into clusters that are better as two (Patanè and Russo 2001).

    The centre that costs least to do without is merged with its neighbour, and becomes one half of the cluster that
    gains most by being two; then the next, as long as a gain is above the cost. No cluster takes part twice.

    Args:
        cells: with points.
        labels: (n,) int32, the cluster of each.
        distances: (n,) float32, how far the mean of each lies from a centre, to begin with.
        centres: (k, D) float32, the means of the clusters.
        populations: (k,) points of each.
        whole: whether these are all cells. Of drawn ones a small cluster may have none, so that a centre without points
            neither moves nor is merged with.
        native: the kernels.

    Returns:
        The centres (k, D), and how many moved elsewhere.
    """
    if len(centres) < 3:
        return centres, 0
    partners, costs = _merges(centres, populations, whole=whole)
    split = splits(cells, labels, distances, centres, native=native)
    centres, used, moves = centres.copy(), np.zeros(len(centres), np.bool_), 0
    takers = iter(np.argsort(-split.gains, kind="stable").tolist())
    taker = next(takers)
    for donor in np.argsort(costs, kind="stable").tolist():
        partner = int(partners[donor])
        if used[donor] or used[partner]:
            continue
        while used[taker]:
            taker = next(takers, -1)
            if taker < 0:
                return centres, moves
        if taker in (donor, partner):
            continue  # it is better as two than gone
        if split.gains[taker] <= costs[donor]:
            break
        share = populations[donor] / max(1, populations[donor] + populations[partner])
        centres[partner] += np.float32(share) * (centres[donor] - centres[partner])
        centres[taker], centres[donor] = split.halves[taker]
        used[[donor, partner, taker]] = True
        moves += 1
    return centres, moves


def splits(
    cells: MeanCells,
    labels: NDArray[np.int32],
    distances: NDArray[np.float32],
    centres: NDArray[np.float32],
    *,
    native: ModuleType,
) -> Split:
    """Each cluster as two, by 2-means of its cells from the one that lies farthest; arguments as of `relocated`."""
    count = len(centres)
    order = np.argsort(distances, kind="stable")
    farthest = np.full(count, -1)
    farthest[labels[order]] = order  # the last one that is written stays
    directions = np.zeros(centres.shape, np.float32)
    filled = farthest >= 0
    directions[filled] = cells.means[cells.rows[farthest[filled]]] - centres[filled]
    bounds = np.zeros(count, np.float32)
    for _ in range(TURNS):
        sides = _sides(cells, labels, centres, directions, bounds)
        sums, numbers = cells.sums(sides, 2 * count, native)
        halves = cluster_means(np.repeat(centres, 2, axis=0), sums, numbers).reshape(count, 2, -1)
        offsets = halves - centres[:, None]
        directions = offsets[:, 1] - offsets[:, 0]
        bounds = ((offsets[:, 1] + offsets[:, 0]) / 2 * directions).sum(axis=1)
    first, second = numbers.reshape(count, 2).T
    gains = first * second / np.maximum(first + second, 1) * (directions.astype(np.float64) ** 2).sum(axis=1)
    return Split(halves, gains)


def _sides(
    cells: MeanCells,
    labels: NDArray[np.int32],
    centres: NDArray[np.float32],
    directions: NDArray[np.float32],
    bounds: NDArray[np.float32],
) -> NDArray[np.int32]:
    """Of each cell (n,) 2 l, or 2 l + 1 where it lies beyond the bound in the direction of its cluster l."""
    sides = np.empty(len(labels), np.int32)
    for start in range(0, len(labels), CHUNK):
        rows = slice(start, start + CHUNK)
        own = labels[rows]
        offsets = cells.means[cells.rows[rows]] - centres[own]
        sides[rows] = 2 * own + (np.einsum("nd,nd->n", offsets, directions[own]) > bounds[own])
    return sides


def _merges(
    centres: NDArray[np.float32], populations: NDArray[np.int64], *, whole: bool
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """With which near centre each is merged at the least cost (k,), and what that is (k,), by Ward (1963).

    One without points costs nothing, and is merged with itself; where cells are not the whole, nobody knows its cost.
    """
    near = nearest_centres(centres, NEIGHBOURS)
    own, others = populations[:, None], populations[near]
    costs = np.empty(near.shape)
    for column in range(near.shape[1]):
        costs[:, column] = ((centres - centres[near[:, column]]) ** 2).sum(axis=1, dtype=np.float64)
    costs *= own * others / np.maximum(own + others, 1)
    if not whole:
        costs[(own == 0) | (others == 0)] = np.inf
    best = costs.argmin(axis=1)[:, None]
    partners = np.where(populations > 0, np.take_along_axis(near, best, axis=1)[:, 0], np.arange(len(centres)))
    return partners, np.take_along_axis(costs, best, axis=1)[:, 0]
