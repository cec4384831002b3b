"""Groups of codes that are nearly equal: single linkage within a Hamming radius.

N codes of B bits, U distinct ones.
"""

import logging
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.clustering.distinct_codes import DistinctCodes, distinct_codes
from dqh.codes import hamming, require_packed
from dqh.index.bit_scans import BitScan, bit_scan
from dqh.progress import Progress

logger = logging.getLogger(__name__)

_PAIRS = 2**24
"""Pairs of codes that may be found at a time."""

_BLOCK = 2**10
"""Codes of a group compared at a time."""


class DuplicateGroup(NamedTuple):
    """Codes each of which is near another one of the group.

    Attributes:
        rows: (m,) int64, ascending, at least two.
        diameter: bits between the two that are farthest from each other; more than the radius where others lie between.
    """

    rows: NDArray[np.int64]
    diameter: int


Links = Callable[[NDArray[np.uint8], int], Iterable[tuple[NDArray[np.int64], NDArray[np.int64]]]]
"""Gives `linked_codes` of all rows of codes, by a radius, in parts."""


def near_duplicates(
    codes: NDArray[np.uint8], radius: int, *, bits: int, elsewhere: Links | None = None
) -> list[DuplicateGroup]:
    """Groups of at least two codes, the largest first, then by their first row.

    Two codes are in one group where a chain of codes leads from one to the other whose neighbours differ in at most
    `radius` bits. Equal codes are merged first; all others are compared with one another.

    Args:
        codes: (N, ⌈B / 8⌉) uint8.
        radius: bits, at least 0.
        bits: B.
        elsewhere: compares the codes in the place of this process.

    Raises:
        ValueError: codes of another form, or a negative radius.

    Example:
        >>> codes = np.array([[0b0000], [0b0001], [0b0011], [0b1100]], np.uint8)
        >>> [(group.rows.tolist(), group.diameter) for group in near_duplicates(codes, 1, bits=4)]
        [([0, 1, 2], 2)]
    """
    require_packed(codes, bits)
    if radius < 0:
        raise ValueError(f"radius must be at least 0 bits, got {radius}")
    if not len(codes):
        return []
    merged = distinct_codes(codes)
    links = elsewhere(merged.codes, radius) if elsewhere is not None else [_all_linked(merged.codes, radius)]
    owner = np.arange(len(merged.codes))
    for left, right in links:
        owner = _joined(owner, left, right)
    owner = owner[merged.places]
    order = np.argsort(owner, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(owner[order])) + 1)
    several = [DuplicateGroup(rows, _diameter(merged, rows)) for rows in groups if len(rows) > 1]
    return sorted(several, key=lambda group: (-len(group.rows), int(group.rows[0])))


def _all_linked(codes: NDArray[np.uint8], radius: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    scan = bit_scan(codes.shape[1])
    scan.add(codes)
    return linked_codes(codes, scan, radius, slice(0, len(codes)))


def linked_codes(
    codes: NDArray[np.uint8], scan: BitScan, radius: int, rows: slice
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs (m,) of codes that chains connect, as few as do, where a step is from one of some rows to a later code.

    Args:
        codes: (U, ⌈B / 8⌉) uint8.
        scan: of the codes.
        radius: bits.
        rows: those that are compared with all.
    """
    owner = np.arange(len(codes))
    step = max(1, _PAIRS // len(codes))
    progress = Progress("compared", rows.stop - rows.start, noun="codes")
    for start in range(rows.start, rows.stop, step):
        offsets, others, _ = scan.within(codes[start : min(start + step, rows.stop)], radius)
        queries = np.repeat(np.arange(start, start + len(offsets) - 1), np.diff(offsets))
        owner = _joined(owner, queries[queries < others], others[queries < others])
        progress.advance(len(offsets) - 1)
    _, first, places = np.unique(owner, return_index=True, return_inverse=True)
    to = first[places]
    left = np.flatnonzero(to != np.arange(len(codes)))
    return left, to[left]


def _joined(owner: NDArray[np.int64], left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """Groups once those of some pairs are one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(left):
        return owner
    pairs = np.ones(len(left), np.bool_), (owner[left], owner[right])
    _, parts = connected_components(coo_array(pairs, shape=(len(owner), len(owner))), directed=False)
    joined: NDArray[np.int64] = parts[owner].astype(np.int64)
    return joined


def _diameter(merged: DistinctCodes, rows: NDArray[np.int64]) -> int:
    codes = merged.codes[np.unique(merged.places[rows])]
    blocks = range(0, len(codes), _BLOCK)
    return max(
        int(hamming(codes[i : i + _BLOCK], codes[j : j + _BLOCK]).max()) for i in blocks for j in blocks if j >= i
    )
