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
from dqh.clustering.resuming import KEEP_NOTHING, Checkpoints
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

    def fit(self, vectors: Vectors, *, checkpoints: Checkpoints = KEEP_NOTHING) -> Self:
        """Cluster vectors (N, D) float, which may lie in a memory map. The stage `iterations` has what is done.

        Memory: 8 bytes a point, the sample, and 20 bytes a number of the centres.

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
        tally = _Tally(state) if "sums" in state else _Tally.empty(centres)
        self.labels_ = np.empty(len(vectors), np.int32)
        self.distances_ = np.empty(len(vectors), np.float32)
        while True:
            self._assign(vectors, centres, tally, history, checkpoints)
            history.append(tally.error / len(vectors))
            logger.info("iteration %d of %d at most: distortion %.6g", len(history) - 1, self.iterations, history[-1])
            moved = tally.moved(centres)
            if len(history) > self.iterations or np.array_equal(moved, centres) or self._hardly_fell(history):
                break
            centres, tally = moved, _Tally.empty(centres)
        self.cluster_centers_, self.sizes_, self.distortion_ = centres, tally.counts, history[-1]
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

    def _assign(
        self,
        vectors: Vectors,
        centres: NDArray[np.float32],
        tally: "_Tally",
        history: list[float],
        checkpoints: Checkpoints,
    ) -> None:
        """Read all vectors that the tally does not have yet."""
        labels, distances = tally.labels, tally.distances
        self.labels_[: tally.number], self.distances_[: tally.number] = labels, distances
        progress = Progress("assigned", len(vectors), noun="vectors", done=tally.number)
        points = torch.from_numpy(centres)
        middle = points.mean(0)
        for start in range(tally.number, len(vectors), CHUNK):
            part = torch.from_numpy(finite_rows(vectors, start, start + CHUNK))
            own, error = nearest(part - middle, points - middle)
            tally.add(part, own, error)
            stop = start + len(part)
            self.labels_[start:stop], self.distances_[start:stop] = own.numpy(), error.numpy()
            progress.advance(len(part))
            state = partial(tally.state, centres, history, self.labels_[:stop], self.distances_[:stop])
            checkpoints.offer(STAGE, state)


class _Tally:
    """Sums, numbers and errors of the vectors of each cluster, and the farthest of them, while they come in."""

    def __init__(self, state: Mapping[str, NDArray[Any]]) -> None:
        self.sums, self.counts, self.errors = state["sums"], state["counts"], state["errors"]
        self.farthest, self.reach = state["farthest"], state["reach"]
        self.labels, self.distances = state["labels"], state["distances"]
        self.number = len(self.labels)

    @classmethod
    def empty(cls, centres: NDArray[np.float32]) -> Self:
        """Of no vectors."""
        clusters = len(centres)
        return cls(
            {
                "sums": np.zeros(centres.shape, np.float64),
                "counts": np.zeros(clusters, np.int64),
                "errors": np.zeros(clusters, np.float64),
                "farthest": np.zeros_like(centres),
                "reach": np.full(clusters, -1, np.float32),
                "labels": np.empty(0, np.int32),
                "distances": np.empty(0, np.float32),
            }
        )

    @property
    def error(self) -> float:
        """The sum of all squared distances."""
        return float(self.errors.sum())

    def add(self, vectors: torch.Tensor, labels: torch.Tensor, distances: torch.Tensor) -> None:
        """Take in vectors (m, D) with the centres (m,) that they belong to, and the squared distances (m,)."""
        order = np.lexsort((distances.numpy(), labels.numpy()))
        own, rows = labels.numpy()[order], vectors.numpy()[order]
        clusters, starts, sizes = np.unique(own, return_index=True, return_counts=True)
        self.sums[clusters] += np.add.reduceat(rows, starts, axis=0, dtype=np.float64)
        self.counts[clusters] += sizes
        self.errors[clusters] += np.add.reduceat(distances.numpy()[order], starts, dtype=np.float64)
        last = starts + sizes - 1
        farther = distances.numpy()[order[last]] > self.reach[clusters]
        self.farthest[clusters[farther]] = rows[last[farther]]
        self.reach[clusters[farther]] = distances.numpy()[order[last[farther]]]

    def state(
        self,
        centres: NDArray[np.float32],
        history: list[float],
        labels: NDArray[np.int32],
        distances: NDArray[np.float32],
    ) -> dict[str, NDArray[Any]]:
        """What a tally is restored from, and the centres and the history that it belongs to."""
        own = {"sums": self.sums, "counts": self.counts, "errors": self.errors}
        own |= {"farthest": self.farthest, "reach": self.reach, "labels": labels, "distances": distances}
        return own | {"centres": centres, "history": np.array(history, np.float64)}

    def moved(self, centres: NDArray[np.float32]) -> NDArray[np.float32]:
        """Means; a centre without vectors becomes one of two halves of a cluster of large error, each once."""
        means = self.sums / np.maximum(self.counts, 1)[:, None]
        new = np.where(self.counts[:, None] > 0, means, centres).astype(np.float32)
        empty = np.flatnonzero(self.counts == 0)
        if len(empty):
            large = np.argsort(-self.errors, kind="stable")[: len(empty)]
            large = large[self.errors[large] > 0]
            step = np.float32(SPLIT) * (self.farthest[large] - new[large])
            new[empty[: len(large)]] = new[large] + step
            new[large] -= step
        return new
