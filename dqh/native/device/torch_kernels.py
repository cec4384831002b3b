"""The kernels of `selection.Kernels` in operations of torch, on any device.

Each operation passes over all distances of a chunk, some 15 of them for 32 bits of a code.

N rows, W words of 32 bits a code, L queries, M subspaces, K codewords each.
"""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, pad

from dqh.native.device.selection import CELLS, MISSING, is_allowed

_GATHERED = 2**12
"""Items up to which one call for all subspaces is quicker than one a subspace."""


def hamming_minima(words: Tensor, queries: Tensor, allowed: Tensor | None, size: int) -> Tensor:
    """See `Kernels.hamming_minima`."""
    parts = []
    for rows in _chunks(words.shape[1], queries.shape[1], size, words.device):
        distances = differing_bits(words[:, None, rows], queries[:, :, None])
        parts.append(_least(distances, allowed, rows, size, count=words.shape[1], missing=MISSING))
    return torch.cat(parts, dim=1)


def table_minima(indices: Tensor, tables: Tensor, inverses: Tensor | None, allowed: Tensor | None, size: int) -> Tensor:
    """See `Kernels.table_minima`."""
    parts = []
    for rows in _chunks(indices.shape[1], len(tables), size, indices.device):
        sums = table_sums(tables, indices[:, rows].T, inverses=None if inverses is None else inverses[rows])
        parts.append(_least(sums, allowed, rows, size, count=indices.shape[1], missing=torch.inf))
    return torch.cat(parts, dim=1)


def differing_bits(words: Iterable[Tensor], others: Tensor) -> Tensor:
    """In how many bits W words (…) and others (W, …) int32 differ, in all, int32 of the shape they have together.

    The bits of a word are counted in pairs, then in fours and in bytes, which a product adds up.
    """
    total = torch.zeros((), dtype=torch.int32, device=others.device)
    for word, other in zip(words, others, strict=True):
        pairs = word ^ other
        pairs = pairs - ((pairs >> 1) & 0x55555555)
        fours = (pairs & 0x33333333) + ((pairs >> 2) & 0x33333333)
        octets = (fours + (fours >> 4)) & 0x0F0F0F0F
        total = total + ((octets * 0x01010101) >> 24)
    return total


def table_sums(tables: Tensor, indices: Tensor, *, inverses: Tensor | None = None) -> Tensor:
    """Σ_m tables[q, m, indices[x, m]], float32 from the first subspace to the last; with `inverses` 1 + sum · inverse.

    Args:
        tables: (L, M, K) float32.
        indices: (n, M) codewords, any integer type, on the device of `tables`; quickest where the items are innermost.
        inverses: (n,) float32.

    Returns:
        (L, n) float32, a view of memory in which the queries are innermost.
    """
    queries, subspaces, codewords = tables.shape
    if queries == 1:  # a bag of one-value rows costs three times as much
        sums = tables.new_zeros(len(indices))
        if len(indices) <= _GATHERED:
            for column in tables[0].gather(1, indices.T.long()):
                sums += column
        else:
            for table, column in zip(tables[0], indices.T, strict=True):
                sums += table.index_select(0, column.int())
        sums = sums[:, None]
    else:
        first = codewords * torch.arange(subspaces, dtype=torch.int32, device=indices.device)
        bags = indices.to(torch.int32, memory_format=torch.contiguous_format) + first
        rows = tables.permute(1, 2, 0).reshape(subspaces * codewords, queries)
        sums = embedding_bag(bags, rows, mode="sum")
    if inverses is not None:
        sums.mul_(inverses[:, None]).add_(1)
    return sums.T


def _chunks(rows: int, queries: int, size: int, device: torch.device) -> list[slice]:
    """Rows that are compared at a time, of whole groups."""
    step = max(1, CELLS[device.type] // (max(1, queries) * size)) * size
    return [slice(start, min(start + step, rows)) for start in range(0, max(1, rows), step)]


def _least(values: Tensor, allowed: Tensor | None, rows: slice, size: int, *, count: int, missing: float) -> Tensor:
    """(L, ⌈n / G⌉), the smallest of each group of values (L, n); `missing` where none is allowed."""
    if allowed is not None:
        numbers = torch.arange(rows.start, rows.stop, device=values.device)
        values = torch.where(is_allowed(allowed, numbers, count), values, missing)
    filled = pad(values, (0, -values.shape[1] % size), value=missing)
    return filled.reshape(len(values), -1, size).amin(2)
