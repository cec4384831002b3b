"""The kernels of `selection.Kernels` in Triton, and the count of distances: one pass over the codes, in registers.

In torch each distance would go to memory and back some 15 times for 32 bits of a code, 2 M times for look-up tables of
one query, and 5 times, with an atomic addition, for a histogram.

N rows, W words of 32 bits a code, L queries, M subspaces, K codewords each, B bits, G rows of a group.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from dqh.native.device.selection import MISSING, MOST_GROUP

_TOGETHER = 8
"""Queries that a row is compared with once it is read, where there are so many."""

_COUNTED, _COUNTS = MOST_GROUP, 32
"""Rows that are counted at a time, and how often before counts are added up."""


def hamming_minima(words: Tensor, queries: Tensor, allowed: Tensor | None, size: int) -> Tensor:
    """See `Kernels.hamming_minima`."""
    rows, number, queries = words.shape[1], queries.shape[1], queries.contiguous()
    minima = torch.empty(number, triton.cdiv(rows, size), dtype=torch.int32, device=words.device)
    together = _TOGETHER if number > 1 else 1
    tiles = triton.cdiv(number, together)
    _launch(
        _hamming_minima,
        triton.cdiv(rows, MOST_GROUP) * tiles,
        words,
        queries,
        words if allowed is None else allowed,
        minima,
        rows,
        words.stride(0),
        number,
        tiles,
        missing=MISSING,
        words_a_code=len(words),
        filtered=allowed is not None,
        size=size,
        groups=MOST_GROUP // size,
        together=together,
    )
    return minima


def table_minima(indices: Tensor, tables: Tensor, inverses: Tensor | None, allowed: Tensor | None, size: int) -> Tensor:
    """See `Kernels.table_minima`."""
    rows, number = indices.shape[1], len(tables)
    minima = torch.empty(number, triton.cdiv(rows, size), dtype=torch.float32, device=indices.device)
    together = _TOGETHER if number > 1 else 1
    tiles = triton.cdiv(number, together)
    _launch(
        _table_minima,
        triton.cdiv(rows, MOST_GROUP) * tiles,
        indices,
        tables.contiguous(),
        tables if inverses is None else inverses,
        indices if allowed is None else allowed,
        minima,
        rows,
        indices.stride(0),
        number,
        tiles,
        subspaces=tables.shape[1],
        codewords=tables.shape[2],
        scaled=inverses is not None,
        filtered=allowed is not None,
        size=size,
        groups=MOST_GROUP // size,
        together=together,
        enable_fp_fusion=False,  # a fused product and sum is rounded once, and would not be that of other kernels
    )
    return minima


def hamming_counts(
    words: Tensor, queries: Tensor, labels: Tensor, query_labels: Tensor, *, shared: bool, bits: int
) -> Tensor:
    """How many rows lie at each distance of each query, irrelevant ones, then relevant ones.

    Args:
        words: (W, N) int32 out of `empty_planes`, N below 2³¹, all first words of 32 bits, then all second ones …
        queries: (W, L) int32.
        labels: (V, N) int32, labels in the layout of codes.
        query_labels: (V, L) int32.
        shared: whether labels are bits, of which relevant rows have one in common with the query; else those of a
            relevant row are all those of the query.
        bits: B, at most 32 W.

    Returns:
        (L, 2, B + 1) int64.
    """
    rows, number = words.shape[1], queries.shape[1]
    assert words.stride(0) == labels.stride(0)
    queries, query_labels = queries.contiguous(), query_labels.contiguous()
    half = triton.next_power_of_2(bits + 1)
    counts = torch.zeros(number, 2, half, dtype=torch.int32, device=words.device)
    programs = triton.cdiv(rows, _COUNTED * _COUNTS)
    _launch(
        _hamming_counts,
        programs * number,
        words,
        queries,
        labels,
        query_labels,
        counts,
        rows,
        words.stride(0),
        number,
        words_a_code=len(words),
        words_a_label=len(labels),
        shared=shared,
        half=half,
        block=_COUNTED,
        blocks=_COUNTS,
    )
    counts[:, 0, 0] -= -rows % _COUNTED  # rows beyond the last are counted there
    return counts[:, :, : bits + 1].long()


def _launch(kernel: Any, programs: int, items: Tensor, *arguments: Any, **constants: Any) -> None:
    """On the device of the items, which need not be the current one."""
    with torch.cuda.device_of(items):
        kernel[(programs,)](items, *arguments, **constants)


@triton.jit
def _ones(word):
    """How many bits are set; the compiler knows this as the one instruction that counts them."""
    word = word.to(tl.uint32, bitcast=True)
    word = word - ((word >> 1) & 0x55555555)
    word = (word & 0x33333333) + ((word >> 2) & 0x33333333)
    word = (word + (word >> 4)) & 0x0F0F0F0F
    return ((word * 0x01010101) >> 24).to(tl.int32)


@triton.jit
def _is_allowed(allowed, row, inside):
    """The bits of rows in a bitmap."""
    octets = tl.load(allowed + (row >> 3), mask=inside, other=0).to(tl.int32)
    return ((octets >> (row & 7).to(tl.int32)) & 1) != 0


@triton.jit(do_not_specialize=["rows", "number", "tiles"])
def _hamming_minima(
    words,
    queries,
    allowed,
    minima,
    rows,
    stride,
    number,
    tiles,
    missing: tl.constexpr,
    words_a_code: tl.constexpr,
    filtered: tl.constexpr,
    size: tl.constexpr,
    groups: tl.constexpr,
    together: tl.constexpr,
):
    """Distances of a tile of queries to a block of rows, of which the least of each group is kept."""
    block = (tl.program_id(0) // tiles).to(tl.int64)
    query = (tl.program_id(0) % tiles).to(tl.int64) * together + tl.arange(0, together)
    row = block * (size * groups) + tl.arange(0, size * groups)
    asked, inside = query < number, row < rows
    item_place, query_place = words + row, queries + query
    distance = tl.zeros([together, size * groups], tl.int32)
    for _ in range(words_a_code):
        item = tl.load(item_place)
        wanted = tl.load(query_place, mask=asked, other=0)
        distance += _ones(item[None, :] ^ wanted[:, None])
        item_place += stride
        query_place += number
    if filtered:
        inside = inside & _is_allowed(allowed, row, inside)
    distance = tl.where(inside[None, :], distance, missing)
    least = tl.min(tl.reshape(distance, [together, groups, size]), axis=2)
    group, count = block * groups + tl.arange(0, groups), tl.cdiv(rows, size)
    place = query[:, None] * count + group[None, :]
    tl.store(minima + place, least, mask=asked[:, None] & (group < count)[None, :])


@triton.jit(do_not_specialize=["rows", "number", "tiles"])
def _table_minima(
    indices,
    tables,
    inverses,
    allowed,
    minima,
    rows,
    stride,
    number,
    tiles,
    subspaces: tl.constexpr,
    codewords: tl.constexpr,
    scaled: tl.constexpr,
    filtered: tl.constexpr,
    size: tl.constexpr,
    groups: tl.constexpr,
    together: tl.constexpr,
):
    """Sums of table values of a tile of queries for a block of rows, of which the least of each group is kept."""
    block = (tl.program_id(0) // tiles).to(tl.int64)
    query = (tl.program_id(0) % tiles).to(tl.int64) * together + tl.arange(0, together)
    row = block * (size * groups) + tl.arange(0, size * groups)
    asked, inside = query < number, row < rows
    place, table = indices + row, tables + query * (subspaces * codewords)
    total = tl.zeros([together, size * groups], tl.float32)
    for _ in range(subspaces):
        codeword = tl.load(place).to(tl.int32)
        total += tl.load(table[:, None] + codeword[None, :], mask=asked[:, None] & inside[None, :], other=0.0)
        place += stride
        table += codewords
    if scaled:
        total = total * tl.load(inverses + row, mask=inside, other=0.0)[None, :] + 1.0
    if filtered:
        inside = inside & _is_allowed(allowed, row, inside)
    total = tl.where(inside[None, :], total, float("inf"))
    least = tl.min(tl.reshape(total, [together, groups, size]), axis=2)
    group, count = block * groups + tl.arange(0, groups), tl.cdiv(rows, size)
    cell = query[:, None] * count + group[None, :]
    tl.store(minima + cell, least, mask=asked[:, None] & (group < count)[None, :])


@triton.jit(do_not_specialize=["rows", "number"])
def _hamming_counts(
    words,
    queries,
    labels,
    query_labels,
    counts,
    rows,
    stride,
    number,
    words_a_code: tl.constexpr,
    words_a_label: tl.constexpr,
    shared: tl.constexpr,
    half: tl.constexpr,
    block: tl.constexpr,
    blocks: tl.constexpr,
):
    """Rows of some blocks counted for one query; what is beyond the last row counts as irrelevant at distance 0."""
    query = tl.program_id(0) % number
    first = (tl.program_id(0) // number).to(tl.int64) * (block * blocks)
    total = tl.zeros([2 * half], tl.int32)
    for turn in range(tl.minimum(blocks, tl.cdiv(rows - first, block))):
        row = first + turn * block + tl.arange(0, block)
        inside = row < rows
        distance, differing = tl.zeros([block], tl.int32), tl.zeros([block], tl.int32)
        item_place, query_place = words + row, queries + query
        for _ in range(words_a_code):
            distance += _ones(tl.load(item_place) ^ tl.load(query_place))
            item_place += stride
            query_place += number
        item_place, query_place = labels + row, query_labels + query
        for _ in range(words_a_label):
            label, wanted = tl.load(item_place), tl.load(query_place)
            differing |= (label & wanted) if shared else (label ^ wanted)
            item_place += stride
            query_place += number
        relevant = (differing != 0) if shared else (differing == 0)
        cell = tl.where(inside, distance + tl.where(relevant, half, 0), 0)
        total += tl.histogram(cell, 2 * half)
    cells = tl.arange(0, 2 * half)
    tl.atomic_add(counts + query * (2 * half) + cells, total)
