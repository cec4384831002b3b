"""How many clusters there are: of centres that overlap, those with fewer points are purged.

Each centre is an isotropic Gaussian with the mean, the variance and the number of its points. Two of them overlap by
the integral of the product of their densities, again a Gaussian: N(a; b, (σ_a² + σ_b²) I).

k centres of D dimensions, s neighbours of each.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

NEIGHBOURS = 16
"""Nearest centres that are looked at where they are not known from walks."""

_CHUNK = 2**22
"""Distances held at a time."""

_LEAST = 1e-3
"""Least variance, as a part of the mean one: a centre of equal points is no Gaussian."""


def kept_centres(
    centres: NDArray[np.floating[Any]],
    populations: NDArray[np.int64],
    spreads: NDArray[np.floating[Any]],
    neighbours: NDArray[np.integer[Any]],
    *,
    overlap: float,
) -> NDArray[np.bool_]:
    """Which centres stay, (k,): from the largest to the smallest, those with enough of a share in their own place.

    The share of centre a is n_a ⟨a, a⟩ / Σ_b n_b ⟨a, b⟩ over itself and its larger neighbours b that stay, n points and
    ⟨a, b⟩ the overlap (Avrithis and Kalantidis 2012, §3.2; Avrithis et al. 2015, §3.4). A centre without points goes.

    Args:
        centres: (k, D).
        populations: (k,) int64, points of each.
        spreads: (k,) mean squared distance of the points to the centre, D σ².
        neighbours: (k, s), numbers of centres near each, -1 for none; itself and repetitions are left out.
        overlap: the least share, 0 to 1: the larger, the fewer centres stay.

    Example:
        >>> centres = np.array([[0.0, 0.0], [0.1, 0.0], [9.0, 0.0]])
        >>> near = np.array([[1], [0], [1]])
        >>> kept_centres(centres, np.array([6, 5, 4]), np.ones(3), near, overlap=0.6).tolist()
        [True, False, True]
    """
    kept = populations > 0
    if not kept.any():
        return kept
    rank = np.empty(len(centres), np.int64)
    rank[np.argsort(-populations, kind="stable")] = np.arange(len(centres))
    near = _distinct(neighbours)
    larger = (near >= 0) & kept[near] & (rank[near] < rank[:, None])
    own, column = np.nonzero(larger)
    weights = np.zeros(near.shape)
    weights[own, column] = np.exp(_log_weights(centres, populations, spreads, own, near[own, column]))
    # a share only grows as neighbours go, so that a centre is looked at once more only where it would go by all of them
    doubtful = np.flatnonzero(kept & (overlap * (1 + weights.sum(axis=1)) > 1))
    for centre in doubtful[np.argsort(rank[doubtful])]:
        present = weights[centre][kept[near[centre]]].sum()
        kept[centre] = bool(overlap * (1 + present) <= 1)
    return kept


def nearest_centres(centres: NDArray[np.floating[Any]], count: int = NEIGHBOURS) -> NDArray[np.int64]:
    """Numbers (k, at most `count`) of the centres nearest to each, without itself."""
    points = torch.from_numpy(np.ascontiguousarray(centres, np.float32))
    count = min(count, len(points) - 1)
    near = np.empty((len(points), count), np.int64)
    step = max(1, _CHUNK // len(points))
    for start in range(0, len(points), step):
        distances = torch.cdist(points[start : start + step], points)
        rows = torch.arange(len(distances))
        distances[rows, start + rows] = torch.inf
        near[start : start + step] = distances.topk(count, largest=False).indices.numpy()
    return near


def owners_on_trails(trail: NDArray[np.int32], labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Neighbours (k, s) of centres: who has cells that they walked, -1 for none and for themselves."""
    owners: NDArray[np.int32] = np.where(trail >= 0, labels[trail], np.int32(-1))
    owners[owners == np.arange(len(trail), dtype=np.int32)[:, None]] = -1
    return owners


def _distinct(neighbours: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Neighbours of each row without itself and without repetitions, -1 in their place."""
    near = np.sort(neighbours.astype(np.int64), axis=1)
    near[:, 1:][near[:, 1:] == near[:, :-1]] = -1
    near[near == np.arange(len(near))[:, None]] = -1
    return near


def _log_weights(
    centres: NDArray[np.floating[Any]],
    populations: NDArray[np.int64],
    spreads: NDArray[np.floating[Any]],
    own: NDArray[np.int64],
    other: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Logarithms of n_b ⟨a, b⟩ / (n_a ⟨a, a⟩) for pairs of centres a and b (m,), at most 700."""
    size = centres.shape[1]
    variances = spreads.astype(np.float64) / size
    variances = np.maximum(variances, _LEAST * max(float(variances.mean()), np.finfo(np.float64).tiny))
    logs = np.empty(len(own), np.float64)
    step = max(1, _CHUNK // size)
    for start in range(0, len(own), step):
        a, b = own[start : start + step], other[start : start + step]
        squares = ((centres[b] - centres[a]) ** 2).sum(axis=1, dtype=np.float64)
        sums = variances[b] + variances[a]
        shares = np.log(np.maximum(populations[b], 1) / np.maximum(populations[a], 1))
        logs[start : start + step] = shares - squares / (2 * sums) - size / 2 * np.log(sums / (2 * variances[a]))
    return np.minimum(logs, 700.0)  # beyond it the exponential leaves float64
