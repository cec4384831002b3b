"""What `cluster.py` measures: the clusterings of this package, and what the paper of IQ-means compares itself with.

Ten iterations where a name does not say how many, 20 of IQ-means. `pqkmeans` is built from its sources for this
comparison alone, and so not declared:

    uv pip install "cmake<4" setuptools wheel
    uv pip install --no-build-isolation --no-deps pqkmeans pipe six
"""

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import faiss
import numpy as np
import torch
from cluster_data import BITS, SAMPLE, Data, as_float32, sampled
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from sklearn.cluster import MiniBatchKMeans

from dqh.clustering.binary_kmeans import BinaryKMeans
from dqh.clustering.cell_assignment import assign_exactly, distances_of
from dqh.clustering.cell_codebooks import fitted_quantizer
from dqh.clustering.cell_points import Space, points_of_codes, points_of_vectors
from dqh.clustering.iq_means import POINTS_A_CODEWORD, IQMeans
from dqh.clustering.pq_kmeans import PQKMeans
from dqh.clustering.resuming import KEEP_NOTHING
from dqh.cores import threads
from dqh.native import cell_kernels, code_kernels
from dqh.native.cell_kernels import NOBODY
from dqh.quantizers.itq import ITQ
from dqh.quantizers.kmeans import kmeans
from dqh.quantizers.product import ProductQuantizer

PEER = "pqkmeans"
ONE_PASS = 10**6
"""Vectors above which mini-batches go through them once: a hundred times, as it comes, takes hours."""

EXACT_PAIRS = 5 * 10**10
"""Pairs of a cell and a centre up to which all cells are assigned exactly, for comparison; else some, from a seed."""


class Result(NamedTuple):
    """What a method gives: centres where they are vectors, labels, its own distortion; (processor, wall) seconds."""

    centres: NDArray[np.float32] | None
    labels: NDArray[np.int32]
    own: float | None
    prepare: tuple[float, float] = (0.0, 0.0)
    encode: tuple[float, float] = (0.0, 0.0)
    cluster: tuple[float, float] = (0.0, 0.0)
    note: str = ""


Method = Callable[[Data, int], Result]


class Clock:
    """Tells processor seconds and seconds."""

    def __init__(self) -> None:
        self._last = time.process_time(), time.perf_counter()

    def __call__(self) -> tuple[float, float]:
        """Since the last call."""
        before, self._last = self._last, (time.process_time(), time.perf_counter())
        return self._last[0] - before[0], self._last[1] - before[1]


def faiss_kmeans(iterations: int, most: int | None = None) -> Method:
    """k-means of all vectors, or of at most so many a centre, and then assignment of all."""

    def run(data: Data, clusters: int) -> Result:
        clock, vectors = Clock(), as_float32(data.points)
        points = most or len(vectors)
        method = faiss.Kmeans(vectors.shape[1], clusters, niter=iterations, seed=0, max_points_per_centroid=points)
        method.train(vectors)
        seconds = clock()
        labels = method.assign(vectors)[1].astype(np.int32)
        note = f"max_points_per_centroid={points:,}"
        return Result(method.centroids, labels, None, cluster=seconds, encode=clock(), note=note)

    return run


def torch_kmeans(device: str) -> Method:
    """k-means of all vectors by torch, of this package, as its quantizers use it."""

    def run(data: Data, clusters: int) -> Result:
        if device == "cuda" and not torch.cuda.is_available():
            raise RuntimeError("no GPU on this machine")
        clock, vectors = Clock(), torch.from_numpy(as_float32(data.points)).to(device)
        ended = kmeans(vectors, clusters, generator=torch.Generator().manual_seed(0), iterations=10)
        return Result(
            ended.centroids.cpu().numpy(), ended.assignment.cpu().numpy().astype(np.int32), None, cluster=clock()
        )

    return run


def mini_batch(data: Data, clusters: int) -> Result:
    """scikit-learn's, batches of as many vectors as there are clusters, else as it comes; of many vectors one pass."""
    clock, vectors = Clock(), as_float32(data.points)
    size, passes = max(1024, clusters), 100 if len(vectors) <= ONE_PASS else 1
    method = MiniBatchKMeans(clusters, random_state=0, n_init=1, batch_size=size, max_iter=passes).fit(vectors)
    note = f"{method.n_steps_:,} steps of {size:,} vectors"
    return Result(method.cluster_centers_, method.labels_, None, cluster=clock(), note=note)


def approximate(search: Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[Any]], note: str) -> Method:
    """AKM (Philbin et al. 2007): k-means whose assignment asks an index of the centres that may err."""

    def run(data: Data, clusters: int) -> Result:
        clock, vectors = Clock(), as_float32(data.points)
        centres = _drawn(vectors, clusters)
        for _ in range(10):
            centres = _means(vectors, search(centres, vectors), centres)
        seconds = clock()
        return Result(
            centres, search(centres, vectors).astype(np.int32), None, cluster=seconds, encode=clock(), note=note
        )

    return run


