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

from dqh.codes import require_codes
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

    @cached_property
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
    those of relevant items and an offset to each query one count of cells gives both histograms of many queries. All
    values are whole numbers far below 2²⁴, hence exact in float32, also under reduced matmul precision. On a GPU
    nothing comes back to the host before the end.

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
        wanted = through[:, -1:].clamp(max=min(pool, 2**62))  # that torch holds
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
        return _buckets(_in_order(keys, relevant))
    packed = ((keys - 2**30 if keys.dtype == torch.int32 else keys) << 1) + relevant
    return _buckets(_sorted(packed))


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
    """Packed codes as (N, B) int8 of −1 and +1, unpacked on the device."""
    packed = torch.from_numpy(np.require(codes, requirements=["C", "W"])).to(device)
    places = torch.arange(8, dtype=torch.uint8, device=device)
    each = (packed[:, :, None] >> places).bitwise_and_(1).flatten(1)[:, :bits]
    return each.to(torch.int8).mul_(2).sub_(1)


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
    chunk = min(len(items), max(_DATABASE_CHUNK, _PAIRS[device.type] // len(queries)))
    numpy = _in_numpy(queries)
    result = torch.zeros(len(queries) * width, dtype=torch.int64 if numpy else torch.int32, device=device)
    # Memory that is written again and again stays in the cache.
    floats = torch.empty(len(queries) * chunk, device=device)
    cells = torch.empty_like(floats, dtype=torch.int32 if numpy else torch.int64)
    one = torch.ones((), dtype=result.dtype, device=device)
    for start in range(0, len(items), chunk):
        some = items[start : start + chunk].float()
        size = len(queries) * len(some)
        found = floats[:size].view(len(queries), len(some))
        torch.addmm(offsets, queries, some.T, alpha=-0.5, out=found)
        found.add_(relevance(labels, item_labels[start : start + len(some)]), alpha=bits + 1)
        index = cells[:size].copy_(found.view(-1))
        if numpy:
            result += torch.bincount(index, minlength=len(result))
        else:  # a bincount waits for a GPU twice a call
            result.scatter_add_(0, index, one.expand(size))
    return result.view(len(queries), width).long()


def _in_numpy(values: Tensor) -> bool:
    """Whether NumPy's sort, search and count, several times faster on a CPU than PyTorch's, work on these values."""
    return values.device.type == "cpu"


def _sorted(packed: Tensor) -> Tensor:
    """Each row in ascending order; the argument is lost."""
    if not _in_numpy(packed):
        return packed.sort(dim=1).values
    packed.numpy().sort(axis=1)  # 12 × faster than torch.sort, which sorts ids along
    return packed


def _in_order(keys: Tensor, relevant: Tensor) -> Tensor:
    """(L, N) int64: relevance in the lowest bit, the rank by key and column above it."""
    size = keys.shape[1]
    columns = torch.arange(size, device=keys.device)
    if _in_numpy(keys):
        low, high = int(keys.min()), int(keys.max())
        if (high - low + 1) * size < 2**62:  # key, column and relevance fit into one number
            return _sorted(((keys.long() - low) * size + columns << 1) + relevant)
    hits = relevant.gather(1, torch.sort(keys, dim=1, stable=True).indices)
    return (columns << 1) + hits


def _buckets(packed: Tensor) -> Buckets:
    """Buckets of rows of sorted values: the key, and relevance in the lowest bit.

    A bucket ends where relevance changes. Only a key with items of both kinds is looked at more closely: it is a bucket
    of its own.
    """
    queries, size = packed.shape
    hits = packed.to(torch.uint8).bitwise_and_(1)
    last = torch.ones_like(hits, dtype=torch.bool)
    torch.ne(hits[:, 1:], hits[:, :-1], out=last[:, :-1])
    ends = _places(last)
    rows = torch.arange(1, queries + 1, device=ends.device) * size - 1
    values = packed.view(-1)
    ahead = values.index_select(0, (ends + 1).clamp_(max=len(values) - 1))
    within = (values.index_select(0, ends) ^ ahead) == 1  # between the kinds of one key
    within[torch.searchsorted(ends, rows)] = False
    split = ends[within]
    mixed = split
    if len(split):
        keys = packed >> 1
        edges = torch.ones_like(last)
        torch.ne(keys[:, 1:], keys[:, :-1], out=edges[:, :-1])
        key_ends = _places(edges)
        place = torch.searchsorted(key_ends, split)
        mixed = key_ends[place]
        last.view(-1)[split] = False
        last.view(-1)[mixed] = True
        last.view(-1)[key_ends[place[place > 0] - 1]] = True
        ends = _places(last)
    counts = torch.diff(ends, prepend=ends.new_full((1,), -1))
    relevant = counts * hits.view(-1).index_select(0, ends)
    relevant[torch.searchsorted(ends, mixed)] = mixed - split
    groups = torch.diff(torch.searchsorted(ends, rows), prepend=rows.new_full((1,), -1))
    shape = (queries, int(groups.max()))
    unused = torch.cumsum(shape[1] - groups, 0) - (shape[1] - groups)  # cells of the rows before
    cells = torch.arange(len(ends), device=ends.device) + unused.repeat_interleave(groups, output_size=len(ends))
    result = Buckets(*(torch.zeros(shape, dtype=torch.int64, device=ends.device) for _ in range(2)))
    result.counts.view(-1).scatter_(0, cells, counts)
    result.relevant.view(-1).scatter_(0, cells, relevant)
    return result


def _places(mask: Tensor) -> Tensor:
    """Where a mask is set, as places in its flat form."""
    if _in_numpy(mask):
        return torch.from_numpy(np.flatnonzero(mask.numpy()))  # 5 × faster than torch's
    return mask.view(-1).nonzero().squeeze(1)
