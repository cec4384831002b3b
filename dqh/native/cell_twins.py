"""The kernels of clustering in numpy: what those of `dqh._native` are compared with, and what takes their place.

Same names, arguments and statuses; sizes of memory are not checked. Cells are pairs (i, j) of codewords of two halves
of a vector, numbered i·c + j; those that hold points have a place each, in order of their numbers.

k centres, w codewords that are nearest to each half of a centre, c codewords a half, n cells with points, D dimensions.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.native.twins import ARGUMENT, OK

_SUMS = 2**24
"""Sums of distances held at a time."""


def smallest(
    values: NDArray[np.float32],
    rows: int,
    columns: int,
    offsets: NDArray[np.float32],
    width: int,
    scratch: Any,
    places: NDArray[np.int32],
    least: NDArray[np.float32],
) -> int:
    """The w smallest values of each row, ascending, equal ones by column.

    Args:
        values: (rows, columns) float32, finite.
        rows: number.
        columns: number, below 2³¹.
        offsets: (rows,) float32.
        width: w, at most `columns`.
        scratch: (columns + w,) uint64.
        places: (rows, w) int32, is filled with columns.
        least: (rows, w) float32, is filled with values plus the offset of the row, where that is negative with 0.

    Returns:
        A status.
    """
    if not 1 <= width <= columns:
        return ARGUMENT
    values = values.reshape(rows, columns)
    places[:] = np.argsort(values, axis=1, kind="stable")[:, :width]
    np.maximum(np.take_along_axis(values, places.astype(np.int64), axis=1) + offsets[:, None], 0, out=least)
    return OK


def walk_cells(
    occupied: NDArray[np.uint64],
    ranks: NDArray[np.uint32],
    populations: NDArray[np.uint32],
    cells: int,
    codewords: int,
    places: NDArray[np.int32],
    distances: NDArray[np.float32],
    count: int,
    width: int,
    first: int,
    target: int,
    steps: int,
    scratch: Any,
    keys: NDArray[np.uint64],
    trail: NDArray[np.int32],
) -> int:
    """Inverted assignment: centres walk the cells near them, and each cell keeps the nearest centre that came by.

    A centre walks the w × w cells of its nearest codewords in order of the sum of both distances, equal ones by place,
    until the cells that it has walked hold `target` points. (Avrithis et al. 2015, §3.2)

    Args:
        occupied: (⌈c² / 64⌉,) uint64, bit n % 64 of word ⌊n / 64⌋: whether cell number n holds points.
        ranks: (⌈c² / 64⌉,) uint32, how many do before the word.
        populations: (n,) uint32, points of each cell that holds some.
        cells: n, below 2³¹.
        codewords: c, at most 32,768.
        places: (k, 2, w) int32, the codewords nearest to each half of a centre, ascending by distance.
        distances: (k, 2, w) float32, those distances, squared, at least 0.
        count: k.
        width: w, at most 32,768.
        first: number of the first centre.
        target: points.
        steps: columns of `trail`.
        scratch: (w + 3,072,) uint64.
        keys: (n,) uint64, the bits of the sum of distances << 32 | number of the centre; each is lowered to the least
            that is offered. Threads may share them.
        trail: (k, steps) int32, is filled with places of cells of each walk, as if drawn by chance: in column
            ⌊h · steps / 2³²⌋, h = place · 2654435769 mod 2³², the one with the least h, -1 for none.

    Returns:
        A status.
    """
    places, distances = places.reshape(count, 2, width), distances.reshape(count, 2, width)
    if not ((places >= 0) & (places < codewords)).all() or not (distances >= 0).all():
        return ARGUMENT
    for centre in range(count):
        sums = (distances[centre, 0][:, None] + distances[centre, 1]).reshape(-1)
        order = np.argsort(sums, kind="stable")
        numbers = (places[centre, 0].astype(np.int64)[:, None] * codewords + places[centre, 1]).reshape(-1)[order]
        cell = place_in(numbers, occupied, ranks)
        with_points = cell >= 0
        cell = cell[with_points]
        weights = populations[cell].astype(np.int64)
        behind = weights.cumsum() - weights
        walked = int(np.searchsorted(behind, target))
        visited, near = cell[:walked], sums[order][with_points][:walked].view(np.uint32).astype(np.uint64)
        keys[visited] = np.minimum(keys[visited], near << np.uint64(32) | np.uint64(first + centre))
        drawn = visited.astype(np.uint32) * np.uint32(2654435769)  # as if by chance
        drawn_first = np.argsort(drawn)
        columns = drawn[drawn_first].astype(np.uint64) * np.uint64(steps) >> np.uint64(32)
        trail[centre] = -1
        if steps:
            kept, first_of = np.unique(columns, return_index=True)
            trail[centre, kept.astype(np.int64)] = visited[drawn_first[first_of]]
    return OK


def nearest_sums(
    one: NDArray[np.float32],
    other: NDArray[np.float32],
    codewords: int,
    count: int,
    numbers: NDArray[np.uint32],
    cells: int,
    first: int,
    keys: NDArray[np.uint64],
) -> int:
    """The nearest of some centres to each cell, where it is nearer than what the cell has: exact assignment.

    Args:
        one: (c, k) float32, squared distances of the codewords of the first half to that of each centre, at least 0.
        other: (c, k) float32, of the second half.
        codewords: c.
        count: k.
        numbers: (n,) uint32, numbers of cells, in any order.
        cells: n.
        first: number of the first centre.
        keys: (n,) uint64 as of `walk_cells`; each is lowered to the least of the sums, of equal ones the first.

    Returns:
        A status.
    """
    one, other = one.reshape(codewords, count), other.reshape(codewords, count)
    if cells and int(numbers.max()) >= codewords**2:
        return ARGUMENT
    step = max(1, _SUMS // count)
    for start in range(0, cells, step):
        part = slice(start, min(start + step, cells))
        sums = one[numbers[part] // codewords] + other[numbers[part] % codewords]
        nearest = sums.argmin(axis=1)
        least = np.take_along_axis(sums, nearest[:, None], axis=1)[:, 0].view(np.uint32).astype(np.uint64)
        offered = least << np.uint64(32) | (first + nearest).astype(np.uint64)
        keys[part] = np.minimum(keys[part], offered)
    return OK


def group(
    labels: NDArray[np.int32], count: int, groups: int, offsets: NDArray[np.int64], order: NDArray[np.int32]
) -> int:
    """Places of each group, in their order.

    Args:
        labels: (n,) int32, the group of each place, -1 for none.
        count: n.
        groups: g.
        offsets: (g + 1,) int64, is filled: the places of group i are `offsets[i]` to `offsets[i + 1]` of `order`.
        order: (n,) int32, is filled up to `offsets[g]`.

    Returns:
        A status.
    """
    if count and (int(labels.min()) < -1 or int(labels.max()) >= groups):
        return ARGUMENT
    sizes = np.bincount(labels[labels >= 0], minlength=groups)
    offsets[0] = 0
    np.cumsum(sizes, out=offsets[1:])
    order[: offsets[-1]] = np.argsort(labels, kind="stable")[count - int(offsets[-1]) :]
    return OK


def mean_sums(
    offsets: NDArray[np.int64],
    order: NDArray[np.int32],
    first: int,
    last: int,
    populations: NDArray[np.uint32],
    rows: NDArray[np.int32],
    cells: int,
    means: NDArray[np.float32],
    number: int,
    size: int,
    sums: NDArray[np.float64],
) -> int:
    """Sums of the points of each group, from the means of its cells.

    Args:
        offsets: of `group`.
        order: of `group`.
        first: group.
        last: behind the last group.
        populations: (n,) uint32.
        rows: (n,) int32, which row of `means` is that of a cell.
        cells: n.
        means: (number, D) float32.
        number: of rows.
        size: D.
        sums: (g, D) float64, rows `first` to `last` are filled.

    Returns:
        A status.
    """
    for owner in range(first, last):
        members = order[offsets[owner] : offsets[owner + 1]]
        sums[owner] = populations[members].astype(np.float64) @ means[rows[members]].astype(np.float64)
    return OK


def codeword_sums(
    offsets: NDArray[np.int64],
    order: NDArray[np.int32],
    first: int,
    last: int,
    populations: NDArray[np.uint32],
    numbers: NDArray[np.uint32],
    cells: int,
    codebooks: NDArray[np.float32],
    codewords: int,
    half: int,
    scratch: Any,
    sums: NDArray[np.float64],
) -> int:
    """Sums of the codewords that stand for the points of each group.

    Arguments that are not listed are those of `mean_sums`.

    - `numbers`: (n,) uint32, of the cells.
    - `codebooks`: (2, c, D / 2) float32.
    - `codewords`: c.
    - `half`: D / 2.
    - `scratch`: (2c,) uint64, zeros, and left so.

    Returns:
        A status.
    """
    for owner in range(first, last):
        members = order[offsets[owner] : offsets[owner + 1]]
        weights = populations[members].astype(np.float64)
        sums[owner, :half] = weights @ codebooks[0][numbers[members] // codewords].astype(np.float64)
        sums[owner, half:] = weights @ codebooks[1][numbers[members] % codewords].astype(np.float64)
    return OK


def place_in(
    numbers: NDArray[np.integer[Any]], occupied: NDArray[np.uint64], ranks: NDArray[np.uint32]
) -> NDArray[np.int64]:
    """Places of cells by their numbers, among those with points; -1 for a cell without any."""
    word, bit = numbers >> 6, np.uint64(1) << (numbers & 63).astype(np.uint64)
    words = occupied[word]
    places: NDArray[np.int64] = ranks[word].astype(np.int64) + np.bitwise_count(words & (bit - np.uint64(1)))
    places[words & bit == 0] = -1
    return places
