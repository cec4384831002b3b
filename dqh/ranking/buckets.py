"""The form that every metric reads: how many items, and how many relevant ones, lie at each distance of a query.

Here: `Buckets`, the candidate pools of a coarse search, and the grouping of sorted keys. Where the keys come from is
in `keys` and `dqh.index.orders`, the metrics are in `dqh.evaluation.metrics`.

Q queries, N database items, T buckets, L queries of a chunk.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

QUERIES = 4096
"""Queries whose buckets are looked at together, of those that are all there."""


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
        for start in range(0, len(self), QUERIES):
            yield self.rows(start, start + QUERIES)

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

    Of (Q, T) buckets, (Q, 2T).
    """
    others = buckets.counts - buckets.relevant
    nothing = torch.zeros_like(others)
    if rule == "best":
        halves, relevant = (buckets.relevant, others), (buckets.relevant, nothing)
    else:
        halves, relevant = (others, buckets.relevant), (nothing, buckets.relevant)
    return Buckets(torch.stack(halves, dim=2).flatten(1), torch.stack(relevant, dim=2).flatten(1))


def in_numpy(values: Tensor) -> bool:
    """Whether NumPy's sort, search and count, several times faster on a CPU than PyTorch's, work on these values."""
    return values.device.type == "cpu"


def _sorted(packed: Tensor) -> Tensor:
    """Each row in ascending order; the argument is lost."""
    if not in_numpy(packed):
        return packed.sort(dim=1).values
    packed.numpy().sort(axis=1)  # 12 × faster than torch.sort, which sorts ids along
    return packed


def _in_order(keys: Tensor, relevant: Tensor) -> Tensor:
    """(L, N) int64: relevance in the lowest bit, the rank by key and column above it."""
    size = keys.shape[1]
    columns = torch.arange(size, device=keys.device)
    if in_numpy(keys):
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
    if in_numpy(mask):
        return torch.from_numpy(np.flatnonzero(mask.numpy()))  # 5 × faster than torch's
    return mask.view(-1).nonzero().squeeze(1)
