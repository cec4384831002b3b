"""Packed codes in the layout of the search kernels, and exact search of them by threads that split and merge.

A query is answered alike by any number of threads and by any instruction set.

N codes, B bits, W words of 64 bits a code, Q queries, k answers a query.
"""

from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.cores import threads
from dqh.native import twins
from dqh.native.threads import in_threads

Answers = tuple[NDArray[np.int64], NDArray[np.int32]]
"""Rows and bits."""

_SCRATCH = 2**26
"""Bytes of memory that kernels get at a time, where one query does not need more."""

_TOGETHER = 4
"""Queries that a kernel compares with a code at once: shares of them are multiples of it."""

_WORDS = 2**18
"""Words compared with a query that are worth a thread."""


class HammingCodes:
    """Codes to search by Hamming distance.

    Args:
        size: bytes a code, ⌈B / 8⌉.
        kernels: `dqh._native`, or `dqh.native.twins`.

    Example:
        >>> codes = HammingCodes(1, kernels=twins)
        >>> codes.add(np.array([[0b000], [0b111], [0b001]], np.uint8))
        >>> codes.nearest(np.array([[0b101]], np.uint8), 2)
        (array([[1, 2]]), array([[1, 1]], dtype=int32))
    """

    def __init__(self, size: int, *, kernels: ModuleType) -> None:
        self._kernels: Any = kernels
        self._words = max(1, -(-size // 8))
        self._rows = 0
        self._blocks = np.empty((0, self._words, 8), np.uint64)

    def __len__(self) -> int:
        return self._rows

    def add(self, codes: NDArray[np.uint8]) -> None:
        """Append codes (N, ⌈B / 8⌉) uint8; they are copied, and filled up with zeros to whole words."""
        free = -self._rows % 8
        if free and len(codes):
            last, lane = self._blocks[-1], self._rows % 8
            last[:, lane : lane + len(codes)] = words_of(codes[:free]).T
        blocks = blocks_of(codes[free:])
        self._blocks = np.concatenate([self._blocks, blocks]) if self._rows else blocks
        self._rows += len(codes)

    def nearest(self, queries: NDArray[np.uint8], k: int, *, allowed: NDArray[np.bool_] | None = None) -> Answers:
        """The k nearest codes of each query, equal distances by row.

        Args:
            queries: (Q, ⌈B / 8⌉) uint8.
            k: 1 to N.
            allowed: (N,) which rows may be in an answer; None: all.

        Returns:
            Rows (Q, k) int64 and bits (Q, k) int32; -1 and `twins.MISSING` where fewer are allowed.
        """
        words, bitmap = words_of(queries), _bitmap(allowed)
        ids, distances = np.empty((len(words), k), np.int64), np.empty((len(words), k), np.int32)
        need = max(8, self._kernels.hamming_scratch(1, self._rows, self._words, k))
        ranges = self._ranges(len(words))

        def search(share: slice, rows: slice) -> Answers:
            part = words[share]
            answers = ids[share], distances[share]
            if len(ranges) > 1:
                answers = np.empty_like(answers[0]), np.empty_like(answers[1])
            scratch = np.empty(need // 8 * len(part), np.uint64)
            arguments = (*self._range(bitmap, rows), part, len(part), k, scratch, *answers)
            _require(self._kernels.hamming_nearest(*arguments))
            return answers

        shares = self._shares(len(words), need, alone=len(ranges) == 1)
        parts = in_threads([partial(search, share, rows) for share in shares for rows in ranges])
        if len(ranges) > 1:
            for number, share in enumerate(shares):
                ids[share], distances[share] = _merged(parts[number * len(ranges) : (number + 1) * len(ranges)], k)
        return ids, distances

    def within(
        self, queries: NDArray[np.uint8], radius: int, *, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
        """All codes at most `radius` bits away from each query, nearest first, equal distances by row.

        Args:
            queries: (Q, ⌈B / 8⌉) uint8.
            radius: bits, at least 0.
            allowed: (N,) which rows may be in an answer; None: all.

        Returns:
            Offsets (Q + 1,) int64: the hits of query q are `offsets[q]` to `offsets[q + 1]` of the rows (H,) int64 and
            of the bits (H,) int32 that follow.
        """
        words, bitmap, radius = words_of(queries), _bitmap(allowed), min(radius, 64 * self._words)
        ranges = self._ranges(1)
        step = max(1, _SCRATCH // (8 * (radius + 1) * len(ranges)))
        parts = [
            self._within(words[start : start + step], radius, bitmap, ranges) for start in range(0, len(words), step)
        ]
        counts = np.concatenate([np.zeros(1, np.int64), *(part[0] for part in parts)])
        ids = np.concatenate([np.empty(0, np.int64), *(part[1] for part in parts)])
        return np.cumsum(counts), ids, np.concatenate([np.empty(0, np.int32), *(part[2] for part in parts)])

    def _within(
        self, words: NDArray[np.uint64], radius: int, bitmap: NDArray[np.uint8] | None, ranges: list[slice]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
        """Hits of each query, and their rows and bits: counted first, then put where they belong."""
        cursors = np.zeros((len(ranges), len(words), radius + 1), np.int64)
        need = self._kernels.hamming_scratch(len(words), self._rows, self._words, 1)

        def scan(part: int, *answers: NDArray[Any] | None) -> None:
            scratch = np.empty(-(-need // 8), np.uint64)
            arguments = (*self._range(bitmap, ranges[part]), words, len(words), radius, scratch, cursors[part])
            _require(self._kernels.hamming_within(*arguments, *answers))

        in_threads([partial(scan, part, None, None) for part in range(len(ranges))])
        # hits lie in order of query, distance and range of rows
        sizes = cursors.transpose(1, 2, 0).copy()
        ends = np.cumsum(sizes).reshape(sizes.shape)
        cursors[:] = (ends - sizes).transpose(2, 0, 1)
        total = int(ends[-1, -1, -1])
        ids, distances = np.empty(total, np.int64), np.empty(total, np.int32)
        in_threads([partial(scan, part, ids, distances) for part in range(len(ranges))])
        return sizes.sum(axis=(1, 2)), ids, distances

    def _range(self, bitmap: NDArray[np.uint8] | None, rows: slice) -> tuple[Any, ...]:
        """The first arguments of every kernel."""
        return self._blocks, bitmap, self._rows, self._words, rows.start, rows.stop

    def _ranges(self, queries: int) -> list[slice]:
        """Rows of each thread; all of them where there are enough queries to share."""
        most = threads() if queries < 2 * _TOGETHER else 1
        count = max(1, min(most, queries * self._rows * self._words // _WORDS))
        step = max(8, -(-self._rows // (8 * count)) * 8)
        return [slice(start, min(start + step, self._rows)) for start in range(0, max(1, self._rows), step)]

    def _shares(self, queries: int, need: int, *, alone: bool) -> list[slice]:
        """Queries of each call: as many as `_SCRATCH` allows, and one share a thread where rows are not split."""
        fewest = max(1, min(threads(), queries * self._rows * self._words // _WORDS)) if alone else 1
        share = -(-queries // fewest)
        step = max(1, min(-(-share // _TOGETHER) * _TOGETHER, _SCRATCH // need))
        return [slice(start, min(start + step, queries)) for start in range(0, queries, step)]


def words_of(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Codes (N, ⌈B / 8⌉) uint8 as (N, W) uint64, filled up with zeros; a copy unless they are whole aligned words."""
    words = max(1, -(-codes.shape[1] // 8))
    if codes.shape[1] != 8 * words:
        filled = np.zeros((len(codes), 8 * words), np.uint8)
        filled[:, : codes.shape[1]] = codes
        codes = filled
    return np.require(np.ascontiguousarray(codes).view(np.uint64), requirements=["C", "A"])


def blocks_of(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Codes (N, ⌈B / 8⌉) uint8 as (⌈N / 8⌉, W, 8) uint64: first words of 8 codes, then second ones and so on."""
    words = words_of(codes)
    blocks = np.zeros((-(-len(words) // 8), words.shape[1], 8), np.uint64)
    whole = len(words) // 8
    blocks[:whole] = words[: 8 * whole].reshape(whole, 8, words.shape[1]).transpose(0, 2, 1)
    if len(words) % 8:
        blocks[whole, :, : len(words) % 8] = words[8 * whole :].T
    return blocks


def _bitmap(allowed: NDArray[np.bool_] | None) -> NDArray[np.uint8] | None:
    return None if allowed is None else np.packbits(allowed, bitorder="little")


def _merged(parts: list[Answers], k: int) -> Answers:
    """The k nearest of several ranges of rows, given in the order of the rows."""
    ids, distances = (np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True))
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(ids, order, axis=1), np.take_along_axis(distances, order, axis=1)


def _require(status: int) -> None:
    """What a kernel refuses was not prepared as it must be."""
    assert status == twins.OK, f"a kernel returned {status}"
