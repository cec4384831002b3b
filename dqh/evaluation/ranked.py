"""Buckets of rankings that need a sort: by float vectors, by any keys of codes, and coarse-to-fine.

A ranking is made of keys: whole numbers that order the database of a query as its distances do. What the keys of codes
are is in `orders`, metrics are in `metrics`.

Q queries, N database items, L queries of a chunk, F dimensions of a vector.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from dqh.evaluation.buckets import Buckets, Pools, group
from dqh.evaluation.parallel import in_order
from dqh.evaluation.relevance import Labels, label_tensor, relevance
from dqh.index.aqd import Distance
from dqh.index.coarse_to_fine import Features

Keys = Callable[[slice], Tensor]
"""Of some queries (L, N): int32 that is not negative, or int64 between −2³¹ and 2³¹; smaller is nearer."""

_PAIRS = {"cpu": 2**19, "cuda": 2**25}
"""(query, item) pairs that are sorted at a time on a kind of device."""

_BLOCK_CHUNKS = {"cpu": 20, "cuda": 8}
"""Chunks of queries whose distances one pass over the database makes."""

_READ_VALUES = {"cpu": 2**20, "cuda": 2**26}
"""Values of the database, and distances to it, in float64 at a time: 8 MiB and 512 MiB."""

_DEVICE_BYTES = 8 * 2**30
"""Vectors of one side that stay on a GPU; of larger ones a part at a time goes there."""

_INFINITY_BITS = 0x7F800000
_RELATIVE_ZERO = 1e-12

Chunk = TypeVar("Chunk")


class Ranked(NamedTuple):
    """Buckets of some queries.

    Attributes:
        exhaustive: ranked by squared L2 between features.
        coarse_to_fine: ranked by squared L2 within the pool, then the others in the order of the coarse search.
    """

    exhaustive: Buckets
    coarse_to_fine: Buckets


class Coarse(NamedTuple):
    """What a coarse search goes by.

    Attributes:
        keys: of its ranking; int32 ones must be below 2²³.
        pools: the ball of each query that the fine search re-ranks, its radius as a key.
    """

    keys: Keys
    pools: Pools


def feature_buckets(
    query: Features,
    database: Features,
    *,
    query_labels: Labels,
    database_labels: Labels,
    coarse: Coarse,
    stable: bool = False,
    device: torch.device | str = "cpu",
) -> Iterator[Ranked]:
    """Buckets by squared L2 between features, a chunk of queries at a time.

    Distances come from float64 matrix products and are rounded to float32, so that equal vectors have equal distances
    wherever they stand in the database; equal distances form one bucket. Nothing of size Q × N is held.

    Args:
        query: (Q, F) float32 or float16, array or memory map.
        database: (N, F) float32 or float16, array or memory map.
        query_labels: (Q,) int64 or (Q, C) bool.
        database_labels: (N,) int64 or (N, C) bool.
        coarse: ranking and pools of the coarse search.
        stable: break ties by database row.
        device: where to compute.

    Yields:
        Ranked, in the order of the queries.

    Raises:
        ValueError: a feature is NaN or infinite.
    """
    radii = coarse.pools.radii.to(device)

    def ranked(keys: Tensor, rows: slice, relevant: Tensor) -> Ranked:
        codes = coarse.keys(rows)
        behind = codes + (_INFINITY_BITS + 1 if codes.dtype == torch.int32 else 2**33)
        pooled = torch.where(codes <= radii[rows, None], keys, behind)
        return Ranked(group(keys, relevant, stable=stable), group(pooled, relevant, stable=stable))

    yield from _by_distance(
        query, database, query_labels=query_labels, database_labels=database_labels, rank=ranked, device=device
    )


def exhaustive_buckets(
    query: Features,
    database: Features,
    *,
    query_labels: Labels,
    database_labels: Labels,
    distance: Distance = "l2",
    stable: bool = False,
    device: torch.device | str = "cpu",
) -> Iterator[Buckets]:
    """Buckets by a distance between vectors alone; other arguments, order and errors as for `feature_buckets`."""

    def ranked(keys: Tensor, rows: slice, relevant: Tensor) -> Buckets:
        return group(keys, relevant, stable=stable)

    yield from _by_distance(
        query,
        database,
        query_labels=query_labels,
        database_labels=database_labels,
        rank=ranked,
        distance=distance,
        device=device,
    )


def key_buckets(
    keys: Keys,
    *,
    query_labels: Labels,
    database_labels: Labels,
    stable: bool = False,
    device: torch.device | str = "cpu",
) -> Iterator[Buckets]:
    """Buckets of items that have equal keys, a chunk of queries at a time.

    Args:
        keys: of the ranking, on the device.
        query_labels: (Q,) int64 or (Q, C) bool.
        database_labels: (N,) int64 or (N, C) bool.
        stable: break ties by database row.
        device: where to compute.

    Yields:
        Buckets, in the order of the queries.
    """
    labels, items = label_tensor(query_labels, device), label_tensor(database_labels, device)

    def grouped(rows: slice) -> Buckets:
        return group(keys(rows), relevance(labels[rows], items), stable=stable)

    yield from in_order(grouped, _chunks(len(labels), len(items), device), device=device)


def key_pools(keys: Keys, *, queries: int, items: int, pool: int, device: torch.device | str = "cpu") -> Pools:
    """The smallest whole ball with at least `pool` items about each query.

    Whole balls, so that the order of the database decides nothing.

    Args:
        keys: of the coarse ranking, on the device.
        queries: Q.
        items: N.
        pool: items wanted, at least 1; a database that has fewer is taken whole.
        device: where to compute.

    Returns:
        Pools, each radius a key.

    Raises:
        ValueError: the pool is below 1.
    """
    if pool < 1:
        raise ValueError(f"pool must be at least 1 item, got {pool}")

    def ball(rows: slice) -> Pools:
        found = keys(rows)
        radii = found.kthvalue(min(pool, items), dim=1).values
        return Pools(radii, (found <= radii[:, None]).sum(1))

    balls = in_order(ball, _chunks(queries, items, device), device=device)
    return Pools(*map(torch.cat, zip(*balls, strict=True)))


def float_keys(distances: Tensor, *, signed: bool) -> Tensor:
    """Keys of float32 distances: their bits, which order as the numbers do, those of negative ones turned round.

    Args:
        distances: (L, N) float32 without NaN.
        signed: whether they may be negative; −0 is then 0. Otherwise none may be, and none −0.

    Returns:
        (L, N): int64 where `signed`, else int32.
    """
    bits = distances.view(torch.int32)
    return torch.where(bits < 0, -(bits & 0x7FFFFFFF), bits).long() if signed else bits


def vector_distances(
    query: Features, database: Features, *, distance: Distance = "l2", device: torch.device | str
) -> Tensor:
    """Distances between vectors from float64 products, rounded to float32.

    l2: ‖q − x‖² = ‖q‖² + ‖x‖² − 2 q·x. ip: −q·x. cosine: 1 − q·x / (‖q‖ ‖x‖), and 1 where a vector is zero. What is
    below 1e-12 of ‖q‖² + ‖x‖², of ‖q‖ ‖x‖ or of 1 is rounding, and is 0.

    Args:
        query: (Q, F), a chunk.
        database: (N, F), read a chunk at a time.
        distance: which.
        device: where to compute.

    Returns:
        (Q, N) float32 on the device; not negative, unless it is `ip`.

    Raises:
        ValueError: a vector holds NaN or infinity.
    """
    return _distances(_Vectors(query, "query", device), _Vectors(database, "database", device), distance=distance)


class _Vectors:
    """Vectors (N, F) that are read in float64, some rows at a time.

    On a GPU they are kept there as far as they fit. Squared norms are made once, and tell of values that are not
    finite: squares of float32 never overflow in float64.

    Attributes:
        norms: (N,) float64, squared, on the device.
    """

    def __init__(self, values: Features, name: str, device: torch.device | str) -> None:
        self.values, self.device = values, torch.device(device)
        self.step = max(1, _READ_VALUES[self.device.type] // max(1, int(values.shape[1])))
        self._kept: Tensor | None = None
        if self.device.type != "cpu" and values.size * values.dtype.itemsize <= _DEVICE_BYTES:
            kept = np.require(values, None if values.dtype == np.float16 else np.float32, ["C", "W"])
            self._kept = torch.from_numpy(kept).to(self.device)
        starts = range(0, max(1, len(values)), self.step)
        self.norms = torch.cat([self[start : start + self.step].square_().sum(1) for start in starts])
        if not bool(self.norms.isfinite().all()):
            row = int((~self.norms.isfinite()).nonzero()[0])
            raise ValueError(f"{name} features must be finite, got NaN or infinity in row {row}")

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice) -> Tensor:
        """A copy of some rows, float64 on the device."""
        if self._kept is not None:
            return self._kept[rows].double()
        values = torch.from_numpy(np.require(self.values[rows], np.float32, ["C", "W"]))
        return values.to(self.device).to(torch.float64, copy=True)


def _distances(queries: _Vectors, items: _Vectors, *, rows: slice = slice(None), distance: Distance) -> Tensor:
    """`vector_distances` of some queries."""
    query, norms = queries[rows], queries.norms[rows, None]
    result = torch.empty(len(query), len(items), dtype=torch.float32, device=query.device)
    step = max(1, min(items.step, _READ_VALUES[query.device.type] // max(1, len(query))))
    for start in range(0, len(items), step):
        some = slice(start, start + step)
        item_norms = items.norms[some]
        if distance == "l2":
            scale = norms + item_norms
            found = torch.addmm(scale, query, items[some].T, alpha=-2)
            found.masked_fill_(found < scale.mul_(_RELATIVE_ZERO), 0)
        else:
            scale = norms.sqrt() * item_norms.sqrt()
            found = (query @ items[some].T).neg_()
            found.masked_fill_(found.abs() < _RELATIVE_ZERO * scale, 0)
            if distance == "cosine":
                found = found.div_(scale.masked_fill_(scale == 0, 1)).add_(1)
                found.masked_fill_(found < _RELATIVE_ZERO, 0)
        result[:, some] = found
    return result


def _by_distance(
    query: Features,
    database: Features,
    *,
    query_labels: Labels,
    database_labels: Labels,
    rank: Callable[[Tensor, slice, Tensor], Chunk],
    distance: Distance = "l2",
    device: torch.device | str,
) -> Iterator[Chunk]:
    """What `rank` makes of the keys, the rows and the relevance of a chunk of queries, chunk by chunk."""
    labels, items = label_tensor(query_labels, device), label_tensor(database_labels, device)
    queries, vectors = _Vectors(query, "query", device), _Vectors(database, "database", device)
    step = _step(len(database), device)
    length = step * _BLOCK_CHUNKS[torch.device(device).type]

    def block(first: int) -> list[Chunk]:
        stop = min(first + length, len(query))
        distances = _distances(queries, vectors, rows=slice(first, stop), distance=distance)
        chunks = []
        for start in range(first, stop, step):
            rows = slice(start, min(start + step, stop))
            keys = float_keys(distances[start - first : rows.stop - first], signed=distance == "ip")
            chunks.append(rank(keys, rows, relevance(labels[rows], items)))
        return chunks

    for chunks in in_order(block, range(0, len(query), length), device=device):
        yield from chunks


def _step(items: int, device: torch.device | str) -> int:
    """Queries of a chunk."""
    return max(1, _PAIRS[torch.device(device).type] // items)


def _chunks(queries: int, items: int, device: torch.device | str) -> Iterator[slice]:
    step = _step(items, device)
    return (slice(start, start + step) for start in range(0, queries, step))
