"""A map of codes in the plane, where near codes lie near each other: t-SNE or principal components of a sample.

Equal codes are one place on the map, however many items have them, so a cluster is always many codes. Drawing is in
`health_plots`.

N items, B bits, C classes, P places.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dqh.codes import pack, require_codes, unpack
from dqh.ranking.side import Labels

PERPLEXITY = 30.0
"""About how many near codes t-SNE keeps near each code; scikit-learn's own choice."""

FEWEST_TSNE = 50
"""Distinct codes below which principal components are drawn: t-SNE would find no neighbourhoods in them."""

ITERATIONS = 500


@dataclass(frozen=True, eq=False)
class CodeMap:
    """Places of sampled codes in the plane.

    Attributes:
        positions: (P, 2) float64, about their mean; equal codes have equal positions. Only distances have a meaning,
            and with t-SNE only the near ones.
        classes: (P,) int64, the class of the items at a place; −1 where they have several labels or none. A code with
            items of several classes has a place for each class.
        codes: (P,) int64, number of the code at a place.
        counts: (P,) int64, sampled items of that code and class.
        class_names: (C,) names.
        method: `t-SNE` or `PCA`.
        sampled: items on the map.
        items: N, those it was drawn from.
        distinct: distinct codes on the map.
    """

    positions: NDArray[np.float64]
    classes: NDArray[np.int64]
    codes: NDArray[np.int64]
    counts: NDArray[np.int64]
    class_names: tuple[str, ...]
    method: str
    sampled: int
    items: int
    distinct: int


def code_map(
    codes: NDArray[np.uint8],
    labels: Labels,
    *,
    bits: int,
    class_names: tuple[str, ...] | list[str],
    decode: Callable[[NDArray[np.uint8]], NDArray[np.float32]] | None = None,
    most: int = 1000,
    seed: int = 0,
) -> CodeMap:
    """A map of a random sample of codes; a few seconds for 1,000 of them.

    Squared Euclidean distances between bits are Hamming distances: t-SNE and PCA of the bits both go by them; those of
    other codes go by squared L2 between what they stand for. On one machine the same codes and seed give the same map.

    Args:
        codes: (N, ⌈B / 8⌉) uint8, packed, N at least 1.
        labels: (N,) int64 below C, or (N, C) bool.
        bits: B.
        class_names: C names.
        decode: what packed codes stand for, (P, D); None for their bits.
        most: items on the map at most, at least 1.
        seed: of the sample.

    Raises:
        ValueError: shapes or types do not fit, a label has no name, there is no item, or `most` is below 1.
    """
    require_codes(codes, bits)
    _require_labels(labels, len(codes), len(class_names))
    if most < 1:
        raise ValueError(f"most must be at least 1, got {most}")
    chosen = np.sort(np.random.default_rng(seed).permutation(len(codes))[:most])
    values = unpack(codes[chosen], bits)
    distinct, code = np.unique(values, axis=0, return_inverse=True)
    vectors = distinct if decode is None else decode(pack(distinct))
    pairs = np.stack([code.ravel(), _single_class(labels[chosen])], axis=1)
    places, counts = np.unique(pairs, axis=0, return_counts=True)
    with threadpool_limits(limits=1):  # sums of several threads differ in the last digits, maps then visibly
        method, positions = _positions(vectors.astype(np.float64), np.bincount(code.ravel()))
    return CodeMap(
        positions=positions[places[:, 0]],
        classes=places[:, 1],
        codes=places[:, 0],
        counts=counts.astype(np.int64),
        class_names=tuple(class_names),
        method=method,
        sampled=len(chosen),
        items=len(codes),
        distinct=len(distinct),
    )


def _require_labels(labels: Labels, items: int, classes: int) -> None:
    if items == 0:
        raise ValueError("codes must hold at least one item, got none")
    if len(labels) != items:
        raise ValueError(f"labels must be as many as codes, {items}, got {len(labels)}")
    if labels.ndim == 2:
        if labels.dtype != np.bool_ or labels.shape[1] != classes:
            raise ValueError(
                f"labels of {classes} classes must be bool of shape (N, {classes}), got {labels.dtype} of shape "
                f"{labels.shape}"
            )
    elif labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels must lie in 0 … {classes - 1}, got {labels.min()} … {labels.max()}")


def _single_class(labels: Labels) -> NDArray[np.int64]:
    """(N,): the class of each item, −1 where it has several or none."""
    if labels.ndim == 1:
        return labels.astype(np.int64)
    return np.where(labels.sum(axis=1) == 1, labels.argmax(axis=1), -1)


def _positions(codes: NDArray[np.float64], counts: NDArray[np.int64]) -> tuple[str, NDArray[np.float64]]:
    """The method and (P, 2) positions of distinct codes as vectors (P, D), each of which `counts` items have."""
    plane = _principal_plane(codes - np.average(codes, axis=0, weights=counts), counts)
    if len(codes) < FEWEST_TSNE:
        return "PCA", plane
    from sklearn.manifold import TSNE  # a second of imports, for those who draw a map

    start = (plane / plane.std(axis=0).max() * 1e-4).astype(np.float32)
    options: dict[str, Any] = {"perplexity": min(PERPLEXITY, (len(codes) - 1) / 3), "max_iter": ITERATIONS}
    places = TSNE(init=start, random_state=0, **options).fit_transform(codes.astype(np.float32))
    return "t-SNE", places.astype(np.float64) - places.mean(axis=0)


def _principal_plane(centred: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """(P, 2): coordinates along the two directions of the largest variance of the items; 0 where there is none."""
    _, spread, directions = np.linalg.svd(centred * np.sqrt(counts)[:, None], full_matrices=False)
    plane = np.zeros((len(centred), 2))
    for axis, direction in enumerate(directions[:2]):
        if spread[axis] > 1e-9 * max(1.0, spread[0]):
            sign = np.sign(direction[np.abs(direction).argmax()])  # a singular vector has no sign of its own
            plane[:, axis] = centred @ direction * sign
    return plane
