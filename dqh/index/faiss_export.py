"""Codes as indexes of faiss, which then rank as `HammingIndex` and `AQDIndex` do, up to ties.

Nothing is trained again and nothing encoded again. Codes are the bitstream of faiss already; a rotation becomes a
`LinearTransform` in front. Cosine is not here: faiss would have to divide by the norms of decoded vectors.
Empty indexes, with all that is learned in place, are what `dqh export --to faiss` writes.

N items, B bits, D dimensions, M subspaces, K codewords each, F features, L lists.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dqh.codes import code_bytes, require_codes
from dqh.index.aqd import CodebookQuantizer
from dqh.lazy import faiss

_CHUNK = 2**14
"""Items decoded at a time."""

_TRAINING_POINTS = 256
"""Decoded items a list that the k-means of the coarse quantizer sees, at most: what faiss itself would take."""


def index_pq(
    quantizer: CodebookQuantizer, codes: NDArray[np.uint8], *, distance: Literal["l2", "ip"] | None = None
) -> "faiss.Index":
    """A `faiss.IndexPQ` with the codebooks and codes given: an exact scan.

    Args:
        quantizer: a fitted one.
        codes: (N, ⌈M·log2 K / 8⌉) uint8.
        distance: `l2`: squared L2, smaller is nearer. `ip`: the inner product, a similarity in faiss. None for that of
            the quantizer.

    Returns:
        The index, inside a `faiss.IndexPreTransform` where the quantizer has a rotation.

    Raises:
        NotFittedError: the quantizer is not fitted.
        ValueError: an unknown distance, or codes of another dtype or shape.
    """
    metric = _metric(distance or quantizer.distance)
    subspaces, codewords, width = quantizer.codebooks.shape
    require_codes(codes, quantizer.bits)
    index = faiss.IndexPQ(subspaces * width, subspaces, codewords.bit_length() - 1, metric)
    _set_codebooks(index, quantizer.codebooks)
    index.add_sa_codes(np.ascontiguousarray(codes))
    return _rotated(index, quantizer.rotation)


def index_ivfpq(
    quantizer: CodebookQuantizer,
    codes: NDArray[np.uint8],
    *,
    lists: int,
    distance: Literal["l2", "ip"] | None = None,
    seed: int = 0,
) -> "faiss.Index":
    """A `faiss.IndexIVFPQ` with the codebooks and codes given, its lists around k-means centres of decoded items.

    Codes stand for vectors and not for residuals (`by_residual` false). `nprobe` is `lists`, so that the index ranks as
    the exact scan does; a smaller one (`faiss.extract_index_ivf(index).nprobe = 8`) trades recall for speed.

    Arguments, result and errors as for `index_pq`; `lists` are 1 to N, and `seed` is of the k-means.
    """
    index = empty_ivfpq(quantizer, codes, lists=lists, distance=distance, seed=seed)
    own: Any = faiss.downcast_index(faiss.extract_index_ivf(index))
    coarse: Any = faiss.downcast_index(own.quantizer)
    for start in range(0, len(codes), _CHUNK):
        part = np.ascontiguousarray(codes[start : start + _CHUNK])
        _, nearest = coarse.search(own.pq.decode(part), 1)
        # A code of its own begins with the number of its list, low byte first.
        number = nearest.astype("<i8").view(np.uint8)[:, : own.coarse_code_size()]
        own.add_sa_codes(np.hstack([number, part]))
    if isinstance(index, faiss.IndexPreTransform):
        index.ntotal = own.ntotal
    return index


def empty_ivfpq(
    quantizer: CodebookQuantizer,
    sample: NDArray[np.uint8],
    *,
    lists: int,
    distance: Literal["l2", "ip"] | None = None,
    seed: int = 0,
) -> "faiss.Index":
    """A `faiss.IndexIVFPQ` without items, ready for `add(embedding)`; see `index_ivfpq`.

    Decoded vectors of the `sample` of codes place the lists; arguments and errors as for `index_ivfpq`.
    """
    metric = _metric(distance or quantizer.distance)
    subspaces, codewords, width = quantizer.codebooks.shape
    require_codes(sample, quantizer.bits)
    _require_lists(lists, len(sample))
    dimension = subspaces * width
    coarse: Any = faiss.IndexFlat(dimension, metric)
    index: Any = faiss.IndexIVFPQ(coarse, dimension, lists, subspaces, codewords.bit_length() - 1, metric)
    index.by_residual = False
    index.use_precomputed_table = 0
    _set_codebooks(index, quantizer.codebooks)
    spread = np.linspace(0, len(sample) - 1, min(len(sample), _TRAINING_POINTS * lists)).astype(np.int64)
    clustering: Any = faiss.Kmeans(dimension, lists, seed=seed, min_points_per_centroid=1)
    clustering.train(index.pq.decode(np.ascontiguousarray(sample[spread])))
    coarse.add(clustering.centroids)
    index.nprobe = lists
    return _rotated(index, quantizer.rotation)


def empty_binary_flat(bits: int) -> "faiss.IndexBinary":
    """A `faiss.IndexBinaryFlat` without items: an exact scan of packed codes of `bits` bits."""
    return faiss.IndexBinaryFlat(8 * code_bytes(bits))


def empty_binary_ivf(bits: int, sample: NDArray[np.uint8], *, lists: int, seed: int = 0) -> "faiss.IndexBinary":
    """A `faiss.IndexBinaryIVF` without items, ready for `add(codes)`, its lists around centres of a sample of codes.

    `nprobe` is `lists`, so that distances are those of the exact scan; a smaller one trades recall for speed. faiss
    cannot search it with a selector of ids.

    The sample is (N, ⌈B / 8⌉) uint8, packed; `lists` are 1 to N.

    Raises:
        ValueError: codes of another dtype or shape, or `lists` out of range.
    """
    require_codes(sample, bits)
    _require_lists(lists, len(sample))
    coarse = empty_binary_flat(bits)
    index = faiss.IndexBinaryIVF(coarse, 8 * code_bytes(bits), lists)
    index.cp.seed, index.cp.min_points_per_centroid = seed, 1
    index.train(np.ascontiguousarray(sample))
    index.nprobe = lists
    return index


def empty_latent(weight: NDArray[np.float32], bias: NDArray[np.float32], *, pool_factor: float = 10) -> "faiss.Index":
    """Coarse-to-fine search in one faiss index without items: features → latent layer → bits, then L2 of the features.

    `add(features)` keeps the bits of W x + b ≥ 0 and the features; `search(features, k)` takes the `pool_factor` · k
    nearest by Hamming distance and ranks them by squared L2 (Lin et al. 2015, §3.3). It is
    `IndexRefineFlat(IndexPreTransform(LinearTransform, IndexLSH))`; faiss cannot remove items from it.

    Args:
        weight: (B, F), W.
        bias: (B,), b, from which the threshold is taken already.
        pool_factor: candidates re-ranked, as a multiple of k; `k_factor` in faiss.
    """
    bits, size = weight.shape
    layer: Any = faiss.LinearTransform(size, bits, True)
    faiss.copy_array_to_vector(np.ascontiguousarray(weight, np.float32).ravel(), layer.A)
    faiss.copy_array_to_vector(np.ascontiguousarray(bias, np.float32), layer.b)
    layer.is_trained = True
    coarse = faiss.IndexPreTransform(layer, faiss.IndexLSH(bits, bits, False, False))
    index = faiss.IndexRefineFlat(coarse)
    index.k_factor = pool_factor
    return index


def serial(index: Any) -> bytes:
    """What `faiss.write_index` or `write_index_binary` writes."""
    binary = isinstance(index, faiss.IndexBinary)
    array = faiss.serialize_index_binary(index) if binary else faiss.serialize_index(index)
    return bytes(array.tobytes())


def _set_codebooks(index: Any, codebooks: NDArray[np.float32]) -> None:
    faiss.copy_array_to_vector(codebooks.ravel(), index.pq.centroids)
    index.is_trained = True


def _rotated(index: "faiss.Index", rotation: NDArray[np.float32] | None) -> "faiss.Index":
    """`index` behind the map z ↦ z R; faiss keeps a matrix A and computes A z, so A = Rᵀ."""
    if rotation is None:
        return index
    dimension = len(rotation)
    transform = faiss.LinearTransform(dimension, dimension, False)
    faiss.copy_array_to_vector(rotation.T.ravel(), transform.A)
    transform.is_trained = True
    transform.set_is_orthonormal()
    return faiss.IndexPreTransform(transform, index)


def _require_lists(lists: int, codes: int) -> None:
    if not 1 <= lists <= codes:
        raise ValueError(f"lists must be from 1 to the number of codes, {codes}, got {lists}")


def _metric(distance: str) -> int:
    metrics: dict[str, int] = {"l2": faiss.METRIC_L2, "ip": faiss.METRIC_INNER_PRODUCT}
    if distance not in metrics:
        raise ValueError(f"distance must be one of {', '.join(metrics)}, got {distance!r}")
    return metrics[distance]
