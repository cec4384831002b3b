"""Which centre each cell belongs to: inverted, by walks of the centres, or exactly, by all of them.

Both work on keys of cells, which hold the least squared distance to a centre and who that is, see
`dqh.native.cell_twins.walk_cells`; what is compared is the distance of the centre to the codewords of the cell.

k centres of D dimensions, c codewords of each half, n cells with points.
"""

from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.clustering.cell_points import Space
from dqh.native import cell_kernels
from dqh.native.cell_kernels import Grid

BLOCK = 512
"""Centres whose distances to all codewords are held at a time."""

_REUSE = 8
"""Cells that should meet a row of distances while it is in the cache."""


def assign_inverted(
    space: Space,
    grid: Grid,
    centres: NDArray[np.float32],
    *,
    window: int,
    target: int,
    keys: NDArray[np.uint64],
    steps: int,
    native: ModuleType,
) -> NDArray[np.int32]:
    """Each centre walks the cells near it and offers itself to them (Avrithis et al. 2015, §3.2).

    Args:
        space: of the cells and the centres.
        grid: the cells with points.
        centres: (k, D) float32.
        window: w, of a half's codewords that it walks; at most c.
        target: points after which a walk ends.
        keys: (n,) uint64, is lowered.
        steps: columns of what is returned.
        native: the kernels.

    Returns:
        (k, steps) int32, cells that each centre walked, some of them, as of the kernel; -1 for none.
    """
    places = np.empty((len(centres), 2, window), np.int32)
    distances = np.empty((len(centres), 2, window), np.float32)
    half = centres.shape[1] // 2
    for part, book in enumerate(space.codebooks):
        codebook = torch.from_numpy(book)
        norms = codebook.square().sum(1)
        for start in range(0, len(centres), BLOCK):
            rows = slice(start, min(start + BLOCK, len(centres)))
            own = torch.from_numpy(centres[rows, part * half : (part + 1) * half])
            # |x - c|^2 = |x|^2 + |c|^2 - 2 x·c
            values = torch.addmm(norms, own, codebook.T, alpha=-2).numpy()
            lengths = own.square().sum(1).numpy()
            places[rows, part], distances[rows, part] = cell_kernels.smallest(
                values, window, offsets=lengths, native=native
            )
    return cell_kernels.walk_cells(grid, places, distances, target=target, keys=keys, steps=steps, native=native)


def assign_exactly(
    space: Space,
    numbers: NDArray[np.uint32],
    centres: NDArray[np.float32],
    *,
    keys: NDArray[np.uint64],
    native: ModuleType,
) -> None:
    """Offer all centres to cells: ‖x − u_i‖² + ‖y − u_j‖² from two tables of c × k numbers, in blocks of centres.

    Args:
        space: of the cells and the centres.
        numbers: (m,) uint32, of cells.
        centres: (k, D) float32.
        keys: (m,) uint64, is lowered.
        native: the kernels.
    """
    order = _by_tiles(numbers, space.codewords)
    cells, near = numbers[order], keys[order]
    half = centres.shape[1] // 2
    for start in range(0, len(centres), BLOCK):
        tables = [
            _distances(book, centres[start : start + BLOCK, part * half : (part + 1) * half])
            for part, book in enumerate(space.codebooks)
        ]
        cell_kernels.nearest_sums(tables[0], tables[1], cells, first=start, keys=near, native=native)
    keys[order] = near


def labels_of(keys: NDArray[np.uint64]) -> NDArray[np.int32]:
    """Centres (n,) of cells, -1 where there is none."""
    labels: NDArray[np.int32] = keys.astype(np.uint32).view(np.int32)
    return labels


def distances_of(keys: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Squared distances (n,) of cells to their centres; NaN where there is none."""
    distances: NDArray[np.float32] = (keys >> np.uint64(32)).astype(np.uint32).view(np.float32)
    return distances


def _distances(book: NDArray[np.float32], part: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared distances (c, k) of codewords (c, D / 2) to a half of centres (k, D / 2)."""
    codebook, own = torch.from_numpy(book), torch.from_numpy(np.ascontiguousarray(part))
    squares: Any = codebook.square().sum(1)[:, None] + own.square().sum(1)
    table: NDArray[np.float32] = squares.addmm_(codebook, own.T, alpha=-2).clamp_(min=0).numpy()
    return table


def _by_tiles(numbers: NDArray[np.uint32], codewords: int) -> NDArray[np.int64]:
    """An order of cells in which those with one second codeword follow one another, within some first codewords.

    There are as many first codewords in a tile as it takes for a row of the second table to meet `_REUSE` cells while
    it is in the cache.
    """
    tile = np.uint64(min(256, max(1, _REUSE * codewords * codewords // max(1, len(numbers)))))
    first, second = numbers.astype(np.uint64) // np.uint64(codewords), numbers.astype(np.uint64) % np.uint64(codewords)
    key = (first // tile * np.uint64(codewords) + second) * tile + first % tile
    return np.argsort(key, kind="stable")
