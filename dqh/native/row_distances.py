"""Squared L2 distances of a query to chosen rows of float16 features, which may lie in a memory map, checked or not."""

from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from dqh.native import twins


def row_distances(
    query: NDArray[np.float32], rows: NDArray[np.float16], ids: NDArray[np.int64], *, kernels: ModuleType
) -> NDArray[np.float32]:
    """‖query − row‖² of the rows that are named, (m,) float32, summed in float32.

    Equal rows have equal distances, bit for bit, wherever they lie.

    Args:
        query: (F,) float32.
        rows: (N, F) float16, C-contiguous.
        ids: (m,) int64, 0 to N − 1; quickest where they ascend.
        kernels: `dqh._native`, or `dqh.native.twins`.

    Raises:
        ValueError: an id is no row.

    Example:
        >>> rows = np.array([[0, 0], [3, 4], [1, 0]], np.float16)
        >>> row_distances(np.zeros(2, np.float32), rows, np.array([1, 2]), kernels=twins)
        array([25.,  1.], dtype=float32)
    """
    distances = np.empty(len(ids), np.float32)
    number, size = rows.shape
    query, ids = np.require(query, np.float32, ["C", "A"]), np.require(ids, np.int64, ["C", "A"])
    if kernels.squared_l2(rows, number, size, query, ids, len(ids), distances) != twins.OK:
        raise ValueError(f"ids must be rows of the {number} there are, got {ids.min()} to {ids.max()}")
    return distances


def checked_distances(
    query: NDArray[np.float32],
    rows: NDArray[np.float16],
    ids: NDArray[np.int64],
    *,
    checksums: NDArray[np.uint32],
    kernels: ModuleType,
) -> NDArray[np.float32]:
    """The same distances, each row checked as it is read: NaN where it is not as it was written.

    Args:
        query: (F,) float32.
        rows: (N, F) float16, C-contiguous.
        ids: (m,) int64, 0 to N − 1; quickest where they ascend.
        checksums: (N,) uint32, the CRC-32 of each row as it was written.
        kernels: `dqh._native`, or `dqh.native.twins`.

    Raises:
        ValueError: an id is no row.

    Example:
        >>> rows, sums = np.zeros((2, 2), np.float16), np.array([0x2144DF1C, 0], np.uint32)
        >>> checked_distances(np.ones(2, np.float32), rows, np.array([0, 1]), checksums=sums, kernels=twins)
        array([ 2., nan], dtype=float32)
    """
    distances, (number, size) = np.empty(len(ids), np.float32), rows.shape
    query, ids = np.require(query, np.float32, ["C", "A"]), np.require(ids, np.int64, ["C", "A"])
    if kernels.checked_l2(rows, number, size, checksums, query, ids, len(ids), distances) != twins.OK:
        raise ValueError(f"ids must be rows of the {number} there are, got {ids.min()} to {ids.max()}")
    return distances
