"""The kernels of `dqh._native` in numpy: what they are compared with in tests, and what takes their place.

Same names, arguments and statuses; sizes of memory are not checked. Here are those of Hamming distances, of
features and of checksums, and the statuses. Blocks of 8 codes: see `hamming_codes.blocks_of`.

N rows, W words of 64 bits a code, Q queries, k answers a query.
"""

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

OK, ARGUMENT, FULL = range(3)
"""What a kernel returns: done; arguments that do not fit together; more rows than the memory for answers holds."""

MISSING = np.iinfo(np.int32).max
"""Distance of an answer that is not there; its id is -1."""


def require_ok(status: int) -> None:
    """What a kernel refuses was not prepared as it must be."""
    assert status == OK, f"a kernel returned {status}"


def hamming_scratch(count: int, rows: int, words: int, k: int) -> int:
    """Bytes of `scratch` that a search of so many queries needs: none here."""
    return 0


def hamming_nearest(
    blocks: NDArray[np.uint64],
    allowed: NDArray[np.uint8] | None,
    rows: int,
    words: int,
    first: int,
    last: int,
    queries: NDArray[np.uint64],
    count: int,
    k: int,
    scratch: Any,
    ids: NDArray[np.int64],
    distances: NDArray[np.int32],
) -> int:
    """The k nearest of rows `first` to `last` of each query, equal distances by row.

    Args:
        blocks: (⌈N / 8⌉, W, 8) uint64.
        allowed: (⌈N / 8⌉,) uint8, bit r % 8 of byte ⌊r / 8⌋ for row r: whether it may be in an answer; None: all may.
        rows: N, below 2⁴⁰.
        words: W.
        first: a multiple of 8.
        last: a multiple of 8, or N.
        queries: (Q, W) uint64.
        count: Q.
        k: at least 1.
        scratch: memory of `hamming_scratch` bytes, uint8.
        ids: (Q, k) int64, is filled; -1 where a query has fewer answers.
        distances: (Q, k) int32, is filled; `MISSING` there.

    Returns:
        A status.
    """
    if k < 1:
        return ARGUMENT
    number, between = _distances(blocks, allowed, first, last, queries)
    order = np.argsort(between, axis=1, kind="stable")[:, :k]
    answered = order.shape[1]
    ids[:, :answered], ids[:, answered:] = number[order], -1
    distances[:, :answered], distances[:, answered:] = np.take_along_axis(between, order, axis=1), MISSING
    return OK


