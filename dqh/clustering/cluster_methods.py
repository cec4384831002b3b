"""Each method of `dqh cluster`, from points to labels, centres and distances.

N points, k clusters.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.clustering.binary_kmeans import BinaryKMeans
from dqh.clustering.cell_points import CHUNK, Vectors, finite_rows
from dqh.clustering.iq_means import IQMeans
from dqh.clustering.pq_kmeans import PQKMeans
from dqh.clustering.resuming import Checkpoints
from dqh.clustering.spreading import Elsewhere, Opened
from dqh.clustering.vector_codes import encoded, fitted_itq, fitted_product, itq_state
from dqh.clustering.vector_kmeans import VectorKMeans
from dqh.data.point_files import Kind
from dqh.progress import Progress
from dqh.quantizers.product import ProductQuantizer

STAGE = "distances"
"""Of checkpoints."""

CODEWORDS, SUBSPACES, BITS_OF_VECTORS = {"iqmeans": 512, "pqkmeans": 256}, 8, 64
"""Where nobody says, codewords where there are as many vectors."""

SQUARED, BITS = "squared L2", "bits"


@dataclass(frozen=True)
class ClusterSettings:
    """How points are clustered.

    Attributes:
        method: one of `METHODS`.
        clusters: k, or `auto`.
        points: which of the points' sides is clustered.
        most_clusters: what `auto` starts with; None for N / 16.
        overlap: of `auto`, see `IQMeans`.
        codewords: of each subspace, of quantizers that are made here.
        subspaces: of `pqkmeans` of vectors.
        bits: of `binary_kmeans` of vectors.
        iterations: at most.
        seed: of all that is random.
    """

    method: str
    clusters: int | Literal["auto"]
    points: Kind
    most_clusters: int | None = None
    overlap: float | None = None
    codewords: int | None = None
    subspaces: int | None = None
    bits: int | None = None
    iterations: int = 20
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Those that are set."""
        return {name: value for name, value in vars(self).items() if value is not None}


class Coded(NamedTuple):
    """Codes (N, ⌈B / 8⌉) uint8, B, and the quantizer of those that are product-quantized."""

    codes: NDArray[np.uint8]
    bits: int
    quantizer: ProductQuantizer | None


class Clusters(NamedTuple):
    """What a method ends with.

    Attributes:
        labels: (N,) int32.
        distances: (N,) float32, of each point to the centre of its cluster.
        centres: (k, D) float32, or (k, ⌈B / 8⌉) uint8.
        unit: of the distances.
        iterations: as many as there were.
        unvisited: of IQ-means, see there; None of other methods.
        quantizer: arrays of what was fitted to the vectors; None where nothing was.
    """

    labels: NDArray[np.int32]
    distances: NDArray[np.float32]
    centres: NDArray[Any]
    unit: str
    iterations: int
    unvisited: float | None = None
    quantizer: Mapping[str, NDArray[Any]] | None = None


