"""Rankings by keys: whole numbers that order the database of a query as its distances do.

Here: their buckets, the pools of a coarse search, and the keys of float distances. What the keys of codes and vectors
are is in `dqh.index.orders`.

Q queries, N database items, L queries of a chunk.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from dqh.ranking.buckets import Buckets, Pools, group
from dqh.ranking.parallel import in_order
from dqh.ranking.relevance import label_tensor, relevance
from dqh.ranking.side import Labels

ALL = slice(None)
"""Rows of all queries."""

Keys = Callable[[slice], Tensor]
"""Of some queries (L, N): int32 that is not negative, or int64 between −2³¹ and 2³¹; smaller is nearer."""

_PAIRS = {"cpu": 2**19, "cuda": 2**25}
"""(query, item) pairs that are sorted at a time on a kind of device."""

_OTHERS = 2**22
"""The same of items that query each other."""


def key_buckets(
    keys: Keys,
    *,
    query_labels: Labels,
    database_labels: Labels,
    stable: bool = False,
    device: torch.device | str = "cpu",
    rows: slice = ALL,
) -> Iterator[Buckets]:
    """Buckets of items that have equal keys, a chunk of queries at a time.

    In the order of the queries; `stable` breaks ties by database row, `rows` are some of the queries.
    """
    labels, items = label_tensor(query_labels, device), label_tensor(database_labels, device)

    def grouped(chunk: slice) -> Buckets:
        return group(keys(chunk), relevance(labels[chunk], items), stable=stable)

    yield from in_order(grouped, chunks(len(labels), len(items), device, rows=rows), device=device)


def other_buckets(keys: Keys, *, labels: Labels, device: torch.device | str = "cpu") -> Iterator[Buckets]:
    """Buckets of items that query each other, a chunk of queries at a time; none is in its own answer.

    Of keys (L, N), where item i is query i, N at least two, buckets of N − 1 items, in the order of the queries.
    """
    count, kinds = len(labels), label_tensor(labels, device)
    places = torch.arange(count, device=device)
    for start in range(0, count, size := max(1, _OTHERS // count)):
        rows = slice(start, start + size)
        others = places[:-1] + (places[:-1] >= places[rows, None])  # no mask, whose places a device would be asked for
        yield group(keys(rows).gather(1, others), relevance(kinds[rows], kinds).gather(1, others))


def key_pools(
    keys: Keys, *, queries: int, items: int, pool: int, device: torch.device | str = "cpu", rows: slice = ALL
) -> Pools:
    """The smallest whole ball with at least `pool` items about each query, or each of some `rows`.

    Whole balls, so that the order of the database decides nothing.

    Each radius is a key; a database of fewer than `pool` items, which are at least 1, is taken whole.

    Raises:
        ValueError: the pool is below 1.
    """
    if pool < 1:
        raise ValueError(f"pool must be at least 1 item, got {pool}")

    def ball(chunk: slice) -> Pools:
        block = keys(chunk)
        radii = block.kthvalue(min(pool, items), dim=1).values
        return Pools(radii, (block <= radii[:, None]).sum(1))

    balls = in_order(ball, chunks(queries, items, device, rows=rows), device=device)
    return Pools(*map(torch.cat, zip(*balls, strict=True)))


def float_keys(distances: Tensor, *, signed: bool) -> Tensor:
    """Keys of float32 distances: their bits, which order as the numbers do, those of negative ones turned round.

    Of (L, N) float32 without NaN, int64 where `signed`, −0 as 0; else int32, and none may be negative or −0.
    """
    bits = distances.view(torch.int32)
    return torch.where(bits < 0, -(bits & 0x7FFFFFFF), bits).long() if signed else bits


def chunk_size(items: int, device: torch.device | str) -> int:
    """Queries whose keys to N `items` are sorted at a time."""
    return max(1, _PAIRS[torch.device(device).type] // items)


def chunks(queries: int, items: int, device: torch.device | str, *, rows: slice = ALL) -> Iterator[slice]:
    """The rows of Q queries, or some of these `rows`, a chunk at a time."""
    size = chunk_size(items, device)
    first, last, _ = rows.indices(queries)
    return (slice(start, min(start + size, last)) for start in range(first, last, size))
