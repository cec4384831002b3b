"""k-means of vectors that need not fit into memory: each iteration reads them all once, a part at a time.

N vectors of D dimensions, k clusters.
"""

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.clustering.cell_points import CHUNK, Vectors, finite_rows, require_matrix
from dqh.clustering.cluster_means import cluster_means
from dqh.clustering.resuming import KEEP_NOTHING, Checkpoints
from dqh.clustering.vector_sums import AssignedVectors, VectorRows, VectorSums, nothing
from dqh.errors import NotFittedError
from dqh.progress import Progress
from dqh.quantizers.kmeans import SPLIT, nearest, plus_plus

logger = logging.getLogger(__name__)

STAGE = "iterations"
"""Of checkpoints."""

SAMPLE, POINTS_A_CLUSTER = 2**15, 32
"""Vectors that the centres are drawn from, or so many a cluster where those are more."""


class VectorKMeans:
    """Lloyd's algorithm, all vectors compared with all centres, from k-means++ on a sample of the vectors.

    A centre without points takes over half of a cluster with a large error, as in `dqh.quantizers.kmeans`.

    Args:
        n_clusters: k.
        iterations: at most.
        tolerance: iterations end once the distortion changes by less than this part of it, or no vector changes its
            centre, and so nothing moves.
        seed: of the sample and of the start.

    Attributes:
        labels_: (N,) int32, the nearest centre of each vector, of equally near ones the first.
        distances_: (N,) float32, squared, to it.
        cluster_centers_: (k, D) float32.
        sizes_: (k,) int64.
        distortion_: mean squared distance of a vector to its centre.
        history_: distortion at the start and after each iteration.
        n_iter_: iterations.

    Raises:
        ValueError: an argument is out of its range.

    Example:
        >>> points = np.array([[0, 0], [0, 1], [9, 9], [9, 8]], np.float32)
        >>> clusters = VectorKMeans(2).fit(points)
        >>> bool(clusters.labels_[0] == clusters.labels_[1] != clusters.labels_[2]), clusters.distortion_
        (True, 0.25)
    """

    def __init__(self, n_clusters: int, *, iterations: int = 20, tolerance: float = 1e-4, seed: int = 0) -> None:
        for name, value in {"n_clusters": n_clusters, "iterations": iterations}.items():
            if not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        if not tolerance >= 0:
            raise ValueError(f"tolerance must be at least 0, got {tolerance}")
        self.n_clusters, self.iterations = n_clusters, iterations
        self.tolerance, self.seed = tolerance, seed

    def fit(
        self, vectors: Vectors, *, checkpoints: Checkpoints = KEEP_NOTHING, assigned: AssignedVectors | None = None
    ) -> Self:
        """Cluster vectors (N, D) float, which may lie in a memory map. The stage `iterations` has what is done.

        Memory: 8 bytes a point, the sample, and of the centres, k·D numbers, 8 bytes for each power of two up to the
        number of chunks, see `dqh.clustering.vector_sums`. With `assigned` the vectors are compared with centres
        elsewhere, see `dqh.scale.spread_points`, to the same result.

        Returns:
            Itself.

        Raises:
            DataError: a vector is not finite.
            ValueError: another shape, or fewer vectors than clusters.
        """
        require_matrix(vectors, vectors.shape[-1])
        if len(vectors) < self.n_clusters:
            raise ValueError(
                f"n_clusters must be at most the number of vectors, got {self.n_clusters:,} clusters for "
                f"{len(vectors):,}; ask for fewer clusters"
            )
        state = checkpoints.load(STAGE) or {"centres": self._start(vectors), "history": np.empty(0)}
        centres, history = state["centres"], state["history"].tolist()
        rows = assigned or _Kept(vectors, state, checkpoints)
        while True:
            after = partial(rows.keep, centres, history) if isinstance(rows, _Kept) else nothing
            sums = rows.sums(centres, after=after)
            history.append(sums.error / len(vectors))
            logger.info("iteration %d of %d at most: distortion %.6g", len(history) - 1, self.iterations, history[-1])
            moved = moved_centres(centres, sums, vectors)
            if len(history) > self.iterations or np.array_equal(moved, centres) or self._hardly_fell(history):
                break
            centres = moved
            if assigned is not None:
                checkpoints.offer(STAGE, partial(_state, centres, history))
        self.labels_, self.distances_ = rows.assigned(centres)
        self.cluster_centers_, self.sizes_, self.distortion_ = centres, sums.counts, history[-1]
        self.history_, self.n_iter_ = history, len(history) - 1
        return self

    def predict(self, vectors: Vectors) -> NDArray[np.int32]:
        """Nearest centres (m,) int32 of vectors (m, D).

        Raises:
            NotFittedError: before `fit`.
            DataError: a vector is not finite.
            ValueError: another shape.
        """
        if not hasattr(self, "cluster_centers_"):
            raise NotFittedError("VectorKMeans is not fitted; call fit(vectors) first")
        require_matrix(vectors, self.cluster_centers_.shape[1])
        points, labels = torch.from_numpy(self.cluster_centers_), np.empty(len(vectors), np.int32)
        middle = points.mean(0)  # a common offset would cost digits
        for start in range(0, len(vectors), CHUNK):
            part = torch.from_numpy(finite_rows(vectors, start, start + CHUNK))
            labels[start : start + CHUNK] = nearest(part - middle, points - middle)[0].numpy()
        return labels

    def _start(self, vectors: Vectors) -> NDArray[np.float32]:
        size = min(len(vectors), max(SAMPLE, POINTS_A_CLUSTER * self.n_clusters))
        rows = np.sort(np.random.default_rng(self.seed).choice(len(vectors), size, replace=False))
        sample = torch.from_numpy(finite_rows(vectors[rows], 0, size))
        generator = torch.Generator().manual_seed(self.seed)
        mean = sample.mean(0)
        return np.asarray(plus_plus(sample - mean, self.n_clusters, generator=generator) + mean, np.float32)

    def _hardly_fell(self, history: list[float]) -> bool:
        return len(history) > 1 and abs(history[-2] - history[-1]) < self.tolerance * history[-2]


