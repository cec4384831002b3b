"""Packed codes in the layout of the search kernels, and exact search of them by threads that split and merge.

A query is answered alike by any number of threads and by any instruction set.

N codes, B bits, W words of 64 bits a code, Q queries, k answers a query.
"""

from __future__ import annotations  # those of inner functions would be made anew by each search

from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.native import twins
from dqh.native.bitmaps import Bitmap
from dqh.native.memory import aligned_zeros
from dqh.native.sharing import SCRATCH, WORK, fill_nearest, joined_hits, query_shares, row_ranges
from dqh.native.threads import in_threads

Answers = tuple[NDArray[np.int64], NDArray[np.int32]]
"""Rows and bits."""


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
        if self._rows:
            before, after = self._blocks, blocks
            blocks = aligned_zeros((len(before) + len(after), self._words, 8), np.uint64)
            blocks[: len(before)], blocks[len(before) :] = before, after
        self._blocks = blocks
        self._rows += len(codes)

    def nearest(self, queries: NDArray[np.uint8], k: int, *, allowed: Bitmap | None = None) -> Answers:
        """The k nearest codes of each query, equal distances by row.

        Args:
            queries: (Q, ⌈B / 8⌉) uint8.
            k: 1 to N.
            allowed: which rows may be in an answer; None: all.

        Returns:
            Rows (Q, k) int64 and bits (Q, k) int32; -1 and `twins.MISSING` where fewer are allowed.
        """
        words = words_of(queries)
        ids, distances = np.empty((len(words), k), np.int64), np.empty((len(words), k), np.int32)
        need = max(8, self._kernels.hamming_scratch(1, self._rows, self._words, k))
        work = self._rows * self._words
        if len(words) * work < 2 * WORK and len(words) * need <= SCRATCH:  # one thread, without what prepares several
            scratch = np.empty(need // 8 * len(words), np.uint64)
            arguments = (*self._range(allowed, slice(0, self._rows)), words, len(words), k, scratch, ids, distances)
            twins.require_ok(self._kernels.hamming_nearest(*arguments))
            return ids, distances
        ranges = row_ranges(self._rows, queries=len(words), work=work)

        def search(share: slice, rows: slice, *answers: NDArray[Any]) -> None:
            part = words[share]
            scratch = np.empty(need // 8 * len(part), np.uint64)
            arguments = (*self._range(allowed, rows), part, len(part), k, scratch, *answers)
            twins.require_ok(self._kernels.hamming_nearest(*arguments))

        shares = query_shares(len(words), ranges=len(ranges), work=work, scratch=need)
        fill_nearest(search, ids, distances, shares=shares, ranges=ranges)
        return ids, distances

    def within(
        self, queries: NDArray[np.uint8], radius: int, *, allowed: Bitmap | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
        """All codes at most `radius` bits away from each query, nearest first, equal distances by row.

        Args:
            queries: (Q, ⌈B / 8⌉) uint8.
            radius: bits, at least 0.
            allowed: which rows may be in an answer; None: all.

        Returns:
            Offsets (Q + 1,) int64: the hits of query q are `offsets[q]` to `offsets[q + 1]` of the rows (H,) int64 and
            of the bits (H,) int32 that follow.
        """
        words, radius = words_of(queries), min(radius, 64 * self._words)
        ranges = row_ranges(self._rows, queries=1, work=self._rows * self._words)
        step = max(1, SCRATCH // (8 * (radius + 1) * len(ranges)))
        parts = [
            self._within(words[start : start + step], radius, allowed, ranges) for start in range(0, len(words), step)
        ]
        return joined_hits(parts, np.int32)

    def _within(
        self, words: NDArray[np.uint64], radius: int, allowed: Bitmap | None, ranges: list[slice]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
        """Hits of each query, and their rows and bits: counted first, then put where they belong."""
        cursors = np.zeros((len(ranges), len(words), radius + 1), np.int64)
        need = self._kernels.hamming_scratch(len(words), self._rows, self._words, 1)

        def scan(part: int, *answers: NDArray[Any] | None) -> None:
            scratch = np.empty(-(-need // 8), np.uint64)
            arguments = (*self._range(allowed, ranges[part]), words, len(words), radius, scratch, cursors[part])
            twins.require_ok(self._kernels.hamming_within(*arguments, *answers))

        in_threads([partial(scan, part, None, None) for part in range(len(ranges))])
        # hits lie in order of query, distance and range of rows
        sizes = cursors.transpose(1, 2, 0).copy()
        ends = np.cumsum(sizes).reshape(sizes.shape)
        cursors[:] = (ends - sizes).transpose(2, 0, 1)
        total = int(ends[-1, -1, -1])
        ids, distances = np.empty(total, np.int64), np.empty(total, np.int32)
        in_threads([partial(scan, part, ids, distances) for part in range(len(ranges))])
        return sizes.sum(axis=(1, 2)), ids, distances

    def _range(self, allowed: Bitmap | None, rows: slice) -> tuple[Any, ...]:
        """The first arguments of every kernel."""
        allowed = None if allowed is None else np.ascontiguousarray(allowed)
        return self._blocks, allowed, self._rows, self._words, rows.start, rows.stop


def words_of(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Codes (N, ⌈B / 8⌉) uint8 as (N, W) uint64, filled up with zeros; a copy unless they are whole aligned words."""
    words = max(1, -(-codes.shape[1] // 8))
    if codes.shape[1] != 8 * words:
        filled = np.zeros((len(codes), 8 * words), np.uint8)
        filled[:, : codes.shape[1]] = codes
        codes = filled
    whole = np.ascontiguousarray(codes).view(np.uint64)
    return whole if whole.flags.aligned else whole.copy()


def blocks_of(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Codes (N, ⌈B / 8⌉) uint8 as (⌈N / 8⌉, W, 8) uint64: first words of 8 codes, then second ones and so on."""
    words = words_of(codes)
    blocks = aligned_zeros((-(-len(words) // 8), words.shape[1], 8), np.uint64)
    whole = len(words) // 8
    blocks[:whole] = words[: 8 * whole].reshape(whole, 8, words.shape[1]).transpose(0, 2, 1)
    if len(words) % 8:
        blocks[whole, :, : len(words) % 8] = words[8 * whole :].T
    return blocks
