"""The codebooks and codes of a product quantizer as indexes of faiss, which then rank as `AQDIndex` does, up to ties.

Nothing is trained again and nothing encoded again. Codes are the bitstream of faiss already; a rotation becomes a
`LinearTransform` in front. Cosine is not here: faiss would have to divide by the norms of decoded vectors.

N items, D dimensions, M subspaces, K codewords each.
"""

from typing import Any, Literal

import faiss
import numpy as np
from numpy.typing import NDArray

from dqh.codes import require_codes
from dqh.index.aqd import CodebookQuantizer

_CHUNK = 2**14
"""Items decoded at a time."""

_TRAINING_POINTS = 256
"""Decoded items a list that the k-means of the coarse quantizer sees, at most: what faiss itself would take."""


def index_pq(
    quantizer: CodebookQuantizer, codes: NDArray[np.uint8], *, distance: Literal["l2", "ip"] | None = None
) -> faiss.Index:
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
) -> faiss.Index:
    """A `faiss.IndexIVFPQ` with the codebooks and codes given, its lists around k-means centres of decoded items.

    Codes stand for vectors and not for residuals (`by_residual` false). `nprobe` is `lists`, so that the index ranks as
    the exact scan does; a smaller one (`faiss.extract_index_ivf(index).nprobe = 8`) trades recall for speed.

    Args:
        quantizer: a fitted one.
        codes: (N, ⌈M·log2 K / 8⌉) uint8.
        lists: inverted lists, 1 to N.
        distance: `l2`: squared L2, smaller is nearer. `ip`: the inner product, a similarity in faiss. None for that of
            the quantizer.
        seed: of the k-means.

    Returns:
        The index, inside a `faiss.IndexPreTransform` where the quantizer has a rotation.

    Raises:
        NotFittedError: the quantizer is not fitted.
        ValueError: an unknown distance, codes of another dtype or shape, or `lists` out of range.
    """
    metric = _metric(distance or quantizer.distance)
    subspaces, codewords, width = quantizer.codebooks.shape
    require_codes(codes, quantizer.bits)
    if not 1 <= lists <= len(codes):
        raise ValueError(f"lists must be from 1 to the number of codes, {len(codes)}, got {lists}")
    dimension = subspaces * width
    coarse: Any = faiss.IndexFlat(dimension, metric)
    index: Any = faiss.IndexIVFPQ(coarse, dimension, lists, subspaces, codewords.bit_length() - 1, metric)
    index.by_residual = False
    index.use_precomputed_table = 0
    _set_codebooks(index, quantizer.codebooks)
    spread = np.linspace(0, len(codes) - 1, min(len(codes), _TRAINING_POINTS * lists)).astype(np.int64)
    clustering: Any = faiss.Kmeans(dimension, lists, seed=seed, min_points_per_centroid=1)
    clustering.train(index.pq.decode(np.ascontiguousarray(codes[spread])))
    coarse.add(clustering.centroids)
    for start in range(0, len(codes), _CHUNK):
        part = np.ascontiguousarray(codes[start : start + _CHUNK])
        _, nearest = coarse.search(index.pq.decode(part), 1)
        # A code of its own begins with the number of its list, low byte first.
        number = nearest.astype("<i8").view(np.uint8)[:, : index.coarse_code_size()]
        index.add_sa_codes(np.hstack([number, part]))
    index.nprobe = lists
    return _rotated(index, quantizer.rotation)


def _set_codebooks(index: Any, codebooks: NDArray[np.float32]) -> None:
    faiss.copy_array_to_vector(codebooks.ravel(), index.pq.centroids)
    index.is_trained = True


def _rotated(index: faiss.Index, rotation: NDArray[np.float32] | None) -> faiss.Index:
    """`index` behind the map z ↦ z R; faiss keeps a matrix A and computes A z, so A = Rᵀ."""
    if rotation is None:
        return index
    dimension = len(rotation)
    transform = faiss.LinearTransform(dimension, dimension, False)
    faiss.copy_array_to_vector(rotation.T.ravel(), transform.A)
    transform.is_trained = True
    transform.set_is_orthonormal()
    return faiss.IndexPreTransform(transform, index)


def _metric(distance: str) -> int:
    metrics: dict[str, int] = {"l2": faiss.METRIC_L2, "ip": faiss.METRIC_INNER_PRODUCT}
    if distance not in metrics:
        raise ValueError(f"distance must be one of {', '.join(metrics)}, got {distance!r}")
    return metrics[distance]
