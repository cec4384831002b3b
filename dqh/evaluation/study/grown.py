"""More vectors than there are, with the clusters of those that there are: to see how the cost of a search grows.

N vectors, F dimensions.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.lazy import faiss

_CELL = 100
"""Vectors a cell, on average."""

_MOST_CELLS = 256
_CHUNK = 2**22
"""Numbers that are computed at a time."""


def grown(vectors: NDArray[np.float32], count: int, *, seed: int) -> NDArray[np.float32]:
    """Vectors and, behind them, made-up ones of the same distribution as far as cells of k-means have it.

    A made-up vector mixes two others x, y of one cell with the mean μ: μ + cos θ · (x − μ) + sin θ · (y − μ), with θ
    drawn evenly from 0 … π/2. As the squares of the two weights add up to 1, it keeps the mean of its cell and, of x
    and y drawn independently, the covariance. In a cell of one vector it is that vector.

    Args:
        vectors: (N, F), finite, at least one.
        count: how many in all, at least N.
        seed: of the cells and the draws.

    Returns:
        (`count`, F) float32, a copy.

    Raises:
        ValueError: there are no vectors, or more than `count`.
    """
    if not 1 <= len(vectors) <= count:
        raise ValueError(f"vectors must be from 1 to count, {count:,}, got {len(vectors):,}")
    result = np.empty((count, vectors.shape[1]), np.float32)
    result[: len(vectors)] = vectors
    if count == len(vectors):
        return result
    cells = _cells(vectors, seed=seed)
    order = np.argsort(cells, kind="stable")
    sizes = np.bincount(cells)
    first = np.cumsum(sizes) - sizes
    means = np.add.reduceat(vectors[order], first[sizes > 0], axis=0, dtype=np.float64)
    of_cell = np.zeros((len(sizes), vectors.shape[1]), np.float32)
    of_cell[sizes > 0] = means / sizes[sizes > 0, None]
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // vectors.shape[1])
    for start in range(len(vectors), count, step):
        part = result[start : start + step]
        place = rng.integers(len(vectors), size=len(part))
        cell = cells[order[place]]
        other = first[cell] + (place - first[cell] + _offsets(sizes[cell], rng)) % sizes[cell]
        angle = np.where(sizes[cell] > 1, rng.uniform(0, np.pi / 2, len(part)), 0)[:, None]
        mean = of_cell[cell]
        one, two = vectors[order[place]] - mean, vectors[order[other]] - mean
        part[:] = mean + np.cos(angle) * one + np.sin(angle) * two
    return result


def _offsets(sizes: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """How far on in a cell of a size the other vector stands: 1 … size − 1, and 0 where there is no other."""
    return np.where(sizes > 1, 1 + (rng.random(len(sizes)) * (sizes - 1)).astype(np.int64), 0)


def _cells(vectors: NDArray[np.float32], *, seed: int) -> NDArray[np.int64]:
    """(N,) cell of each vector."""
    count = min(_MOST_CELLS, max(1, len(vectors) // _CELL))
    means: Any = faiss.Kmeans(vectors.shape[1], count, seed=seed, niter=10, min_points_per_centroid=1)
    values = np.ascontiguousarray(vectors)
    means.train(values)
    nearest: NDArray[np.int64] = means.assign(values)[1].astype(np.int64)
    return nearest
