"""The kernels of clustering packed codes in numpy, as `cell_twins` has those of cells.

N codes, W words of 64 bits a code, k centres.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.native.twins import ARGUMENT, OK

CENTRES = 64
"""Centres that `nearest_centres` sees at a time."""

_BITS = 2**24
"""Bits, or words compared, held at a time."""


def bit_sums(
    offsets: NDArray[np.int64],
    order: NDArray[np.int32],
    first: int,
    last: int,
    codes: NDArray[np.uint64],
    weights: NDArray[np.uint32],
    number: int,
    words: int,
    sums: NDArray[np.int64],
) -> int:
    """Of each group how many of its codes have each bit, the lowest bit of the first word first.

    Args:
        offsets: (k + 1,) int64 of `cell_twins.group`.
        order: (N,) int32 of `cell_twins.group`.
        first: group.
        last: behind the last group.
        codes: (N, W) uint64.
        weights: (N,) uint32, how often each code counts.
        number: N.
        words: W.
        sums: (k, 64 W) int64, those of groups `first` to `last` are filled.

    Returns:
        A status.
    """
    step = max(1, _BITS // (64 * words))
    for owner in range(first, last):
        members = order[offsets[owner] : offsets[owner + 1]]
        sums[owner] = 0
        for start in range(0, len(members), step):
            part = members[start : start + step]
            octets = np.ascontiguousarray(codes[part]).view(np.uint8).reshape(len(part), -1)
            bits = np.unpackbits(octets, axis=1, bitorder="little").astype(np.int64)
            sums[owner] += weights[part].astype(np.int64) @ bits
    return OK


def nearest_by_last(
    offsets: NDArray[np.int64],
    order: NDArray[np.int32],
    first: int,
    last: int,
    codes: NDArray[np.uint64],
    number: int,
    centres: NDArray[np.uint64],
    count: int,
    words: int,
    most: int,
    scratch: Any,
    ids: NDArray[np.int32],
    distances: NDArray[np.int32],
) -> int:
    """The nearest centres of codes that had one before, by sorted means (Phillips 2002); here by comparing all.

    A code lies d bits from the centre of its group. No centre farther than 2 d from that one is nearer to the code, so
    that few are looked at where codes lie near their centres; the others are left to whoever compares all quickly.

    Args:
        offsets: (k + 1,) int64 of `cell_twins.group`, of the labels that codes had.
        order: (N,) int32 of `cell_twins.group`.
        first: group.
        last: behind the last group.
        codes: (N, W) uint64.
        number: N.
        centres: (k, W) uint64, as they are now.
        count: k.
        words: W.
        most: centres within 2 d, that of the group among them, up to which a code is assigned.
        scratch: (2 k + 256 W + 4,) int32.
        ids: (N,) int32, filled for the codes of the groups: the nearest centre, of equal ones the first, or -1.
        distances: (N,) int32, filled with its distance, or -1.

    Returns:
        A status.
    """
    for owner in range(first, last):
        own = order[offsets[owner] : offsets[owner + 1]]
        spacings = np.sort(np.bitwise_count(centres ^ centres[owner]).sum(axis=1, dtype=np.int32))
        between = np.bitwise_count(codes[own, None] ^ centres).sum(axis=2, dtype=np.int32)
        left = np.searchsorted(spacings, 2 * between[:, owner], side="right") > most
        ids[own] = np.where(left, -1, between.argmin(axis=1))
        distances[own] = np.where(left, -1, between.min(axis=1))
    return OK


def nearest_codes(
    codes: NDArray[np.uint64],
    number: int,
    places: NDArray[np.int32],
    places_count: int,
    columns: NDArray[np.uint64],
    count: int,
    words: int,
    ids: NDArray[np.int32],
    distances: NDArray[np.int32],
) -> int:
    """The nearest of centres to codes, of equal ones the first, by comparing all.

    Args:
        codes: (N, W) uint64.
        number: N.
        places: (m,) int32, of the codes.
        places_count: m.
        columns: (W, k) uint64, the centres, their first words first.
        count: k.
        words: W, at most 4.
        ids: (m,) int32, is filled.
        distances: (m,) int32, is filled.

    Returns:
        A status.
    """
    step = max(1, _BITS // (count * words))
    for start in range(0, places_count, step):
        part = slice(start, min(start + step, places_count))
        between = np.bitwise_count(codes[places[part], :, None] ^ columns).sum(axis=1, dtype=np.int32)
        ids[part] = between.argmin(axis=1)
        distances[part] = between.min(axis=1)
    return OK


def nearest_centres(
    distances: NDArray[np.float32],
    steps: Any,
    subspaces: int,
    codewords: int,
    scale: float,
    centres: NDArray[np.uint8],
    count: int,
    indices: NDArray[np.uint8],
    points: int,
    scratch: Any,
    keys: NDArray[np.uint64],
) -> int:
    """The nearest centre of each code of a product quantizer, where it is nearer than what the code has.

    Args:
        distances: (M, K, K) float32 between codewords, squared, that of a code by row, of a centre by column.
        steps: (M, K, K) uint8, the least of 255 and ⌊distance · scale⌋; bounds, which are not needed here.
        subspaces: M, at most 1,024.
        codewords: K, at most 256.
        scale: at least 0.
        centres: (k, M) uint8.
        count: k.
        indices: (N, M) uint8.
        points: N.
        scratch: (`CENTRES` M K + N,) uint8.
        keys: (N,) uint64 as of `cell_twins.walk_cells`; each is lowered to the least sum from the first subspace on.

    Returns:
        A status.
    """
    if max(int(centres.max()), int(indices.max()) if points else 0) >= codewords or not scale >= 0:
        return ARGUMENT
    step = max(1, _BITS // CENTRES)
    for first in range(0, count, CENTRES):
        block = centres[first : min(first + CENTRES, count)]
        for start in range(0, points, step):
            part = slice(start, min(start + step, points))
            sums = np.zeros((part.stop - start, len(block)), np.float32)
            for table, own, other in zip(distances, indices[part].T, block.T, strict=True):
                sums += table[:, other][own]
            nearest = sums.argmin(axis=1)
            least = np.take_along_axis(sums, nearest[:, None], axis=1)[:, 0].view(np.uint32).astype(np.uint64)
            keys[part] = np.minimum(keys[part], least << np.uint64(32) | (first + nearest).astype(np.uint64))
    return OK


def multi_index_nearest(
    codes: NDArray[np.uint64],
    starts: NDArray[np.int32],
    places: NDArray[np.int32],
    levels: NDArray[np.int32],
    flips: NDArray[np.uint16],
    rows: int,
    words: int,
    parts: int,
    queries: NDArray[np.uint64],
    count: int,
    ids: NDArray[np.int32],
    distances: NDArray[np.int32],
) -> int:
    """The nearest code of each query, of equal ones the first (Norouzi, Punjani, Fleet 2012); here by comparing all.

    Args:
        codes: (k, W) uint64, searched.
        starts: (P, 2¹⁶ + 1) int32, where codes with a value of 16 bits in a part begin among the places of that part.
        places: (P, k) int32, numbers of codes by the value of each part.
        levels: (18,) int32, where values with 0, 1 … 16 bits begin in `flips`, and its end.
        flips: (2¹⁶,) uint16, all values by their number of bits.
        rows: k.
        words: W.
        parts: P, at most 4 W.
        queries: (N, W) uint64.
        count: N.
        ids: (N,) int32, is filled.
        distances: (N,) int32, is filled.

    Returns:
        A status.
    """
    step = max(1, _BITS // (rows * words))
    for start in range(0, count, step):
        part = slice(start, min(start + step, count))
        between = np.bitwise_count(queries[part, None] ^ codes).sum(axis=2, dtype=np.int32)
        ids[part] = between.argmin(axis=1)
        distances[part] = between.min(axis=1)
    return OK