class _Kept(VectorRows):
    """All vectors, in this process, with a checkpoint behind each chunk where that is worth its time."""

    def __init__(self, vectors: Vectors, state: Mapping[str, NDArray[Any]], checkpoints: Checkpoints) -> None:
        super().__init__(vectors, slice(0, len(vectors)), chunk=CHUNK)
        self._checkpoints, self._progress = checkpoints, Progress("assigned", len(vectors), noun="vectors")
        if "sums" in state:
            self.restore(state["centres"], state)

    def keep(self, centres: NDArray[np.float32], history: list[float]) -> None:
        """Offer what is done for these centres."""
        if self.done <= CHUNK:
            self._progress = Progress("assigned", len(self._vectors), noun="vectors")
        self._progress.advance(min(CHUNK, self.done))
        self._checkpoints.offer(STAGE, lambda: self.state() | _state(centres, history))


def _state(centres: NDArray[np.float32], history: list[float]) -> dict[str, NDArray[Any]]:
    return {"centres": centres, "history": np.array(history, np.float64)}


def moved_centres(centres: NDArray[np.float32], sums: VectorSums, vectors: Vectors) -> NDArray[np.float32]:
    """Means; a centre without vectors becomes one of two halves of a cluster of large error, each once."""
    new = cluster_means(centres, sums.sums, sums.counts)
    empty = np.flatnonzero(sums.counts == 0)
    if len(empty):
        large = np.argsort(-sums.errors, kind="stable")[: len(empty)]
        large = large[sums.errors[large] > 0]
        rows, places = np.unique(sums.farthest[large], return_inverse=True)
        farthest = np.asarray(vectors[rows], np.float32)[places] if len(rows) else new[large]
        step = np.float32(SPLIT) * (farthest - new[large])
        new[empty[: len(large)]] = new[large] + step
        new[large] -= step
    return new
