"""Buckets of rankings that need a sort: by float features, and coarse-to-fine, both from one pass over the distances.

Also Hamming rankings whose ties are broken by row, which histograms cannot give. Metrics are in `metrics`.

Q queries, N database items, B bits, F feature dimensions.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.evaluation.buckets import Buckets, Pools, group, signs
from dqh.evaluation.parallel import in_order
from dqh.evaluation.relevance import Labels, label_tensor, relevance
from dqh.index.coarse_to_fine import Features

_PAIRS = {"cpu": 2**19, "cuda": 2**25}
"""(query, item) pairs that are sorted at a time on a kind of device."""

_BLOCK_CHUNKS = 8
"""Chunks of queries whose distances one pass over the database makes."""

_DATABASE_CHUNK = 2**14
_INFINITY_BITS = 0x7F800000
_RELATIVE_ZERO = 1e-12

Chunk = TypeVar("Chunk")


class Ranked(NamedTuple):
    """Buckets of some queries.

    Attributes:
        exhaustive: ranked by squared L2 between features.
        coarse_to_fine: ranked by squared L2 within the pool, then the others by Hamming distance.
    """

    exhaustive: Buckets
    coarse_to_fine: Buckets


class Coarse(NamedTuple):
    """What a coarse search goes by.

    Attributes:
        query: (Q, ⌈B / 8⌉) uint8, packed codes.
        database: (N, ⌈B / 8⌉) uint8, packed codes.
        bits: B.
        pools: the ball of each query that the fine search re-ranks.
    """

    query: NDArray[np.uint8]
    database: NDArray[np.uint8]
    bits: int
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
        coarse: the codes and pools of the coarse search.
        stable: break ties by database row.
        device: where to compute.

    Yields:
        Ranked, in the order of the queries.

    Raises:
        ValueError: a feature is NaN or infinite.
    """
    signed = _Signed(coarse, device)

    def ranked(keys: Tensor, rows: slice, relevant: Tensor) -> Ranked:
        codes = signed.distances(rows)
        pooled = torch.where(codes <= signed.radii[rows, None], keys, codes + (_INFINITY_BITS + 1))
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
    stable: bool = False,
    device: torch.device | str = "cpu",
) -> Iterator[Buckets]:
    """Buckets by squared L2 between features alone; arguments, order and errors as for `feature_buckets`."""

    def ranked(keys: Tensor, rows: slice, relevant: Tensor) -> Buckets:
        return group(keys, relevant, stable=stable)

    yield from _by_distance(
        query, database, query_labels=query_labels, database_labels=database_labels, rank=ranked, device=device
    )


def ordered_hamming_buckets(
    coarse: Coarse, *, query_labels: Labels, database_labels: Labels, device: torch.device | str = "cpu"
) -> Iterator[Buckets]:
    """Rankings by Hamming distance whose ties keep the order of the database, a chunk of queries at a time.

    Args:
        coarse: the codes; its pools are not read.
        query_labels: (Q,) int64 or (Q, C) bool.
        database_labels: (N,) int64 or (N, C) bool.
        device: where to compute.

    Yields:
        Buckets, in the order of the queries.
    """
    step = max(1, _PAIRS[torch.device(device).type] // len(coarse.database))
    labels, items = label_tensor(query_labels, device), label_tensor(database_labels, device)
    signed = _Signed(coarse, device)

    def ordered(start: int) -> Buckets:
        rows = slice(start, start + step)
        return group(signed.distances(rows), relevance(labels[rows], items), stable=True)

    yield from in_order(ordered, range(0, len(coarse.query), step), device=device)


def squared_l2(query: Features, database: Features, *, device: torch.device | str) -> Tensor:
    """Squared L2 distances from float64 products, as (Q, N) float32 without negative zeros.

    ‖q − x‖² = ‖q‖² + ‖x‖² − 2 q·x. What is below 1e-12 of ‖q‖² + ‖x‖² is the rounding of equal vectors, and is 0.

    Args:
        query: (Q, F), a chunk.
        database: (N, F), read a chunk at a time.
        device: where to compute.

    Returns:
        (Q, N) float32 on the device.

    Raises:
        ValueError: a feature is NaN or infinite.
    """
    queries = _float64(query, "query", device=device)
    query_norms = queries.square().sum(1)[:, None]
    result = torch.empty(len(query), len(database), dtype=torch.float32, device=device)
    step = max(1, 4 * _PAIRS["cpu"] // max(1, int(database.shape[1]), len(query)))
    for start in range(0, len(database), step):
        items = _float64(database[start : start + step], "database", device=device)
        norms = query_norms + items.square().sum(1)
        squared = torch.addmm(norms, queries, items.T, alpha=-2)
        squared[squared < _RELATIVE_ZERO * norms] = 0
        result[:, start : start + step] = squared
    return result


def _by_distance(
    query: Features,
    database: Features,
    *,
    query_labels: Labels,
    database_labels: Labels,
    rank: Callable[[Tensor, slice, Tensor], Chunk],
    device: torch.device | str,
) -> Iterator[Chunk]:
    """What `rank` makes of the distances, the rows and the relevance of a chunk of queries, chunk by chunk.

    Distances come as int32, the bits of a float32 that is not negative, which order as the number does.
    """
    labels, items = label_tensor(query_labels, device), label_tensor(database_labels, device)
    step = max(1, _PAIRS[torch.device(device).type] // len(database))

    def block(first: int) -> list[Chunk]:
        stop = min(first + step * _BLOCK_CHUNKS, len(query))
        distances = squared_l2(query[first:stop], database, device=device)
        chunks = []
        for start in range(first, stop, step):
            rows = slice(start, min(start + step, stop))
            keys = distances[start - first : rows.stop - first].view(torch.int32)
            chunks.append(rank(keys, rows, relevance(labels[rows], items)))
        return chunks

    for chunks in in_order(block, range(0, len(query), step * _BLOCK_CHUNKS), device=device):
        yield from chunks


class _Signed:
    """The codes of a coarse search as −1 and +1 on a device."""

    def __init__(self, coarse: Coarse, device: torch.device | str) -> None:
        self.query = signs(coarse.query, coarse.bits, device=device)
        self.database = signs(coarse.database, coarse.bits, device=device)
        self.radii = coarse.pools.radii.to(device)

    def distances(self, rows: slice) -> Tensor:
        """Hamming distances of some queries, (L, N) int32."""
        queries = self.query[rows].float()
        result = torch.empty(len(queries), len(self.database), dtype=torch.int32, device=queries.device)
        half = torch.full((1, 1), queries.shape[1] / 2, device=queries.device)
        for start in range(0, len(self.database), _DATABASE_CHUNK):
            some = slice(start, start + _DATABASE_CHUNK)
            result[:, some] = torch.addmm(half, queries, self.database[some].float().T, alpha=-0.5)
        return result


def _float64(features: Features, name: str, *, device: torch.device | str) -> Tensor:
    values = torch.from_numpy(np.array(features, dtype=np.float32)).to(device).double()
    if not bool(torch.isfinite(values).all()):
        row = int((~torch.isfinite(values)).any(1).nonzero()[0])
        raise ValueError(f"{name} features must be finite, got NaN or infinity in row {row} of a chunk")
    return values
