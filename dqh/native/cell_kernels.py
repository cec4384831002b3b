"""The kernels of clustering on the memory that they need, by threads that share centres, cells or groups.

Results do not depend on the number of threads. Cells and letters are those of `cell_twins`.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.cores import threads
from dqh.native import cell_twins
from dqh.native.extension import extension
from dqh.native.threads import in_threads
from dqh.native.twins import require_ok

NOBODY = np.uint64(2**64 - 1)
"""The key of a cell that no centre has come by."""

BUCKET = 1024
"""Cells that a walk takes at a time, at most."""

_SHARES = 8
"""Shares of the work for each thread: centres do not walk equally far."""


class Grid(NamedTuple):
    """Which cells of the c × c hold points, and how many.

    Attributes:
        numbers: (n,) uint32, ascending, i·c + j of each cell with points.
        populations: (n,) uint32, at least 1.
        occupied: (⌈c² / 64⌉,) uint64, the numbers as bits.
        ranks: (⌈c² / 64⌉,) uint32, how many bits lie before each word.
        codewords: c.
    """

    numbers: NDArray[np.uint32]
    populations: NDArray[np.uint32]
    occupied: NDArray[np.uint64]
    ranks: NDArray[np.uint32]
    codewords: int

    @classmethod
    def of_counts(cls, counts: NDArray[np.uint32], codewords: int) -> "Grid":
        """The grid of the points (c²,) uint32 that each cell holds."""
        numbers = np.flatnonzero(counts).astype(np.uint32)
        octets = np.zeros(8 * -(-(codewords**2) // 64), np.uint8)
        bits = np.packbits(counts > 0, bitorder="little")
        octets[: len(bits)] = bits
        occupied = octets.view(np.uint64)
        ranks = np.zeros(len(occupied), np.uint32)
        np.cumsum(np.bitwise_count(occupied[:-1]), dtype=np.uint32, out=ranks[1:])
        return cls(numbers, counts[numbers], occupied, ranks, codewords)

    def places(self, numbers: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Which cell with points each number (m,) is, -1 for none."""
        return cell_twins.place_in(numbers, self.occupied, self.ranks)


def kernels() -> ModuleType:
    """`dqh._native`, or `dqh.native.cell_twins` where it is not built."""
    return extension() or cell_twins


def smallest(
    values: NDArray[np.float32], width: int, *, offsets: NDArray[np.float32], native: ModuleType
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Columns and values (rows, w) of the w smallest of each row, ascending; `offsets` (rows,) are added."""
    rows, columns = values.shape
    places, least = np.empty((rows, width), np.int32), np.empty((rows, width), np.float32)

    def select(share: slice) -> None:
        scratch = np.empty(columns + width, np.uint64)
        part = values[share], share.stop - share.start, columns, offsets[share], width, scratch
        require_ok(native.smallest(*part, places[share], least[share]))

    shared(select, rows)
    return places, least


def walk_cells(
    grid: Grid,
    places: NDArray[np.int32],
    distances: NDArray[np.float32],
    *,
    target: int,
    keys: NDArray[np.uint64],
    steps: int = 0,
    native: ModuleType,
) -> NDArray[np.int32]:
    """Let centres walk from their nearest codewords (k, 2, w), lower the keys of cells, and return the trails."""
    count, _, width = places.shape
    trail = np.empty((count, steps), np.int32)
    cells = grid.occupied, grid.ranks, grid.populations, len(grid.numbers), grid.codewords

    def walk(share: slice) -> None:
        part = places[share], distances[share], share.stop - share.start, width, share.start, target, steps
        require_ok(native.walk_cells(*cells, *part, np.empty(width + 3 * BUCKET, np.uint64), keys, trail[share]))

    # the twin reads and writes keys in two steps, which threads must not do side by side
    shared(walk, count, alone=native is cell_twins)
    return trail


def nearest_sums(
    one: NDArray[np.float32],
    other: NDArray[np.float32],
    numbers: NDArray[np.uint32],
    *,
    first: int,
    keys: NDArray[np.uint64],
    native: ModuleType,
) -> None:
    """Lower the keys of cells, by their numbers, to the nearest of the centres from `first` on; tables are (c, k)."""
    codewords, count = one.shape

    def lower(share: slice) -> None:
        part = numbers[share], share.stop - share.start, first, keys[share]
        require_ok(native.nearest_sums(one, other, codewords, count, *part))

    shared(lower, len(numbers))


class Groups(NamedTuple):
    """Cells by the centre that they belong to.

    Attributes:
        offsets: (k + 1,) int64.
        order: (n,) int32, places of cells; those of centre m are `offsets[m]` to `offsets[m + 1]`.
    """

    offsets: NDArray[np.int64]
    order: NDArray[np.int32]


def group(labels: NDArray[np.int32], groups: int, *, native: ModuleType) -> Groups:
    """Cells of each of k centres by their labels (n,), -1 for none."""
    members = Groups(np.empty(groups + 1, np.int64), np.empty(len(labels), np.int32))
    require_ok(native.group(labels, len(labels), groups, *members))
    return members


def mean_sums(
    members: Groups,
    populations: NDArray[np.uint32],
    means: NDArray[np.float32],
    rows: NDArray[np.int32],
    *,
    native: ModuleType,
) -> NDArray[np.float64]:
    """Sums (k, D) of the points of each centre; cell i has `populations[i]`, their mean in row `rows[i]` of means."""
    number, size = means.shape
    sums = np.empty((len(members.offsets) - 1, size), np.float64)

    def add(share: slice) -> None:
        cells = populations, rows, len(rows), means, number, size, sums
        require_ok(native.mean_sums(*members, share.start, share.stop, *cells))

    shared(add, len(sums))
    return sums


def codeword_sums(
    members: Groups, grid: Grid, codebooks: NDArray[np.float32], *, native: ModuleType
) -> NDArray[np.float64]:
    """Sums (k, D) of the codewords, out of (2, c, D / 2), that stand for the points of each centre."""
    _, codewords, half = codebooks.shape
    sums = np.empty((len(members.offsets) - 1, 2 * half), np.float64)

    def add(share: slice) -> None:
        cells = grid.populations, grid.numbers, len(grid.numbers), codebooks, codewords, half
        scratch = np.zeros(2 * codewords, np.uint64)
        require_ok(native.codeword_sums(*members, share.start, share.stop, *cells, scratch, sums))

    shared(add, len(sums))
    return sums


def shared(work: Callable[[slice], Any], count: int, *, alone: bool = False) -> None:
    """Do work on slices of `count` in threads, some for each of them."""
    parts = 1 if alone or threads() == 1 else min(count, _SHARES * threads())
    edges = [count * part // max(1, parts) for part in range(max(1, parts) + 1)]
    shares = [slice(start, stop) for start, stop in pairwise(edges) if stop > start]
    in_threads([partial(work, share) for share in shares])
