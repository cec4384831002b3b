"""The ranking coarse-to-fine: by features within the pool of a coarse search, then the others in coarse order.

Q queries, N database items, F dimensions of a feature.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from dqh.index.orders.order import Order
from dqh.index.orders.vectors import INFINITY_BITS, VectorOrder, by_distance
from dqh.ranking.buckets import Buckets, Pools, group
from dqh.ranking.keys import Keys
from dqh.ranking.side import Features, Labels


class FineOrder(VectorOrder):
    """By squared L2 between features within the pool, then the others in the order of the coarse search.

    Args:
        coarse: the coarse ranking; sides and device are its own.
        pool: items of the smallest whole ball that is ranked by features, at least.
        radius: bits of the ball, in the place of `pool`.

    Raises:
        ValueError: a pool or radius out of range, or a radius for codes that are not compared by bits.
    """

    def __init__(self, coarse: Order, *, pool: int | None = None, radius: int | None = None) -> None:
        super().__init__(coarse.query, coarse.database, by="features", device=coarse.device)
        self.coarse = Coarse(coarse.keys, coarse.pools(pool=pool, radius=radius))

    @property
    def candidates(self) -> float:
        """Mean items of a pool."""
        return float(self.coarse.pools.sizes.double().mean())

    def buckets(self, *, stable: bool = False) -> Iterator[Buckets]:
        """From a sort of the distances."""
        return (ranked.coarse_to_fine for ranked in self._ranked(stable=stable))

    def along(self, *, stable: bool = False) -> Iterator[dict[str, Buckets]]:
        """The ranking, and that by features alone."""
        return ({"": ranked.coarse_to_fine, "exhaustive": ranked.exhaustive} for ranked in self._ranked(stable=stable))

    def keys(self, rows: slice) -> Tensor:
        """Keys of some queries, (L, N) int64."""
        return self.coarse.behind(super().keys(rows), rows)

    def _ranked(self, *, stable: bool) -> Iterator["Ranked"]:
        return feature_buckets(
            self.query.features,
            self.database.features,
            coarse=self.coarse,
            stable=stable,
            device=self.device,
            **self.labels,
        )


class Ranked(NamedTuple):
    """Buckets of some queries: ranked by squared L2 between features, and coarse-to-fine."""

    exhaustive: Buckets
    coarse_to_fine: Buckets


class Coarse(NamedTuple):
    """Keys of a coarse ranking, int32 ones below 2²³, and the ball of each query that the fine search re-ranks."""

    keys: Keys
    pools: Pools

    def behind(self, keys: Tensor, rows: slice) -> Tensor:
        """The keys of features (L, N) int32 of some queries, and behind them in coarse order what is in no pool."""
        codes = self.keys(rows)
        others = codes + (INFINITY_BITS + 1 if codes.dtype == torch.int32 else 2**33)
        return torch.where(codes <= self.pools.radii.to(codes.device)[rows, None], keys, others)


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

    def ranked(keys: Tensor, rows: slice, relevant: Tensor) -> Ranked:
        pooled = coarse.behind(keys, rows)
        return Ranked(group(keys, relevant, stable=stable), group(pooled, relevant, stable=stable))

    yield from by_distance(
        query, database, query_labels=query_labels, database_labels=database_labels, rank=ranked, device=device
    )
