"""Which cells the centres of IQ-means start from: drawn in rounds, each out of the cells that those before left alone.

n cells with points, k centres.
"""

from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from dqh.clustering.cell_assignment import assign_inverted
from dqh.clustering.cell_points import Points
from dqh.native.cell_kernels import NOBODY

ROUNDS = 8
"""In which as many cells each are drawn."""


def spread_cells(
    points: Points, count: int, *, window: int, generator: np.random.Generator, native: ModuleType
) -> NDArray[np.int64]:
    """Places (k,) of distinct cells, ascending: drawn in proportion to their points, from where no centre was before.

    The cells of a round walk as centres do, each until it has met N / k points, and the next round draws from the cells
    that none of them came by, as long as there are some. In the paper they are drawn at random, so that where there are
    as many clusters as centres a third of the clusters have none at first, and their points no centre that comes by.
    """
    keys = np.full(len(points.grid.numbers), NOBODY, np.uint64)
    drawn = np.empty(0, np.int64)
    for number in range(ROUNDS):
        size = count * (number + 1) // ROUNDS - count * number // ROUNDS
        places = np.flatnonzero(keys == NOBODY)
        if len(places) < size:
            places = np.setdiff1d(np.arange(len(keys)), drawn, assume_unique=True)
        new = places[drawn_cells(points.grid.populations[places], size, generator)]
        drawn = np.concatenate([drawn, new])
        if number + 1 < ROUNDS and size:
            assign_inverted(
                points.space,
                points.grid,
                points.space.middles(points.grid.numbers[new]),
                window=min(window, points.space.codewords),
                target=max(1, len(points.cells) // count),
                keys=keys,
                steps=0,
                native=native,
            )
            keys[new] = 0
    return np.sort(drawn)


def drawn_cells(populations: NDArray[np.uint32], count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Places (`count`,) of distinct cells, ascending, drawn one after another in proportion to their points."""
    if not count:
        return np.empty(0, np.int64)
    # the order of exponential waiting times with these rates is that of drawing (Efraimidis and Spirakis 2006)
    times = generator.standard_exponential(len(populations)) / populations
    return np.sort(np.argpartition(times, count - 1)[:count])