def by_tree(centres: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[Any]:
    """The nearest centre by a kd-tree, or one at most three times as far."""
    return np.asarray(cKDTree(centres).query(vectors, 1, eps=2, workers=threads())[1])


def by_graph(centres: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[Any]:
    """A near centre by faiss's graph, as it comes."""
    graph = faiss.IndexHNSWFlat(centres.shape[1], 16)
    graph.add(centres)
    return np.asarray(graph.search(vectors, 1)[1][:, 0])


def ranked_retrieval(data: Data, clusters: int) -> Result:
    """Centres ask an index of the points, and a point goes to the nearest that found it (Broder et al. 2014).

    Each finds 5 N/k points; what none found keeps its last centre, and at the end all points get the nearest one.
    """
    clock, vectors = Clock(), as_float32(data.points)
    size, lists = vectors.shape[1], 2 ** round(np.log2(len(vectors)) / 2)
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(size), size, lists)
    index.train(sampled(vectors, 64 * lists))
    index.add(vectors)
    index.nprobe = 16
    prepared, wanted = clock(), 5 * len(vectors) // clusters
    centres, labels = _drawn(vectors, clusters), np.full(len(vectors), -1, np.int64)
    for _ in range(10):
        distances, ids = index.search(centres, wanted)
        order = np.argsort(-distances, axis=None, kind="stable")  # the nearest writes last
        order = order[ids.reshape(-1)[order] >= 0]
        labels[:] = -1
        labels[ids.reshape(-1)[order]] = order // wanted
        centres = _means(vectors, labels, centres)
    seconds, unvisited = clock(), (labels < 0).mean()
    flat = faiss.IndexFlatL2(size)
    flat.add(centres)
    labels = flat.search(vectors, 1)[1][:, 0]
    note = f"{lists:,} lists, 16 searched; {unvisited:.1%} unvisited"
    return Result(centres, labels.astype(np.int32), None, prepared, clock(), seconds, note)


def iq_means(codewords: int, *, auto: bool = False, **settings: Any) -> Method:
    """IQ-means."""

    def run(data: Data, clusters: int) -> Result:
        clock = Clock()
        quantizer = _of_cells(data, codewords)
        prepare = clock()
        points = points_of_vectors(data.points, Space(quantizer))
        encode = clock()
        many = {"most_clusters": 4 * clusters} if auto else {}
        method = IQMeans("auto" if auto else clusters, quantizer=quantizer, tolerance=0, **many, **settings)
        method._cluster(points, quantizer, KEEP_NOTHING)  # encoding stands apart
        if method.refinements:
            method._refine(data.points)
        found = [f"{method.n_clusters_:,} clusters of {4 * clusters:,}"] * auto
        note = ", ".join([*found, f"{len(points.grid.numbers):,} cells, {method.unvisited_:.1%} unvisited"])
        return Result(method.cluster_centers_, method.labels_, method.distortion_, prepare, encode, clock(), note)

    return run


def means_of_cells(codewords: int) -> Method:
    """CKM: all cells, each as its two codewords and as often as it has points, compared with all centres."""

    def run(data: Data, clusters: int) -> Result:
        clock = Clock()
        quantizer = _of_cells(data, codewords)
        prepare = clock()
        codes = quantizer.encode(as_float32(data.points))
        encode = clock()
        method = IQMeans(clusters, quantizer=quantizer, tolerance=0, assignment="exact").fit_codes(codes)
        return Result(method.cluster_centers_, method.labels_, method.distortion_, prepare, encode, clock())

    return run


def iq_codes(*, auto: bool = False, **settings: Any) -> Method:
    """IQ-means on codes alone, the histogram of cells included; then the exact assignment of cells beside it."""

    def run(data: Data, clusters: int) -> Result:
        clock = Clock()
        points = points_of_codes(data.points, Space(_given(data)))
        encode = clock()
        many = {"most_clusters": clusters} if auto else {}
        method = IQMeans(
            "auto" if auto else clusters,
            quantizer=data.quantizer,
            tolerance=0,
            assignment="inverted",
            **many,
            **settings,
        )
        method._cluster(points, _given(data), KEEP_NOTHING)
        seconds = clock()
        before, after, share = _beside_exact(method)
        note = (
            f"{method.n_clusters_:,} clusters, {len(points.grid.numbers):,} cells, {method.unvisited_:.2%} unvisited, "
        )
        note += f"distortion {before / after - 1:+.2%} beside exact assignment of {share:.1%} of the cells"
        note += f"; at iteration {method.n_iter_}: {method.history_[-1].unvisited:.2%} unvisited"
        return Result(None, method.labels_, method.distortion_, encode=encode, cluster=seconds, note=note)

    return run


def _of_cells(data: Data, codewords: int) -> ProductQuantizer:
    """Fitted to as many of the points as `IQMeans` takes."""
    sample = sampled(data.points, max(SAMPLE, POINTS_A_CODEWORD * codewords))
    return fitted_quantizer(sample, codewords, seed=0)


def _given(data: Data) -> ProductQuantizer:
    assert data.quantizer is not None
    return data.quantizer


def _beside_exact(method: IQMeans) -> tuple[float, float, float]:
    """Mean squared distance of cells to their centres, and to the nearest ones, and of what part of the cells."""
    points, centres, labels = method._points, method._centres, method._of_cells
    assert points is not None
    count = len(points.grid.numbers)
    size = min(count, max(1, EXACT_PAIRS // len(centres)))
    places = np.sort(np.random.default_rng(1).choice(count, size, replace=False)) if size < count else np.arange(count)
    weights, keys = points.grid.populations[places].astype(np.float64), np.full(size, NOBODY, np.uint64)
    assign_exactly(points.space, points.grid.numbers[places], centres, keys=keys, native=cell_kernels.kernels())
    own = np.empty(size)
    for start in range(0, size, 2**16):
        part = places[start : start + 2**16]
        apart = points.space.middles(points.grid.numbers[part]) - centres[labels[part]]
        own[start : start + 2**16] = (apart.astype(np.float64) ** 2).sum(axis=1)
    total = weights.sum()
    return float(weights @ own / total), float(weights @ distances_of(keys).astype(np.float64) / total), size / count


def binary(**settings: Any) -> Method:
    """Binary k-means of ITQ codes, or of the codes that there are."""

    def run(data: Data, clusters: int) -> Result:
        clock, codes, prepare, encode = Clock(), data.points, (0.0, 0.0), (0.0, 0.0)
        if codes.dtype != np.uint8:
            itq = ITQ(BITS).fit(sampled(codes, 2 * SAMPLE))
            prepare = clock()
            codes = itq.encode(as_float32(codes))
            encode = clock()
        method = BinaryKMeans(clusters, **settings).fit(codes)
        note = f"{method.distortion_:.3f} bits, {method.n_iter_} iterations"
        return Result(None, method.labels_, method.distortion_, prepare, encode, clock(), note)

    return run


def product(subspaces: int, **settings: Any) -> Method:
    """PQ k-means of codes of so many bytes."""

    def run(data: Data, clusters: int) -> Result:
        clock = Clock()
        quantizer = _quantizer(data, subspaces)
        prepare = clock()
        codes = quantizer.encode(as_float32(data.points))
        encode = clock()
        method = PQKMeans(clusters, quantizer, **settings).fit(codes)
        seconds = clock()
        code_kernels.nearest_centres(method._distances, codes, method._centres, native=code_kernels.kernels())
        note = f"{method.n_iter_} iterations; {_pairs(codes, clusters, clock()[0])} by assignment"
        return Result(None, method.labels_, method.distortion_, prepare, encode, seconds, note)

    return run


def peer_product(data: Data, clusters: int) -> Result:
    """`pqkmeans.clustering.PQKMeans` on the same codes of 8 bytes; reading them in stands under encoding."""
    peer = import_module(PEER)
    quantizer = _quantizer(data, 8)
    encoder = peer.encoder.PQEncoder(num_subdim=8, Ks=256)
    encoder.trained_encoder = peer.encoder.pq_encoder.TrainedPQEncoder(quantizer.codebooks, np.uint8)
    codes = quantizer.encode(as_float32(data.points))

    def fitted(iterations: int) -> Any:
        method = peer.clustering.PQKMeans(encoder=encoder, k=clusters, iteration=iterations, verbose=False)
        method.fit(codes)
        return method

    method, read, one, ten = _of_peer(fitted)
    note = f"{PEER}; {_pairs(codes, clusters, one[0])} by assignment"
    return Result(None, np.array(method.labels_, np.int32), None, encode=read, cluster=ten, note=note)


def peer_binary(data: Data, clusters: int) -> Result:
    """`pqkmeans.clustering.BKMeans` on the same codes; what it takes to read them in stands under encoding."""
    peer = import_module(PEER)
    bits = np.unpackbits(np.asarray(data.points), axis=1, bitorder="little").astype(np.uint32)

    def fitted(iterations: int) -> Any:
        method = peer.clustering.BKMeans(k=clusters, input_dim=BITS, subspace_dim=16, iteration=iterations)
        method.fit(bits)
        return method

    method, read, one, ten = _of_peer(fitted)
    labels = np.array(method.labels_, np.int32)
    centres = np.packbits(np.array(method.cluster_centers_, np.uint8), axis=1, bitorder="little")
    near = np.bitwise_count(centres[labels] ^ data.points).sum(axis=1, dtype=np.int64).mean()
    note = f"{near:.3f} bits; {_pairs(bits, clusters, one[0])} by one iteration"
    return Result(None, labels, float(near), encode=read, cluster=ten, note=note)


def _of_peer(fitted: Callable[[int], Any]) -> tuple[Any, Any, Any, Any]:
    """The method after ten iterations, and seconds of none, of one, and of ten, the last two without those of none."""
    clock = Clock()
    fitted(0)
    none = clock()
    fitted(1)
    one = clock()
    method = fitted(10)
    ten = clock()
    return method, none, tuple(np.subtract(one, none).tolist()), tuple(np.subtract(ten, none).tolist())


def _pairs(codes: NDArray[Any], clusters: int, seconds: float) -> str:
    return f"{len(codes) * clusters / seconds / 1e9:.3g} G pairs a processor second"


def _quantizer(data: Data, subspaces: int) -> ProductQuantizer:
    return ProductQuantizer(subspaces, 256, iterations=10).fit(sampled(data.points, SAMPLE))


def _drawn(vectors: NDArray[np.float32], clusters: int) -> NDArray[np.float32]:
    return vectors[np.random.default_rng(0).choice(len(vectors), clusters, replace=False)]


def _means(
    vectors: NDArray[np.float32], labels: NDArray[np.integer[Any]], centres: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Means of the vectors of each centre; one without any stays where it is."""
    members = cell_kernels.group(labels.astype(np.int32), len(centres), native=cell_kernels.kernels())
    means = centres.copy()
    for centre in np.flatnonzero(np.diff(members.offsets)):
        own = members.order[members.offsets[centre] : members.offsets[centre + 1]]
        means[centre] = vectors[own].mean(axis=0)
    return means


VECTORS: dict[str, Method] = {
    "faiss, 3 iterations": faiss_kmeans(3),
    "faiss, 10 iterations": faiss_kmeans(10),
    "faiss, 3 iterations, 256 points a centre": faiss_kmeans(3, 256),
    "faiss, 10 iterations, 256 points a centre": faiss_kmeans(10, 256),
    "faiss, 10 iterations, 64 points a centre": faiss_kmeans(10, 64),
    "k-means by torch": torch_kmeans("cpu"),
    "k-means by torch on a GPU": torch_kmeans("cuda"),
    "scikit-learn mini-batch": mini_batch,
    "AKM, kd-tree": approximate(by_tree, "scipy, eps=2"),
    "AKM, graph": approximate(by_graph, "faiss, HNSW of 16 edges"),
    "ranked retrieval": ranked_retrieval,
    "k-means of cells, 512 codewords": means_of_cells(512),
    "IQ-means, 512 codewords": iq_means(512),
    "IQ-means, 512 codewords, as published": iq_means(512, mean_passes=0),
    "IQ-means, 512 codewords, as published, inverted": iq_means(512, mean_passes=0, assignment="inverted"),
    "IQ-means, 512 codewords, as published, inverted, remembering": iq_means(
        512, mean_passes=0, assignment="inverted", reset=False
    ),
    "IQ-means, 2,048 codewords": iq_means(2048),
    "IQ-means, 2,048 codewords, as published": iq_means(2048, mean_passes=0),
    "IQ-means, 2,048 codewords, as published, inverted, window 128": iq_means(
        2048, mean_passes=0, assignment="inverted", window=128
    ),
    "IQ-means, 2,048 codewords, 1 refinement": iq_means(2048, refinements=1),
    "IQ-means, 4,096 codewords, 4 passes, window 256": iq_means(4096, mean_passes=4, window=256),
    "IQ-means, 8,192 codewords, window 256": iq_means(8192, window=256),
    "IQ-means, 8,192 codewords, as published, window 256": iq_means(8192, mean_passes=0, window=256),
    "IQ-means, 512 codewords, auto": iq_means(512, auto=True),
    "binary k-means, 64 bits of ITQ": binary(),
    "PQ k-means, 8 bytes": product(8, start="random"),
    "pqkmeans, 8 bytes": peer_product,
}
METHODS: dict[str, dict[str, Method]] = {
    "deepfeatures": VECTORS,
    "vectors": VECTORS,
    "codes": {
        "window 256, target 20": iq_codes(window=256, target=20),
        "window 512, target 20": iq_codes(window=512, target=20),
        "window 256, target 20, auto": iq_codes(window=256, target=20, auto=True),
        "window 64, target 5": iq_codes(),
        "window 64, target 5, remembering": iq_codes(reset=False),
        "window 128, target 10": iq_codes(window=128, target=10),
        "window 512, target 40": iq_codes(window=512, target=40),
    },
    "bits": {
        "binary k-means": binary(),
        "binary k-means, random start": binary(start="random"),
        "pqkmeans.BKMeans": peer_binary,
    },
}