class Padded:
    """Vectors with columns of zeros behind them, so that there are a multiple of some number.

    Args:
        vectors: (N, D).
        multiple: of which the dimension is to be one.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, vectors: Vectors, multiple: int) -> None:
        self._vectors = vectors
        self.shape = (vectors.shape[0], -(-vectors.shape[1] // multiple) * multiple)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any, /) -> NDArray[np.float32]:
        """(m, ·) float32."""
        own = self._vectors[rows]
        padded = np.zeros((len(own), self.shape[1]), np.float32)
        with np.errstate(over="ignore"):  # beyond float32 they become infinite, and are refused
            padded[:, : own.shape[1]] = own
        return padded


def padded(vectors: Vectors, multiple: int) -> Vectors:
    """Vectors whose dimension is a multiple of some number, with zeros behind them where it was not."""
    return vectors if vectors.shape[1] % multiple == 0 else Padded(vectors, multiple)


def codewords_for(settings: ClusterSettings, count: int) -> int:
    """Those that are asked for; else as usual, or as many as so many vectors can have."""
    return settings.codewords or max(2, min(CODEWORDS[settings.method], 1 << (count.bit_length() - 1)))


def by_iq_means(
    points: Vectors | Coded, settings: ClusterSettings, checkpoints: Checkpoints, *, elsewhere: Elsewhere | None = None
) -> Clusters:
    """IQ-means of vectors, or of codes of a product quantizer of two subspaces."""
    own: dict[str, Any] = {} if settings.overlap is None else {"overlap": settings.overlap}
    method = IQMeans(
        settings.clusters,
        codewords=codewords_for(settings, len(points.codes if isinstance(points, Coded) else points)),
        iterations=settings.iterations,
        most_clusters=settings.most_clusters,
        quantizer=points.quantizer if isinstance(points, Coded) else None,
        seed=settings.seed,
        **own,
    )
    if isinstance(points, Coded):
        method.fit_codes(points.codes, checkpoints=checkpoints)
        far = partial(_from_decoded, points, method.labels_, method.cluster_centers_)
        state, dimension = None, method.cluster_centers_.shape[1]
    else:
        vectors, dimension = padded(points, 2), points.shape[1]
        cells = None
        if elsewhere is not None and elsewhere.opened is not None:
            cells = partial(elsewhere.spread.cells, partial(_opened_padded, elsewhere.opened, 2), len(points))
        method.fit(vectors, checkpoints=checkpoints, elsewhere=cells)
        far = partial(_from_vectors, vectors, method.labels_, method.cluster_centers_)
        state = method.quantizer_.state()
    distances = _distances(far, len(method.labels_), checkpoints)
    centres = np.ascontiguousarray(method.cluster_centers_[:, :dimension])
    return Clusters(method.labels_, distances, centres, SQUARED, method.n_iter_, method.unvisited_, state)


def by_vector_kmeans(
    points: Vectors | Coded, settings: ClusterSettings, checkpoints: Checkpoints, *, elsewhere: Elsewhere | None = None
) -> Clusters:
    """Plain k-means of vectors."""
    assert not isinstance(points, Coded)
    assert settings.clusters != "auto"
    method = VectorKMeans(settings.clusters, iterations=settings.iterations, seed=settings.seed)
    assigned = None
    if elsewhere is not None and elsewhere.opened is not None:
        assigned = elsewhere.spread.vectors(elsewhere.opened, len(points))
    method.fit(points, checkpoints=checkpoints, assigned=assigned)
    return Clusters(method.labels_, method.distances_, method.cluster_centers_, SQUARED, method.n_iter_)


def by_binary_kmeans(
    points: Vectors | Coded, settings: ClusterSettings, checkpoints: Checkpoints, *, elsewhere: Elsewhere | None = None
) -> Clusters:
    """Binary k-means of codes, or of vectors, which ITQ makes codes."""
    assert settings.clusters != "auto"
    state = None
    if not isinstance(points, Coded):
        bits = settings.bits or max(1, min(BITS_OF_VECTORS, points.shape[1], len(points) - 1))
        itq = fitted_itq(points, bits, seed=settings.seed, checkpoints=checkpoints)
        points, state = Coded(encoded(points, itq, checkpoints=checkpoints), bits, None), itq_state(itq)
    method = BinaryKMeans(settings.clusters, bits=points.bits, iterations=settings.iterations, seed=settings.seed).fit(
        points.codes, checkpoints=checkpoints, spread=elsewhere and elsewhere.spread
    )
    far = partial(_from_bits, points.codes, method.labels_, method.cluster_centers_)
    distances = _distances(far, len(points.codes), checkpoints)
    return Clusters(method.labels_, distances, method.cluster_centers_, BITS, method.n_iter_, None, state)


def by_pq_kmeans(
    points: Vectors | Coded, settings: ClusterSettings, checkpoints: Checkpoints, *, elsewhere: Elsewhere | None = None
) -> Clusters:
    """k-means of product-quantized codes, or of vectors, which a quantizer fitted to some of them makes codes."""
    assert settings.clusters != "auto"
    state = None
    if not isinstance(points, Coded):
        subspaces = settings.subspaces or SUBSPACES
        codewords = codewords_for(settings, len(points))
        vectors = padded(points, subspaces)
        quantizer = fitted_product(vectors, subspaces, codewords, seed=settings.seed, checkpoints=checkpoints)
        points = Coded(encoded(vectors, quantizer, checkpoints=checkpoints), quantizer.bits, quantizer)
        state = quantizer.state()
    assert points.quantizer is not None
    method = PQKMeans(settings.clusters, points.quantizer, iterations=settings.iterations, seed=settings.seed)
    method.fit(points.codes, checkpoints=checkpoints, spread=elsewhere and elsewhere.spread)
    centres = points.quantizer.decode(method.cluster_centers_)
    distances = _distances(partial(_from_decoded, points, method.labels_, centres), len(points.codes), checkpoints)
    return Clusters(method.labels_, distances, method.cluster_centers_, SQUARED, method.n_iter_, None, state)


METHODS: Mapping[str, Callable[..., Clusters]] = {
    "iqmeans": by_iq_means,
    "kmeans": by_vector_kmeans,
    "binary_kmeans": by_binary_kmeans,
    "pqkmeans": by_pq_kmeans,
}
"""Of points, settings and checkpoints, and `elsewhere`, who assigns points in the place of this process."""


def _opened_padded(opened: Opened, multiple: int) -> Vectors:
    return padded(opened(), multiple)


def _distances(
    far: Callable[[slice], NDArray[np.float32]], number: int, checkpoints: Checkpoints
) -> NDArray[np.float32]:
    """Distances (N,) of all points to the centres of their clusters; the stage `distances` has what is done."""
    distances = np.empty(number, np.float32)
    state = checkpoints.load(STAGE)
    done = 0 if state is None else len(state["distances"])
    if state is not None:
        distances[:done] = state["distances"]
    progress = Progress("measured", number, noun="points", done=done)
    for start in range(done, number, CHUNK):
        stop = min(start + CHUNK, number)
        distances[start:stop] = far(slice(start, stop))
        progress.advance(stop - start)
        checkpoints.offer(STAGE, partial(dict, distances=distances[:stop]))
    return distances


def _from_vectors(
    vectors: Vectors, labels: NDArray[np.int32], centres: NDArray[np.float32], rows: slice
) -> NDArray[np.float32]:
    return _squares(finite_rows(vectors, rows.start, rows.stop), centres[labels[rows]])


def _from_decoded(
    coded: Coded, labels: NDArray[np.int32], centres: NDArray[np.float32], rows: slice
) -> NDArray[np.float32]:
    assert coded.quantizer is not None
    return _squares(coded.quantizer.decode(np.ascontiguousarray(coded.codes[rows])), centres[labels[rows]])


def _from_bits(
    codes: NDArray[np.uint8], labels: NDArray[np.int32], centres: NDArray[np.uint8], rows: slice
) -> NDArray[np.float32]:
    differing = np.bitwise_count(codes[rows] ^ centres[labels[rows]])
    return np.asarray(differing.sum(axis=1, dtype=np.int64), np.float32)


def _squares(points: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.float32]:
    differences = points - centres
    squares: NDArray[np.float32] = (differences * differences).sum(axis=1, dtype=np.float32)
    return squares