def hamming_within(
    blocks: NDArray[np.uint64],
    allowed: NDArray[np.uint8] | None,
    rows: int,
    words: int,
    first: int,
    last: int,
    queries: NDArray[np.uint64],
    count: int,
    radius: int,
    scratch: Any,
    cursors: NDArray[np.int64],
    ids: NDArray[np.int64] | None,
    distances: NDArray[np.int32] | None,
) -> int:
    """Rows at most `radius` bits away, by two calls: one that counts, and one that fills.

    Arguments that are not listed are those of `hamming_nearest`.

    - `radius`: bits, 0 to 64 W.
    - `cursors`: (Q, radius + 1) int64. Without `ids` and `distances` they are increased by the number of rows at each
      distance; with them they say where the next row at each distance is put, and are moved on.
    - `ids`: (H,) int64.
    - `distances`: (H,) int32.

    Returns:
        A status; `FULL` where a cursor left the memory.
    """
    if not 0 <= radius <= 64 * words:
        return ARGUMENT
    number, between = _distances(blocks, allowed, first, last, queries)
    full = False
    for query, row in enumerate(between):
        near = np.flatnonzero(row <= radius)
        near = near[np.argsort(row[near], kind="stable")]
        sizes = np.bincount(row[near], minlength=radius + 1)
        if ids is not None and distances is not None:
            column = np.arange(len(near)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            full |= not put_hits(ids, distances, cursors[query, row[near]] + column, number[near], row[near])
        cursors[query] += sizes
    return FULL if full else OK


def hamming_histograms_scratch(count: int, words: int) -> int:
    """Bytes of `scratch` that histograms of so many queries need: none here."""
    return 0


def hamming_histograms(
    blocks: NDArray[np.uint64],
    rows: int,
    words: int,
    first: int,
    last: int,
    label_blocks: NDArray[np.uint64],
    label_words: int,
    shared: bool,
    queries: NDArray[np.uint64],
    query_labels: NDArray[np.uint64],
    count: int,
    scratch: Any,
    histograms: NDArray[np.int64],
) -> int:
    """How many rows lie at each distance of each query, irrelevant and relevant ones.

    Arguments that are not listed are those of `hamming_nearest`.

    - `label_blocks`: (⌈N / 8⌉, L, 8) uint64, labels in the layout of codes.
    - `label_words`: L.
    - `shared`: whether labels are bits, of which relevant rows have one in common with the query; else they are
      numbers, L is 1, and relevant rows have that of the query.
    - `query_labels`: (Q, L) uint64.
    - `histograms`: (Q, 2, 64 W + 1) int64, is increased: irrelevant rows, then relevant ones.

    Returns:
        A status.
    """
    number, between = _distances(blocks, None, first, last, queries)
    labels = label_blocks[number // 8, :, number % 8]
    for label, distances, counts in zip(query_labels, between, histograms, strict=True):
        relevant = (labels & label).any(axis=1) if shared else (labels == label).all(axis=1)
        for row, chosen in zip(counts, (~relevant, relevant), strict=True):
            row += np.bincount(distances[chosen], minlength=len(row))
    return OK


def squared_l2(
    rows: NDArray[np.float16],
    number: int,
    size: int,
    query: NDArray[np.float32],
    ids: NDArray[np.int64],
    count: int,
    distances: NDArray[np.float32],
) -> int:
    """Squared L2 distances of a query to rows that are named, in float32; their sums may be rounded otherwise.

    Args:
        rows: (N, F) float16.
        number: N.
        size: F.
        query: (F,) float32.
        ids: (m,) int64, 0 to N − 1, in any order.
        count: m.
        distances: (m,) float32, is filled.

    Returns:
        A status.
    """
    if count and not (int(ids.min()) >= 0 and int(ids.max()) < number):
        return ARGUMENT
    with np.errstate(invalid="ignore"):  # NaN
        differences = rows[ids].astype(np.float32) - query
    np.einsum("mf,mf->m", differences, differences, out=distances)
    return OK


def checked_l2(
    rows: NDArray[np.float16],
    number: int,
    size: int,
    sums: NDArray[np.uint32],
    query: NDArray[np.float32],
    ids: NDArray[np.int64],
    count: int,
    distances: NDArray[np.float32],
) -> int:
    """Squared L2 distances of a query to rows that are as they were written.

    Arguments that are not listed are those of `squared_l2`.

    - `sums`: (N,) uint32, the CRC-32 of each row.
    - `distances`: (m,) float32, is filled; NaN where a row is not as its CRC-32 says.

    Returns:
        A status; `ARGUMENT` where an id is no row.
    """
    status = squared_l2(rows, number, size, query, ids, count, distances)
    if status == OK:
        read = np.fromiter(map(zlib.crc32, rows[ids]), np.uint32, count=count)
        distances[read != sums[ids]] = np.nan
    return status


def crc32(rows: NDArray[np.uint8], count: int, size: int, sums: NDArray[np.uint32]) -> int:
    """CRC-32 of rows, as of zlib.

    Args:
        rows: (n, bytes) uint8, C-contiguous.
        count: n.
        size: bytes a row.
        sums: (n,) uint32, is filled.

    Returns:
        A status.
    """
    sums[:] = np.fromiter(map(zlib.crc32, rows), np.uint32, count=count)
    return OK


def put_hits(
    ids: NDArray[np.int64],
    distances: NDArray[Any],
    places: NDArray[np.int64],
    rows: NDArray[np.int64],
    values: NDArray[Any],
) -> bool:
    """Whether all hits, rows and their distances, found place in the memory; those that did are put there."""
    fits = (places >= 0) & (places < len(ids))
    ids[places[fits]], distances[places[fits]] = rows[fits], values[fits]
    return bool(fits.all())


def rows_of_range(allowed: NDArray[np.uint8] | None, first: int, last: int) -> NDArray[np.int64]:
    """The rows of a range that may be in an answer, ascending."""
    numbers = np.arange(first, last)
    return numbers if allowed is None else numbers[np.unpackbits(allowed, bitorder="little")[first:last] != 0]


def _distances(
    blocks: NDArray[np.uint64], allowed: NDArray[np.uint8] | None, first: int, last: int, queries: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The rows of a range that may be in an answer, (n,), and their distances to each query, (Q, n)."""
    number = rows_of_range(allowed, first, last)
    words = blocks[number // 8, :, number % 8]
    between = np.empty((len(queries), len(number)), np.int32)
    for query, row in zip(queries, between, strict=True):
        np.bitwise_count(words ^ query).sum(axis=1, dtype=np.int32, out=row)
    return number, between
