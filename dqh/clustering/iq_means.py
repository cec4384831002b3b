"""IQ-means: k-means on the cells of a grid, each of which a centre finds by walking from where it is.

N points of D dimensions, c codewords of each half, n cells with points, k clusters.
"""

from collections.abc import Callable, Iterator
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from dqh.clustering.cell_assignment import assign_exactly, labels_of
from dqh.clustering.cell_codebooks import fitted_quantizer
from dqh.clustering.cell_iterations import ASSIGNMENTS, Assignment, CellClusters, Iteration, iterate
from dqh.clustering.cell_points import (
    CHUNK,
    MOST_CODEWORDS,
    CellChunk,
    Points,
    Space,
    Vectors,
    finite_rows,
    points_of_codes,
    points_of_vectors,
    require_matrix,
)
from dqh.clustering.cell_starts import spread_cells
from dqh.clustering.refinement import Candidates, refined
from dqh.clustering.resuming import KEEP_NOTHING, Checkpoints
from dqh.errors import NotFittedError
from dqh.native import cell_kernels
from dqh.native.cell_kernels import NOBODY
from dqh.plural import counted
from dqh.quantizers.product import ProductQuantizer

STAGE = "quantizer"
"""Of checkpoints."""

SAMPLE, POINTS_A_CODEWORD = 2**15, 16
"""Vectors that the quantizer is fitted to, or so many a codeword where those are more."""

MEAN_PASSES = 3
"""Behind the iterations, where nobody says."""

POINTS = 16
"""Points a cluster where nobody says how many clusters there may be."""


