"""The form that every metric reads: how many items, and how many relevant ones, lie at each distance of a query.

Here: `Buckets`, the Hamming histograms that need no sort, the candidate pools of a coarse search, and the grouping of
sorted distances. The float distances themselves are in `ranked`, the metrics in `metrics`.

Q queries, N database items, B bits, T buckets, L items of a chunk.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.codes import require_codes, unpack
from dqh.evaluation.parallel import in_order
from dqh.evaluation.relevance import Labels, label_tensor, relevance, require_labels

_PAIRS = {"cpu": 2**18, "cuda": 2**25}
"""(query, item) pairs that are held at a time on a kind of device; on a CPU they stay in its cache."""

_DATABASE_CHUNK = 2**11
_EXACT_FLOAT32 = 2**24
_QUERIES_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class Buckets:
    """The database as each query sees it: groups of items at one distance, nearest first.

    Empty buckets are allowed anywhere. Neighbouring buckets that are wholly relevant, or wholly irrelevant, may have
    been merged: the order within them, and where one ends, changes no metric by rank.

    Args:
        counts: (Q, T) int64, items in each bucket.
        relevant: (Q, T) int64, relevant ones among them.
    """

    counts: Tensor
    relevant: Tensor

    def __post_init__(self) -> None:
        if self.counts.ndim != 2 or self.counts.shape != self.relevant.shape:
            raise ValueError(
                "counts and relevant must both have shape (Q, T), "
                f"got {tuple(self.counts.shape)} and {tuple(self.relevant.shape)}"
            )
        for name, values in (("counts", self.counts), ("relevant", self.relevant)):
            if values.dtype != torch.int64:
                raise ValueError(f"{name} must be int64, got {values.dtype}")

    def __len__(self) -> int:
        return len(self.counts)

    @cached_property
    def counts_through(self) -> Tensor:
        """(Q, T) items in this bucket and all nearer ones."""
        return self.counts.cumsum(1)

    @cached_property
    def relevant_through(self) -> Tensor:
        """(Q, T) relevant items in this bucket and all nearer ones."""
        return self.relevant.cumsum(1)

    @cached_property
    def total_relevant(self) -> Tensor:
        """(Q,) relevant items in the whole database."""
        return self.relevant.sum(1)

    @property
    def size(self) -> int:
        """N, items of the database."""
        return int(self.counts[0].sum()) if len(self) else 0

    def chunks(self) -> Iterator["Buckets"]:
        """The buckets of 4,096 queries at a time."""
        for start in range(0, len(self), _QUERIES_AT_ONCE):
            yield self.rows(start, start + _QUERIES_AT_ONCE)

    def rows(self, start: int, stop: int) -> "Buckets":
        """The buckets of queries `start` to `stop`."""
        return Buckets(self.counts[start:stop], self.relevant[start:stop])


class Pools(NamedTuple):
    """The candidates that a coarse search hands to the fine one: a whole ball for each query.

    Attributes:
        radii: (Q,) int64, bits, or a key of a distance; items at this distance are inside.
        sizes: (Q,) int64, items inside.
    """

    radii: Tensor
    sizes: Tensor


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

    No sort: for ±1 codes d(q, x) = (B − q·x) / 2, so one matrix product gives the distances, and with (B + 1) added to
    those of relevant items and an offset to each query one `bincount` gives both histograms of many queries. All
    values are whole numbers far below 2²⁴, hence exact in float32, also under reduced matmul precision.

    Args:
        query: (Q, ⌈B / 8⌉) uint8, packed codes.
        database: (N, ⌈B / 8⌉) uint8, packed codes.
        query_labels: (Q,) int64 or (Q, C) bool.
        database_labels: (N,) int64 or (N, C) bool.
        bits: B.
        device: where to compute, and where the result lies.

    Returns:
        Buckets of (Q, B + 1).

    Raises:
        ValueError: codes of another shape, labels of two kinds, or no database.
    """
    require_sides(query, database, query_labels=query_labels, database_labels=database_labels, bits=bits)
    queries, items = signs(query, bits, device=device), signs(database, bits, device=device)
    labels, item_labels = label_tensor(query_labels, device), label_tensor(database_labels, device)

    def histograms(rows: slice) -> Tensor:
        return _histograms(queries[rows].float(), items, labels=labels[rows], item_labels=item_labels)

    step = max(1, min(_PAIRS[items.device.type] // _DATABASE_CHUNK, _EXACT_FLOAT32 // (2 * bits + 2) - 1))
    chunks = [slice(start, start + step) for start in range(0, len(queries), step)]
    histogram = torch.cat(list(in_order(histograms, chunks, device=device)))
    relevant = histogram[:, bits + 1 :].contiguous()
    return Buckets(histogram[:, : bits + 1] + relevant, relevant)


def hamming_pools(buckets: Buckets, *, pool: int | None = None, radius: int | None = None) -> Pools:
    """The smallest whole Hamming ball with at least `pool` items, or the ball of a given radius.

    Whole balls, so that the order of the database decides nothing.

    Args:
        buckets: Hamming histograms out of `hamming_buckets`.
        pool: items wanted, at least 1; a database that has fewer is taken whole.
        radius: bits, at least 0. Give one of the two.

    Returns:
        Pools.

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
        wanted = through[:, -1:].clamp(max=pool)
        radii = torch.searchsorted(through, wanted).squeeze(1)
    else:
        assert radius is not None
        radii = torch.full_like(through[:, 0], min(radius, through.shape[1] - 1))
    return Pools(radii, through.gather(1, radii[:, None]).squeeze(1))


def group(keys: Tensor, relevant: Tensor, *, stable: bool = False) -> Buckets:
    """Buckets of items that have equal keys, smallest key first.

    The relevance travels in the lowest bit of the key, so that plain values are sorted and no ids.

    Args:
        keys: (L, N) int32 that is not negative, or int64 between −2⁶² and 2⁶².
        relevant: (L, N) bool.
        stable: do not group: equal keys keep the order of their columns, as a stable sort leaves them.

    Returns:
        Buckets of (L, T), T as small as the merging of neighbours allows.
    """
    if stable:
        hits = relevant.gather(1, _stable_order(keys))
        last = torch.ones_like(hits)
        torch.ne(hits[:, 1:], hits[:, :-1], out=last[:, :-1])  # a run of one kind, which merging would make anyway
    else:
        packed = ((keys - 2**30 if keys.dtype == torch.int32 else keys) << 1) + relevant
        if packed.device.type == "cpu":
            packed.numpy().sort(axis=1)  # 12 × faster than torch.sort, which sorts ids along
        else:
            packed = packed.sort(dim=1).values
        hits = (packed & 1).bool()
        packed >>= 1
        last = torch.ones_like(hits)
        torch.ne(packed[:, 1:], packed[:, :-1], out=last[:, :-1])
    return _merge(last, hits)


def split_ties(buckets: Buckets, rule: Literal["best", "worst"]) -> Buckets:
    """Each bucket cut in two, its relevant items first (`best`) or last (`worst`).

    What is left is free of ties that matter. `best` and `worst` bound every tie order in precision, recall and average
    precision; not so the average precision divided by the hits within a cutoff, which a further hit can lower.

    Args:
        buckets: (Q, T).
        rule: which half comes first.

    Returns:
        Buckets of (Q, 2T).
    """
    others = buckets.counts - buckets.relevant
    nothing = torch.zeros_like(others)
    if rule == "best":
        halves, relevant = (buckets.relevant, others), (buckets.relevant, nothing)
    else:
        halves, relevant = (others, buckets.relevant), (nothing, buckets.relevant)
    return Buckets(torch.stack(halves, dim=2).flatten(1), torch.stack(relevant, dim=2).flatten(1))


def signs(codes: NDArray[np.uint8], bits: int, *, device: torch.device | str) -> Tensor:
    """Packed codes as (N, B) int8 of −1 and +1."""
    return torch.from_numpy(unpack(codes, bits)).to(device).to(torch.int8).mul_(2).sub_(1)


def require_sides(
    query: NDArray[np.uint8],
    database: NDArray[np.uint8],
    *,
    query_labels: Labels,
    database_labels: Labels,
    bits: int,
) -> None:
    """Raise `ValueError` unless codes and labels of both sides fit together."""
    require_codes(query, bits)
    require_codes(database, bits)
    require_labels(query_labels, database_labels)
    for name, codes, labels in (
        ("query", query, query_labels),
        ("database", database, database_labels),
    ):
        if not len(codes) or len(codes) != len(labels):
            raise ValueError(
                f"{name} codes and labels must have the same number of rows, at least 1, "
                f"got {len(codes)} and {len(labels)}"
            )


def _histograms(queries: Tensor, items: Tensor, *, labels: Tensor, item_labels: Tensor) -> Tensor:
    """(L, 2 (B + 1)) int64 of (L, B) and (N, B) signs: irrelevant items by distance, then relevant ones."""
    bits = queries.shape[1]
    width, device = 2 * (bits + 1), queries.device
    offsets = torch.arange(len(queries), device=device, dtype=torch.float32)[:, None] * width + bits / 2
    result = torch.zeros(len(queries) * width, dtype=torch.int64, device=device)
    # Memory that is written again and again stays in the cache.
    floats = torch.empty(len(queries) * _DATABASE_CHUNK, device=device)
    cells = torch.empty_like(floats, dtype=torch.int32)
    for start in range(0, len(items), _DATABASE_CHUNK):
        some = items[start : start + _DATABASE_CHUNK].float()
        size = len(queries) * len(some)
        found = floats[:size].view(len(queries), len(some))
        torch.addmm(offsets, queries, some.T, alpha=-0.5, out=found)
        found.add_(relevance(labels, item_labels[start : start + len(some)]), alpha=bits + 1)
        result += torch.bincount(cells[:size].copy_(found.view(-1)), minlength=len(result))
    return result.view(len(queries), width)


def _stable_order(keys: Tensor) -> Tensor:
    """(L, N) columns of each row by key, equal keys in their order."""
    # a radix sort in numpy is 12 × faster than torch's
    if keys.device.type == "cpu" and int(keys.min()) >= 0 and int(keys.max()) < 2**16:
        return torch.from_numpy(keys.numpy().astype(np.uint16).argsort(axis=1, kind="stable"))
    return torch.sort(keys, dim=1, stable=True).indices


def _merge(last: Tensor, hits: Tensor) -> Buckets:
    """Buckets of rows of items, where `last` marks the last item of each group."""
    queries, size = hits.shape
    ends = last.view(-1).nonzero().squeeze(1)
    through = hits.view(-1).cumsum(0)[ends]
    counts, relevant = _steps(ends + 1), _steps(through)
    row = torch.div(ends, size, rounding_mode="floor")
    alike = ((relevant[1:] == 0) & (relevant[:-1] == 0)) | (
        (relevant[1:] == counts[1:]) & (relevant[:-1] == counts[:-1])
    )
    keep = torch.ones_like(row, dtype=torch.bool)
    keep[:-1] = ~(alike & (row[1:] == row[:-1]))
    ends, through, row = ends[keep], through[keep], row[keep]
    groups = torch.bincount(row, minlength=queries)
    column = torch.arange(len(row), device=row.device) - (groups.cumsum(0) - groups)[row]
    shape = (queries, int(groups.max()))
    result = Buckets(*(torch.zeros(shape, dtype=torch.int64, device=row.device) for _ in range(2)))
    result.counts[row, column] = _steps(ends + 1)
    result.relevant[row, column] = _steps(through)
    return result


def _steps(through: Tensor) -> Tensor:
    return torch.diff(through, prepend=through.new_zeros(1))
