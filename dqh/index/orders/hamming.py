"""The ranking by Hamming distance: histograms of all distances, which need no sort.

Q queries, N database items, B bits, L queries of a chunk.
"""

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.index.orders.order import Order, require_sides
from dqh.native.device.histogram_tensors import MOST_BITS, histogram_tensors
from dqh.native.device.selection import triton_kernels
from dqh.native.extension import extension
from dqh.native.hamming_histograms import hamming_histograms
from dqh.ranking.buckets import QUERIES, Buckets, Pools, in_numpy
from dqh.ranking.keys import ALL, key_buckets
from dqh.ranking.parallel import in_order
from dqh.ranking.relevance import label_tensor, relevance
from dqh.ranking.side import Labels, Side

_PAIRS = {"cpu": 2**18, "cuda": 2**25}
"""(query, item) pairs that are held at a time on a kind of device; on a CPU they stay in its cache."""

_HISTOGRAM_CHUNK, _KEY_CHUNK = 2**11, 2**14
"""Items that are compared at a time."""

_KEPT_CELLS = 2**25
"""Cells of the histograms of all queries that are kept, 512 MiB; of more those of some queries are made at a time."""

_CELLS = 2**21
_EXACT_FLOAT32 = 2**24


class HammingOrder(Order):
    """By the number of bits in which codes differ.

    Codes and labels of both sides are read; errors as of `require_sides`.
    """

    def __init__(self, query: Side, database: Side, *, bits: int, device: torch.device | str = "cpu") -> None:
        super().__init__(query, database, device=device)
        self.bits = bits
        self._held: tuple[slice, Buckets] | None = None
        require_sides(query.codes, database.codes, bits=bits, **self.labels)

    def histograms(self, rows: slice = ALL) -> Buckets:
        """Buckets of (L, B + 1), one for each number of bits; those of the rows that were asked for last are kept."""
        if self._held is None or self._held[0] != rows:
            self._held = rows, self._histograms(rows)
        return self._held[1]

    def together(self, *, stable: bool = False) -> int:
        """Of histograms that are kept, or made a part at a time, more than are sorted."""
        if stable:
            return super().together(stable=True)
        return QUERIES if self._kept else self._step

    def buckets(self, *, stable: bool = False, rows: slice = ALL) -> Iterator[Buckets]:
        """Histograms, which need no sort, unless they must be `stable`."""
        if stable:
            return key_buckets(self.keys, stable=True, device=self.device, rows=rows, **self.labels)
        if self._kept:
            return self.histograms(rows).chunks()
        first, last, _ = rows.indices(len(self.query.codes))
        starts = range(first, last, self._step)
        return (self._histograms(slice(start, min(start + self._step, last))) for start in starts)

    def keys(self, rows: slice) -> Tensor:
        """Hamming distances of some queries, (L, N) int32."""
        query, database = self._signs
        queries = query[rows].float()
        distances = torch.empty(len(queries), len(database), dtype=torch.int32, device=queries.device)
        half = torch.full((1, 1), queries.shape[1] / 2, device=queries.device)
        for start in range(0, len(database), _KEY_CHUNK):
            chunk = slice(start, start + _KEY_CHUNK)
            distances[:, chunk] = torch.addmm(half, queries, database[chunk].float().T, alpha=-0.5)
        return distances

    def pools(self, *, pool: int | None = None, radius: int | None = None, rows: slice = ALL) -> Pools:
        """The smallest whole Hamming ball with at least `pool` items, or the ball of a radius, bits."""
        return hamming_pools(self.histograms(rows), pool=pool, radius=radius)

    def others(self) -> Iterator[Buckets]:
        """Histograms without the query itself, which lies at distance 0."""
        labels = torch.from_numpy(self.database.labels)
        answered = labels.any(1) if labels.ndim == 2 else torch.ones_like(labels)
        histograms = self.histograms()
        counts, relevant = histograms.counts.clone(), histograms.relevant.clone()
        counts[:, 0] -= 1
        relevant[:, 0] -= answered.long().to(relevant.device)
        yield Buckets(counts, relevant)

    @property
    def _kept(self) -> bool:
        return len(self.query.codes) * (self.bits + 1) <= _KEPT_CELLS

    @property
    def _step(self) -> int:
        return max(1, _CELLS // (self.bits + 1))

    def _histograms(self, rows: slice) -> Buckets:
        return hamming_buckets(
            self.query.codes[rows],
            self.database.codes,
            query_labels=self.query.labels[rows],
            database_labels=self.database.labels,
            bits=self.bits,
            device=self.device,
        )

    @cached_property
    def _signs(self) -> tuple[Tensor, Tensor]:
        query, database = (signs(side.codes, self.bits, device=self.device) for side in (self.query, self.database))
        return query, database


def hamming_buckets(
    query: NDArray[np.uint8],
    database: NDArray[np.uint8],
    *,
    query_labels: Labels,
    database_labels: Labels,
    bits: int,
    device: torch.device | str = "cpu",
) -> Buckets:
    """Histograms of the Hamming distances, bucket t holding the items that differ in t bits.

    No sort. On a CPU the kernel of `dqh._native` counts, where it is built, on CUDA that in Triton. Else a matrix
    product is counted: for ±1
    codes d(q, x) = (B − q·x) / 2, and with (B + 1) added to the distances of relevant items and an offset to each query
    one count of cells gives both histograms of many queries. All values are whole numbers far below 2²⁴, hence exact in
    float32, also under reduced matmul precision. On a GPU nothing comes back to the host before the end.

    Packed codes (Q, ⌈B / 8⌉) and (N, ⌈B / 8⌉) uint8 with their labels give buckets of (Q, B + 1) on the device; errors
    as of `require_sides`.
    """
    require_sides(query, database, query_labels=query_labels, database_labels=database_labels, bits=bits)
    kernels = extension() if torch.device(device).type == "cpu" else None
    if kernels is not None:
        counted = hamming_histograms(
            query, database, query_labels=query_labels, database_labels=database_labels, bits=bits, kernels=kernels
        )
        irrelevant, relevant = torch.from_numpy(counted)
        return Buckets(irrelevant + relevant, relevant)
    triton = triton_kernels() if torch.device(device).type == "cuda" and bits <= MOST_BITS else None
    if triton is not None:
        labels_of = {"query_labels": query_labels, "database_labels": database_labels}
        irrelevant, relevant = histogram_tensors(query, database, **labels_of, bits=bits, device=device, kernels=triton)
        return Buckets(irrelevant + relevant, relevant)
    queries, items = signs(query, bits, device=device), signs(database, bits, device=device)
    labels, item_labels = label_tensor(query_labels, device), label_tensor(database_labels, device)

    def histograms(rows: slice) -> Tensor:
        return _histograms(queries[rows].float(), items, labels=labels[rows], item_labels=item_labels)

    step = max(1, min(_PAIRS[items.device.type] // _HISTOGRAM_CHUNK, _EXACT_FLOAT32 // (2 * bits + 2) - 1))
    chunks = [slice(start, start + step) for start in range(0, len(queries), step)]
    histogram = torch.cat(list(in_order(histograms, chunks, device=device)))
    relevant = histogram[:, bits + 1 :].contiguous()
    return Buckets(histogram[:, : bits + 1] + relevant, relevant)


def hamming_pools(buckets: Buckets, *, pool: int | None = None, radius: int | None = None) -> Pools:
    """The smallest whole Hamming ball with at least `pool` items, or the ball of a given radius.

    Whole balls, so that the order of the database decides nothing.

    Of histograms out of `hamming_buckets`, by one of the two: items wanted, at least 1, of which a database that has
    fewer is taken whole, or bits, at least 0.

    Raises:
        ValueError: both are given or none, or one is out of range.
    """
    if (pool is None) == (radius is None):
        raise ValueError(f"give either pool or radius, got pool={pool}, radius={radius}")
    if pool is not None and pool < 1:
        raise ValueError(f"pool must be at least 1 item, got {pool}")
    if radius is not None and radius < 0:
        raise ValueError(f"radius must be at least 0 bits, got {radius}")
    through = buckets.counts_through
    if pool is not None:
        wanted = through[:, -1:].clamp(max=min(pool, 2**62))  # that torch holds
        radii = torch.searchsorted(through, wanted).squeeze(1)
    else:
        assert radius is not None
        radii = torch.full_like(through[:, 0], min(radius, through.shape[1] - 1))
    return Pools(radii, through.gather(1, radii[:, None]).squeeze(1))


def signs(codes: NDArray[np.uint8], bits: int, *, device: torch.device | str) -> Tensor:
    """Packed codes as (N, B) int8 of −1 and +1, unpacked on the device."""
    packed = torch.from_numpy(np.require(codes, requirements=["C", "W"])).to(device)
    places = torch.arange(8, dtype=torch.uint8, device=device)
    unpacked = (packed[:, :, None] >> places).bitwise_and_(1).flatten(1)[:, :bits]
    return unpacked.to(torch.int8).mul_(2).sub_(1)


def _histograms(queries: Tensor, items: Tensor, *, labels: Tensor, item_labels: Tensor) -> Tensor:
    """(L, 2 (B + 1)) int64 of (L, B) and (N, B) signs: irrelevant items by distance, then relevant ones."""
    bits = queries.shape[1]
    width, device = 2 * (bits + 1), queries.device
    offsets = torch.arange(len(queries), device=device, dtype=torch.float32)[:, None] * width + bits / 2
    chunk = min(len(items), max(_HISTOGRAM_CHUNK, _PAIRS[device.type] // len(queries)))
    numpy = in_numpy(queries)
    result = torch.zeros(len(queries) * width, dtype=torch.int64 if numpy else torch.int32, device=device)
    # Memory that is written again and again stays in the cache.
    floats = torch.empty(len(queries) * chunk, device=device)
    cells = torch.empty_like(floats, dtype=torch.int32 if numpy else torch.int64)
    one = torch.ones((), dtype=result.dtype, device=device)
    for start in range(0, len(items), chunk):
        part = items[start : start + chunk].float()
        size = len(queries) * len(part)
        distances = floats[:size].view(len(queries), len(part))
        torch.addmm(offsets, queries, part.T, alpha=-0.5, out=distances)
        distances.add_(relevance(labels, item_labels[start : start + len(part)]), alpha=bits + 1)
        index = cells[:size].copy_(distances.view(-1))
        if numpy:
            result += torch.bincount(index, minlength=len(result))
        else:  # a bincount waits for a GPU twice a call
            result.scatter_add_(0, index, one.expand(size))
    return result.view(len(queries), width).long()
