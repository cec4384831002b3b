"""What estimators of clusters of codes have in common: equal codes are merged, and results are kept as attributes.

N codes, k clusters.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dqh.clustering.code_iterations import ClusteredSpace, iterate_codes
from dqh.clustering.code_starts import STARTS, Start
from dqh.clustering.distinct_codes import DistinctCodes, distinct_codes
from dqh.clustering.resuming import KEEP_NOTHING, Checkpoints
from dqh.clustering.spreading import Spread
from dqh.errors import NotFittedError


class CodeKMeans:
    """Clusters of packed codes; a child says what they are made of.

    Args:
        n_clusters: k.
        start: `random`, `k-means++`, which sees all codes for each centre, or `afk-mc2`, which sees 100 of them.
        iterations: at most; they end before where the distortion falls no more.
        seed: of the start.

    Attributes:
        labels_: (N,) int32, cluster of each code.
        cluster_centers_: (k, bytes) uint8, themselves codes.
        sizes_: (k,) int64.
        distortion_: mean distance of the codes to the centres of their clusters.
        history_: distortion at the start and after each iteration.
        n_iter_: iterations.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, n_clusters: int, *, start: Start, iterations: int, seed: int) -> None:
        for name, value in {"n_clusters": n_clusters, "iterations": iterations}.items():
            if not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        if start not in STARTS:
            raise ValueError(f"start must be one of {', '.join(STARTS)}, got {start!r}")
        self.n_clusters, self.iterations, self.seed = n_clusters, iterations, seed
        self.start: Start = start

    def fit_predict(self, codes: Any) -> NDArray[np.int32]:
        """`labels_` after `fit`."""
        return self.fit(codes).labels_

    def predict(self, codes: Any) -> NDArray[np.int32]:
        """Clusters (m,) int32 of codes as of `fit`: the nearest centre, of equal ones the first.

        Raises:
            NotFittedError: before `fit`.
            ValueError: as `fit`.
        """
        if not hasattr(self, "cluster_centers_"):
            raise NotFittedError(f"{type(self).__name__} is not fitted; call fit(codes) first")
        packed = self._packed(codes)
        if not len(packed):
            return np.empty(0, np.int32)
        merged = distinct_codes(packed)
        labels = self._space(merged).labels(self._centres)
        return labels[merged.places]

    def fit(self, codes: Any, *, checkpoints: Checkpoints = KEEP_NOTHING, spread: Spread | None = None) -> Self:
        """Cluster codes (N, bytes) uint8. The stage `iterations` of the checkpoints has what is done.

        With `spread` they are assigned elsewhere, see `dqh.scale.spread_points`, to the same result.

        Returns:
            Itself.

        Raises:
            ValueError: codes of another form, or fewer distinct ones than clusters.
        """
        merged = distinct_codes(self._required(self._packed(codes)))
        distinct = len(merged.codes)
        if self.n_clusters > distinct:
            raise ValueError(
                f"n_clusters must be at most the number of distinct codes, got {self.n_clusters:,} clusters for "
                f"{distinct:,} distinct ones among {len(merged.places):,}; ask for fewer clusters or take longer codes"
            )
        space = self._space(merged)
        clusters = iterate_codes(
            space if spread is None else spread.codes(space, merged, self._space),
            self.n_clusters,
            start=self.start,
            iterations=self.iterations,
            generator=np.random.default_rng(self.seed),
            checkpoints=checkpoints,
        )
        self._centres = clusters.centres
        self.cluster_centers_ = self._as_codes(clusters.centres)
        self.labels_: NDArray[np.int32] = clusters.labels[merged.places]
        self.sizes_, self.distortion_ = clusters.populations, clusters.distortion
        self.history_, self.n_iter_ = clusters.history, len(clusters.history) - 1
        return self

    def _required(self, packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if len(packed) < self.n_clusters:
            raise ValueError(
                f"n_clusters must be at most the number of codes, got {self.n_clusters:,} clusters for "
                f"{len(packed):,}; ask for fewer clusters"
            )
        return packed

    def _packed(self, codes: Any) -> NDArray[np.uint8]:
        """What was given, checked, as codes."""
        raise NotImplementedError

    def _space(self, merged: DistinctCodes) -> ClusteredSpace:
        """Distances and centres of distinct codes."""
        raise NotImplementedError

    def _as_codes(self, centres: NDArray[Any]) -> NDArray[np.uint8]:
        """Centres packed as codes are."""
        raise NotImplementedError