class IQMeans:
    """Inverted-quantized k-means (Avrithis, Kalantidis, Anagnostopoulos, Emiris 2015).

    A product quantizer of two subspaces makes each point a cell, one of c × c. A cell is kept as the number and the
    mean of its points, so that iterations do not touch points. A centre finds the cells near it by a walk over those of
    its w nearest codewords a half, nearest first, which ends once they hold t·N/k points; each cell belongs to the
    nearest centre that came by, and a centre moves to the mean of its cells.

    Departures from the paper. Where cells and clusters are few, all are compared, which then costs less than the walks.
    Behind the iterations come passes in which cells of vectors are compared by the mean of their points instead of
    their codewords, and centres move to where they serve more, see `dqh.clustering.relocation`. At the end all cells
    get the nearest centre, or, of too many, those that no centre came by in a last walk, which is wider than the
    others. What a cell has seen is forgotten at each iteration; `reset=False` remembers it, as the authors' program
    does: a cell then stays with a centre that has moved away. Where a cell holds equal distances the first centre has
    it.

    Args:
        n_clusters: k, or `auto`: out of `most_clusters`, those that do not overlap a larger one, see
            `dqh.clustering.overlap`.
        codewords: c, a power of two up to 16,384. More of them bring cells nearer to their points.
        window: w.
        target: t.
        iterations: at most.
        tolerance: iterations end once the distortion changes by less than this part of it, or no cell changes its
            centre.
        assignment: `inverted`, `exact`, or `auto`, whichever suits the numbers of cells and clusters.
        reset: whether cells forget the distances of the iteration before.
        most_clusters: what `auto` starts with; N / 16 where nobody says.
        overlap: least share of a centre in its own place, 0 to 1: the larger, the fewer clusters `auto` leaves.
        quantizer: fitted, of two subspaces; one with a rotation is fitted to a sample of the vectors where there is
            none, and `codewords` are its own where there is one.
        mean_passes: passes by means of cells, 0 for what the paper has; codes alone, without vectors, have none.
            Between two of them centres are relocated, unless `n_clusters` is `auto`.
        refinements: passes over the vectors at the end, which compare them with the centres near to their own and move
            the centres, see `dqh.clustering.refinement`; one more assigns them. Nothing of it is in the paper.
        seed: of the sample, the codebooks and the first centres.

    Attributes:
        labels_: (N,) int32, cluster of each point.
        cluster_centers_: (k, D) float32. A cluster without points keeps the centre that it had.
        sizes_: (k,) int64, points of each.
        distortion_: mean squared distance of the points to the centres of their clusters; of the codewords that stand
            for them where codes were given.
        n_clusters_: k.
        n_iter_: iterations.
        history_: of them, see `Iteration`.
        unvisited_: part of the points whose cells no centre came by at last.
        quantizer_: what made the cells.

    Raises:
        ValueError: an argument is out of its range.

    Example:
        >>> points = np.array([[0, 0], [0, 1], [9, 9], [9, 8]], np.float32)
        >>> clusters = IQMeans(2, codewords=4).fit(points)
        >>> bool(clusters.labels_[0] == clusters.labels_[1] != clusters.labels_[2]), round(clusters.distortion_, 4)
        (True, 0.25)
    """

    def __init__(
        self,
        n_clusters: int | Literal["auto"],
        *,
        codewords: int = 512,
        window: int = 64,
        target: float = 5.0,
        iterations: int = 20,
        tolerance: float = 1e-4,
        assignment: Assignment = "auto",
        reset: bool = True,
        most_clusters: int | None = None,
        overlap: float = 0.8,
        quantizer: ProductQuantizer | None = None,
        mean_passes: int = MEAN_PASSES,
        refinements: int = 0,
        seed: int = 0,
    ) -> None:
        self.n_clusters, self.most_clusters = n_clusters, most_clusters
        self.codewords = codewords if quantizer is None else quantizer.codewords
        self.window, self.target, self.overlap = window, target, overlap
        self.iterations, self.tolerance = iterations, tolerance
        self.assignment: Assignment = assignment
        self.reset, self.quantizer, self.seed = reset, quantizer, seed
        self.mean_passes, self.refinements = mean_passes, refinements
        self._require()
        self._points: Points | None = None

    def fit(
        self,
        vectors: Vectors,
        *,
        checkpoints: Checkpoints = KEEP_NOTHING,
        elsewhere: Callable[[Space, int], Iterator[CellChunk]] | None = None,
    ) -> Self:
        """Cluster vectors (N, D) float, D even, which may lie in a memory map and are read once after the sample.

        With `elsewhere` that pass runs there, see `dqh.scale.spread_points`, to the same result.

        Memory: 4 bytes a point, 4 c² bytes, and 4 (D + 4) bytes a cell with points. The stages `quantizer`, `cells` and
        `iterations` of the checkpoints have what is done.

        Returns:
            Itself.

        Raises:
            DataError: a vector is not finite.
            ValueError: another shape, fewer vectors than codewords, or fewer cells with points than clusters.
        """
        if len(vectors.shape) != 2 or vectors.shape[1] % 2 or 0 in vectors.shape:
            raise ValueError(
                f"vectors must have shape (N, D) with an even D, got {vectors.shape}; append a column of zeros"
            )
        require_matrix(vectors, vectors.shape[1])
        self._require_number(len(vectors))
        quantizer = self.quantizer or self._fitted(vectors, checkpoints)
        points = points_of_vectors(vectors, Space(quantizer), checkpoints=checkpoints, elsewhere=elsewhere)
        self._cluster(points, quantizer, checkpoints)
        if self.refinements:
            self._refine(vectors)
        return self

    def fit_codes(self, codes: NDArray[np.uint8], *, checkpoints: Checkpoints = KEEP_NOTHING) -> Self:
        """Cluster codes (N, ⌈2 log2 c / 8⌉) uint8 of the quantizer: points are as if they lay on their codewords.

        Memory: 4 bytes a point, 4 c² bytes, and 20 bytes a cell with points. The stage `iterations` of the checkpoints
        has what is done.

        Returns:
            Itself.

        Raises:
            ValueError: no quantizer was given, codes of another length, or fewer cells with points than clusters.
        """
        if self.quantizer is None:
            raise ValueError("codes need the quantizer that made them; give IQMeans(quantizer=…)")
        wanted = -(-self.quantizer.bits // 8)
        if codes.ndim != 2 or codes.dtype != np.uint8 or codes.shape[1] != wanted:
            raise ValueError(f"codes must be uint8 of shape (N, {wanted}), got {codes.dtype} of shape {codes.shape}")
        self._require_number(len(codes))
        if self.refinements:
            raise ValueError(f"refinements need vectors, got codes and {self.refinements} refinements; set it to 0")
        return self._cluster(points_of_codes(codes, Space(self.quantizer)), self.quantizer, checkpoints)

    def predict(self, vectors: Vectors) -> NDArray[np.int32]:
        """Clusters (m,) int32 of vectors (m, D): those of their cells; of a cell without points the nearest centre.

        With refinements the nearest of the centres near to that one, which may not be where `fit` ended for a vector.

        Raises:
            NotFittedError: before `fit`.
            DataError: a vector is not finite.
            ValueError: another shape.
        """
        points = self._fitted_points()
        require_matrix(vectors, points.space.dimension)
        labels = np.empty(len(vectors), np.int32)
        for start in range(0, len(vectors), CHUNK):
            rows = finite_rows(vectors, start, start + CHUNK)
            of_cells = self._labels_of_cells(points.space.cells(points.space.enter(rows))[0])
            labels[start : start + CHUNK] = (
                self._candidates.nearest(rows, of_cells)[0] if self._candidates else of_cells
            )
        return labels

    def fit_predict(self, vectors: Vectors) -> NDArray[np.int32]:
        """`labels_` after `fit`."""
        return self.fit(vectors).labels_

    def _cluster(self, points: Points, quantizer: ProductQuantizer, checkpoints: Checkpoints) -> Self:
        dynamic = self.n_clusters == "auto"
        count = self._count(points)
        native = cell_kernels.kernels()
        generator = np.random.default_rng(self.seed)
        start = spread_cells(points, count, window=self.window, generator=generator, native=native)
        clusters = iterate(
            points,
            points.space.middles(points.grid.numbers[start]),
            settings=self,
            dynamic=dynamic,
            native=native,
            checkpoints=checkpoints,
        )
        self._keep(points, clusters)
        self.quantizer_ = quantizer
        return self

    def _keep(self, points: Points, clusters: CellClusters) -> None:
        self._points, self._of_cells, self._centres = points, clusters.labels, clusters.centres
        self._candidates: Candidates | None = None
        self.labels_: NDArray[np.int32] = points.labels(clusters.labels)
        self.cluster_centers_ = points.space.leave(clusters.centres)
        self.sizes_, self.distortion_ = clusters.populations, clusters.distortion
        self.history_: list[Iteration] = clusters.history
        self.n_clusters_, self.n_iter_ = len(clusters.centres), len(clusters.history)
        self.unvisited_ = clusters.unvisited

    def _refine(self, vectors: Vectors) -> None:
        clusters = refined(vectors, self.labels_, self.cluster_centers_, passes=self.refinements)
        self.labels_, self.cluster_centers_ = clusters.labels, clusters.centres
        self.sizes_, self.distortion_ = clusters.sizes, clusters.distortion
        self._candidates = Candidates(clusters.centres)

    def _labels_of_cells(self, numbers: NDArray[np.uint32]) -> NDArray[np.int32]:
        points = self._fitted_points()
        places = points.grid.places(numbers)
        labels = self._of_cells[places]
        new = np.flatnonzero(places < 0)
        if len(new):
            cells, inverse = np.unique(numbers[new], return_inverse=True)
            keys = np.full(len(cells), NOBODY, np.uint64)
            assign_exactly(points.space, cells, self._centres, keys=keys, native=cell_kernels.kernels())
            labels[new] = labels_of(keys)[inverse]
        return labels

    def _fitted_points(self) -> Points:
        if self._points is None:
            raise NotFittedError("IQMeans is not fitted; call fit(vectors) first")
        return self._points

    def _fitted(self, vectors: Vectors, checkpoints: Checkpoints) -> ProductQuantizer:
        """A quantizer for a sample of the vectors."""
        if (state := checkpoints.load(STAGE)) is not None:
            return ProductQuantizer.from_codebooks(state["codebooks"], rotation=state["rotation"])
        size = min(len(vectors), max(SAMPLE, POINTS_A_CODEWORD * self.codewords))
        rows = np.sort(np.random.default_rng(self.seed).choice(len(vectors), size, replace=False))
        quantizer = fitted_quantizer(finite_rows(vectors[rows], 0, size), self.codewords, seed=self.seed)
        checkpoints.offer(STAGE, quantizer.state, ended=True)
        return quantizer

    def _count(self, points: Points) -> int:
        """How many centres there are at the start."""
        cells = len(points.grid.numbers)
        if self.n_clusters == "auto":
            return min(cells, self.most_clusters or max(1, len(points.cells) // POINTS))
        if self.n_clusters > cells:
            raise ValueError(
                f"n_clusters must be at most the number of cells with points, got {self.n_clusters:,} clusters for "
                f"{counted(cells, 'cell')}; ask for fewer clusters or take more than {self.codewords:,} codewords"
            )
        return self.n_clusters

    def _require(self) -> None:
        if self.n_clusters != "auto" and (not isinstance(self.n_clusters, int | np.integer) or self.n_clusters < 1):
            raise ValueError(f"n_clusters must be at least 1 or auto, got {self.n_clusters!r}")
        whole = isinstance(self.codewords, int | np.integer)
        if not whole or not 2 <= self.codewords <= MOST_CODEWORDS or self.codewords & (self.codewords - 1):
            raise ValueError(f"codewords must be a power of two from 2 to {MOST_CODEWORDS:,}, got {self.codewords!r}")
        most = 1 if self.most_clusters is None else self.most_clusters
        for name, value in {"window": self.window, "iterations": self.iterations, "most_clusters": most}.items():
            if not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        if not self.target > 0 or not self.tolerance >= 0 or not 0 <= self.overlap <= 1:
            raise ValueError(
                "target must be above 0, tolerance at least 0 and overlap 0 to 1, "
                f"got {self.target}, {self.tolerance} and {self.overlap}"
            )
        if self.assignment not in ASSIGNMENTS:
            raise ValueError(f"assignment must be one of {', '.join(ASSIGNMENTS)}, got {self.assignment!r}")
        for name, number in {"mean_passes": self.mean_passes, "refinements": self.refinements}.items():
            if not isinstance(number, int | np.integer) or number < 0:
                raise ValueError(f"{name} must be a whole number of at least 0, got {number!r}")
        if self.n_clusters == "auto" and not self.reset:
            raise ValueError("n_clusters=auto needs reset=True: what cells have seen names centres that are purged")

    def _require_number(self, number: int) -> None:
        if self.n_clusters != "auto" and self.n_clusters > number:
            raise ValueError(
                f"n_clusters must be at most the number of points, got {self.n_clusters:,} clusters for {number:,}; "
                "ask for fewer clusters"
            )
