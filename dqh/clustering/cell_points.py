"""Points as cells of a grid: a product quantizer of two subspaces makes each a pair of codewords.

All that clustering sees lies in the space of the codebooks: rotated, and with their mean taken off, so that a common
offset costs no digits.

N points of D dimensions, c codewords of each half, n cells with points.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.clustering.mean_cells import MeanCells
from dqh.clustering.resuming import KEEP_NOTHING, Checkpoints
from dqh.errors import DataError
from dqh.native.cell_kernels import Grid
from dqh.progress import Progress
from dqh.quantizers.codebooks import LARGEST_VALUE
from dqh.quantizers.kmeans import nearest
from dqh.quantizers.product import ProductQuantizer

MOST_CODEWORDS = 2**14
"""Codewords a half at most: the grid is counted in c² numbers of 4 bytes, 1 GiB."""

CHUNK = 2**15
"""Points that are read at a time."""

STAGE = "cells"
"""Of checkpoints."""


class Vectors(Protocol):
    """Vectors (N, D) float, read a part at a time: an array, a memory map, or what reads them from elsewhere."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, D)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """A floating one."""
        ...

    def __len__(self) -> int:
        """N."""
        ...

    def __getitem__(self, rows: Any, /) -> Any:
        """Rows (m, D), by a slice or by their numbers (m,) int64, ascending."""
        ...


class Space:
    """Where the codebooks of a quantizer lie.

    Args:
        quantizer: fitted, of two subspaces and at most `MOST_CODEWORDS` codewords.

    Attributes:
        codebooks: (2, c, D / 2) float32, their mean taken off.
        codewords: c.
        dimension: D.

    Raises:
        ValueError: the quantizer is another one.
    """

    def __init__(self, quantizer: ProductQuantizer) -> None:
        if quantizer.subspaces != 2 or quantizer.codewords > MOST_CODEWORDS:
            raise ValueError(
                f"quantizer must have 2 subspaces of at most {MOST_CODEWORDS:,} codewords, got {quantizer.subspaces} "
                f"of {quantizer.codewords:,}; fit another one, or decode its codes and cluster the vectors"
            )
        self.codewords, self.dimension = quantizer.codewords, quantizer.dimension
        books = torch.from_numpy(quantizer.codebooks.copy())
        middle = books.mean(dim=1, keepdim=True)
        self._offset = middle.flatten()
        self.codebooks: NDArray[np.float32] = (books - middle).numpy()
        self._rotation = None if quantizer.rotation is None else torch.from_numpy(quantizer.rotation.copy())
        self._width = quantizer.bits // 2

    def enter(self, vectors: NDArray[np.float32]) -> Tensor:
        """Vectors (m, D) in this space."""
        points = torch.from_numpy(vectors)
        return (points if self._rotation is None else points @ self._rotation) - self._offset

    def leave(self, points: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Points (m, D) of this space as vectors."""
        moved = torch.from_numpy(points.astype(np.float32)) + self._offset
        vectors: NDArray[np.float32] = (moved if self._rotation is None else moved @ self._rotation.T).numpy()
        return vectors

    def cells(self, points: Tensor) -> tuple[NDArray[np.uint32], float]:
        """Cells of points (m, D): i·c + j of the nearest codewords i and j of both halves.

        Returns:
            Their numbers (m,), and the sum of the squared distances of the points to the codewords.
        """
        halves = [
            nearest(part.contiguous(), torch.from_numpy(book))
            for part, book in zip(points.chunk(2, dim=1), self.codebooks, strict=True)
        ]
        numbers = halves[0][0] * self.codewords + halves[1][0]
        return numbers.numpy().astype(np.uint32), sum(float(distances.double().sum()) for _, distances in halves)

    def cells_of_codes(self, codes: NDArray[np.uint8]) -> NDArray[np.uint32]:
        """Numbers (m,) of the cells of codes (m, ⌈2 log2 c / 8⌉) of the quantizer."""
        octets = np.zeros((len(codes), 4), np.uint8)
        octets[:, : codes.shape[1]] = codes
        words = octets.view("<u4")[:, 0]
        ones, mask = words & np.uint32(self.codewords - 1), np.uint32(2 ** (2 * self._width) - 1)
        return (ones << np.uint32(self._width) | (words & mask) >> np.uint32(self._width)).astype(np.uint32)

    def middles(self, numbers: NDArray[np.uint32]) -> NDArray[np.float32]:
        """What stands for cells, by their numbers (m,): their codewords, (m, D)."""
        halves = self.codebooks[0][numbers // self.codewords], self.codebooks[1][numbers % self.codewords]
        return np.concatenate(halves, axis=1)


class Points(NamedTuple):
    """Points by their cells.

    Attributes:
        space: of the cells.
        cells: (N,) uint32, the number of the cell of each point.
        grid: the cells with points.
        means: (n, D) float32, the mean of the points of each cell, in the order in which cells were met; None where
            there are no vectors.
        rows: (n,) int32, which of the means is that of a cell of the grid.
        square: the sum of ‖x‖² over all points x; None where there are no vectors.
        loss: mean squared distance of the points to the codewords of their cells; 0 where there are no vectors.
    """

    space: Space
    cells: NDArray[np.uint32]
    grid: Grid
    means: NDArray[np.float32] | None
    rows: NDArray[np.int32] | None
    square: float | None
    loss: float

    @property
    def mean_cells(self) -> MeanCells | None:
        """The cells of the grid by their means; None where there are no vectors."""
        if self.means is None or self.rows is None:
            return None
        return MeanCells(self.means, self.rows, self.grid.populations)

    def middles(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """What stands for cells of the grid (m,): the means of their points, or their codewords, (m, D)."""
        if self.means is None or self.rows is None:
            return self.space.middles(self.grid.numbers[places])
        return self.means[self.rows[places]]

    def labels(self, of_cells: NDArray[np.int32]) -> NDArray[np.int32]:
        """Labels (N,) of the points, from those of the cells (n,)."""
        labels = np.empty(len(self.cells), np.int32)
        for start in range(0, len(labels), 2**20):
            labels[start : start + 2**20] = of_cells[self.grid.places(self.cells[start : start + 2**20])]
        return labels


class CellChunk(NamedTuple):
    """Some vectors in a row, by their cells.

    Attributes:
        cells: (m,) uint32, of each.
        numbers: (u,) uint32, ascending, the cells that some of them lie in.
        sizes: (u,) int64, how many.
        means: (u, D) float32, of these.
        square: the sum of ‖x‖² over them, in the space.
        error: the sum of their squared distances to the codewords of their cells.
    """

    cells: NDArray[np.uint32]
    numbers: NDArray[np.uint32]
    sizes: NDArray[np.int64]
    means: NDArray[np.float32]
    square: float
    error: float


def cell_chunk(vectors: NDArray[np.float32], space: Space) -> CellChunk:
    """The cells of vectors (m, D), at least one."""
    entered = space.enter(vectors)
    cells, error = space.cells(entered)
    points, order = entered.numpy(), np.argsort(cells, kind="stable")
    numbers, starts, sizes = np.unique(cells[order], return_index=True, return_counts=True)
    means = np.add.reduceat(points[order], starts, axis=0) / sizes[:, None].astype(np.float32)
    return CellChunk(
        cells, numbers, sizes, np.asarray(means, np.float32), float(entered.double().square().sum()), error
    )


def chunks_of_vectors(vectors: Vectors, space: Space, *, start: int, stop: int) -> Iterator[CellChunk]:
    """The cells of rows `start` to `stop` of vectors (N, D), `CHUNK` at a time; `DataError` where one is not finite."""
    for first in range(start, stop, CHUNK):
        yield cell_chunk(finite_rows(vectors, first, min(first + CHUNK, stop)), space)


def points_of_vectors(
    vectors: Vectors,
    space: Space,
    *,
    means: bool = True,
    checkpoints: Checkpoints = KEEP_NOTHING,
    elsewhere: Callable[[Space, int], Iterator[CellChunk]] | None = None,
) -> Points:
    """Points of vectors (N, D), which may lie in a memory map, read once from the first to the last.

    With `means`, the default, the mean of the points of each cell is kept, 4 D bytes a cell with points. The stage
    `cells` of the checkpoints has what is done. `elsewhere` gives the chunks from a row on, in their order, in the
    place of this process.

    Raises:
        DataError: a vector is not finite as float32.
        ValueError: they are no float matrix of D columns.
    """
    require_matrix(vectors, space.dimension)
    taken = _Taken(space, len(vectors), means=means)
    if (state := checkpoints.load(STAGE)) is not None:
        taken.restore(state)
    progress = Progress("encoded", len(vectors), noun="vectors", done=taken.number)
    if elsewhere is None:
        chunks = chunks_of_vectors(vectors, space, start=taken.number, stop=len(vectors))
    else:
        chunks = elsewhere(space, taken.number)
    for chunk in chunks:
        taken.add(chunk)
        progress.advance(len(chunk.cells))
        checkpoints.offer(STAGE, taken.state, ended=taken.number == len(vectors))
    return taken.points()


def points_of_codes(codes: NDArray[np.uint8], space: Space) -> Points:
    """Points of codes (N, ⌈2 log2 c / 8⌉) of the quantizer of the space: their cells alone, without means."""
    cells = np.empty(len(codes), np.uint32)
    counts = np.zeros(space.codewords**2, np.uint32)
    for start in range(0, len(codes), 2**20):
        part = cells[start : start + 2**20] = space.cells_of_codes(np.asarray(codes[start : start + 2**20]))
        np.add.at(counts, part, np.uint32(1))
    return Points(space, cells, Grid.of_counts(counts, space.codewords), None, None, None, 0.0)


def occupied_cells(codes: NDArray[np.uint8], space: Space) -> int:
    """How many cells codes (N, ⌈2 log2 c / 8⌉) of the quantizer of the space lie in; takes c² bytes."""
    occupied = np.zeros(space.codewords**2, np.bool_)
    for start in range(0, len(codes), 2**20):
        occupied[space.cells_of_codes(np.asarray(codes[start : start + 2**20]))] = True
    return int(occupied.sum())


def require_matrix(vectors: Vectors, dimension: int) -> None:
    """Raise `ValueError` unless vectors are a float matrix of D columns."""
    if len(vectors.shape) != 2 or vectors.shape[1] != dimension or not np.issubdtype(vectors.dtype, np.floating):
        raise ValueError(
            f"vectors must be float of shape (N, {dimension}), got {vectors.dtype} of shape {vectors.shape}"
        )


def finite_rows(vectors: Vectors, start: int, stop: int) -> NDArray[np.float32]:
    """Rows of vectors as float32; `DataError` where one is not finite or too large for its square."""
    rows = np.require(vectors[start:stop], np.float32, ["C", "W"])  # torch wants no part of a read-only map
    good = (np.abs(rows) <= LARGEST_VALUE).all(axis=1)  # also where a value is NaN
    if not good.all():
        bad = start + int(np.flatnonzero(~good)[0])
        raise DataError(
            f"vectors must be finite and at most {LARGEST_VALUE:g}, row {bad} is not, "
            f"nor are {int((~good).sum()) - 1} of the rows up to {start + len(rows) - 1}; leave them out"
        )
    return rows


class _Taken:
    """Points while they come in: their cells, how many each cell has, and what their means are."""

    def __init__(self, space: Space, total: int, *, means: bool) -> None:
        self._space, self.number = space, 0
        self._cells, self._square, self._loss = np.empty(total, np.uint32), 0.0, 0.0
        self._counts = np.zeros(space.codewords**2, np.uint32)
        self._means = _CellMeans(space) if means else None

    def add(self, chunk: CellChunk) -> None:
        """Take in the vectors that come next."""
        self._square += chunk.square
        self._loss += chunk.error / len(self._cells)
        self._count(chunk.cells)
        if self._means is not None:
            self._means.add(chunk)

    def state(self) -> dict[str, NDArray[Any]]:
        """What `restore` takes."""
        own = {} if self._means is None else self._means.state()
        return {"cells": self._cells[: self.number], "sums": np.array([self._square, self._loss]), **own}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a state."""
        self._square, self._loss = state["sums"].tolist()
        for start in range(0, len(state["cells"]), CHUNK):
            self._count(state["cells"][start : start + CHUNK])
        if self._means is not None:
            self._means.restore(state, self._counts)

    def points(self) -> Points:
        """All of them."""
        grid, kept = Grid.of_counts(self._counts, self._space.codewords), self._means
        if kept is None:
            return Points(self._space, self._cells, grid, None, None, self._square, self._loss)
        means, rows = kept.means[: kept.used], kept.rows[grid.numbers]
        return Points(self._space, self._cells, grid, means, rows, self._square, self._loss)

    def _count(self, cells: NDArray[np.uint32]) -> None:
        self._cells[self.number : self.number + len(cells)] = cells
        np.add.at(self._counts, cells, np.uint32(1))
        self.number += len(cells)


class _CellMeans:
    """Means of the points of each cell, while points come in."""

    def __init__(self, space: Space) -> None:
        self.rows = np.full(space.codewords**2, -1, np.int32)
        self.means = np.zeros((0, space.dimension), np.float32)
        self._points = np.zeros(0, np.int64)
        self.used = 0

    def add(self, chunk: CellChunk) -> None:
        """Take in the points that come next."""
        numbers, sizes = chunk.numbers, chunk.sizes
        new = numbers[self.rows[numbers] < 0]
        self.rows[new] = np.arange(self.used, self.used + len(new))
        self.used += len(new)
        if self.used > len(self.means):
            self._grow(max(self.used, 2 * len(self.means)))
        rows = self.rows[numbers]
        self._points[rows] += sizes
        share = (sizes / self._points[rows]).astype(np.float32)[:, None]
        self.means[rows] += share * (chunk.means - self.means[rows])

    def state(self) -> dict[str, NDArray[Any]]:
        """What `restore` takes: the means, and the numbers of their cells."""
        numbers = np.flatnonzero(self.rows >= 0)
        order = np.argsort(self.rows[numbers])
        return {"numbers": numbers[order].astype(np.uint32), "means": self.means[: self.used]}

    def restore(self, state: Mapping[str, NDArray[Any]], counts: NDArray[np.uint32]) -> None:
        """Go on from a state, with the points (c²,) of each cell by then."""
        numbers, self.means = state["numbers"], state["means"]
        self.used, self._points = len(numbers), counts[numbers].astype(np.int64)
        self.rows[numbers] = np.arange(self.used)

    def _grow(self, room: int) -> None:
        for name, array in (("means", self.means), ("_points", self._points)):
            larger = np.zeros((room, *array.shape[1:]), array.dtype)
            larger[: len(array)] = array
            setattr(self, name, larger)
