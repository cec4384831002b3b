"""How large, how tight and how pure clusters are.

N points in k clusters, C classes.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.data.point_labels import PointLabels

_CHUNK = 2**20
"""Points looked at together."""

_SHARES = 3
"""Labels of a cluster that are kept."""


class ClusterNumbers(NamedTuple):
    """Of each of k clusters.

    Attributes:
        sizes: (k,) int64, points.
        spreads: (k,) float64, mean distance of its points to its centre; NaN without points.
        nearest: (k,) int64, the point nearest to its centre, of equally near ones the first; -1 without points.
        labelled: (k,) int64, points with a label; all 0 where there are none.
        purities: (k,) float64, the part of them that has its most frequent label; NaN where nothing has one.
        shares: of each cluster its most frequent labels with the part of its labelled points that have them.
    """

    sizes: NDArray[np.int64]
    spreads: NDArray[np.float64]
    nearest: NDArray[np.int64]
    labelled: NDArray[np.int64]
    purities: NDArray[np.float64]
    shares: list[list[tuple[str, float]]]

    @property
    def purity(self) -> float | None:
        """The part of all points with a label that have the most frequent one of their cluster; None without labels."""
        total = int(self.labelled.sum())
        return None if not total else float(np.nansum(self.purities * self.labelled) / total)


def cluster_numbers(
    members: NDArray[np.int32], distances: NDArray[np.float32], clusters: int, labels: PointLabels | None
) -> ClusterNumbers:
    """Sizes, spreads and purities.

    A point with several labels counts for each of them: the purity is the largest part of the points of a cluster that
    have one label in common.

    Args:
        members: (N,) int32, the cluster of each point; points of -1 are left out.
        distances: (N,) float32, to the centres of their clusters.
        clusters: k.
        labels: of the points, where they have some.

    Example:
        >>> labels = PointLabels(np.arange(4), np.array([0, 0, 1, 1]), ("hat", "coat"))
        >>> numbers = cluster_numbers(np.array([0, 0, 0, 1], np.int32), np.array([1, 2, 3, 0], np.float32), 2, labels)
        >>> numbers.sizes.tolist(), numbers.spreads.tolist(), numbers.purity
        ([3, 1], [2.0, 0.0], 0.75)
    """
    sizes, sums = np.zeros(clusters, np.int64), np.zeros(clusters, np.float64)
    nearest, least = np.full(clusters, -1, np.int64), np.full(clusters, np.inf, np.float32)
    for start in range(0, len(members), _CHUNK):
        rows = start + np.flatnonzero(members[start : start + _CHUNK] >= 0)
        own, far = members[rows], distances[rows]
        sizes += np.bincount(own, minlength=clusters)
        sums += np.bincount(own, weights=far, minlength=clusters)
        order = np.lexsort((far, own))
        present, first = np.unique(own[order], return_index=True)
        nearer = far[order[first]] < least[present]
        nearest[present[nearer]], least[present[nearer]] = rows[order[first[nearer]]], far[order[first[nearer]]]
    spreads = np.where(sizes > 0, sums / np.maximum(sizes, 1), np.nan)
    if labels is None:
        nothing = np.zeros(clusters, np.int64)
        return ClusterNumbers(sizes, spreads, nearest, nothing, np.full(clusters, np.nan), [[]] * clusters)
    return ClusterNumbers(sizes, spreads, nearest, *_purities(members, clusters, labels))


def _purities(
    members: NDArray[np.int32], clusters: int, labels: PointLabels
) -> tuple[NDArray[np.int64], NDArray[np.float64], list[list[tuple[str, float]]]]:
    owner = members[labels.rows].astype(np.int64)
    good = owner >= 0
    kinds = max(1, len(labels.names))
    pairs, counts = np.unique(owner[good] * kinds + labels.classes[good], return_counts=True)
    points = np.unique(labels.rows[good])
    labelled = np.bincount(members[points], minlength=clusters)
    order = np.lexsort((pairs % kinds, -counts, pairs // kinds))
    cells, classes, counts = pairs[order] // kinds, pairs[order] % kinds, counts[order]
    starts = np.searchsorted(cells, np.arange(clusters + 1))
    purities, shares = np.full(clusters, np.nan), []
    for cluster in range(clusters):
        part = slice(starts[cluster], min(starts[cluster] + _SHARES, starts[cluster + 1]))
        parts = counts[part] / max(1, labelled[cluster])
        shares.append([(labels.names[kind], float(share)) for kind, share in zip(classes[part], parts, strict=True)])
        if len(parts):
            purities[cluster] = parts[0]
    return labelled, purities, shares
