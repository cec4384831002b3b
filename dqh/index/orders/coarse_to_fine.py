"""The ranking coarse-to-fine: by features within the pool of a coarse search, then the others in coarse order.

Q queries, N database items, F dimensions of a feature.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from dqh.index.orders.order import Order
from dqh.index.orders.vectors import INFINITY_BITS, VectorOrder
from dqh.ranking.buckets import Buckets, group


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
        self.coarse, self.balls = coarse, coarse.pools(pool=pool, radius=radius)

    @property
    def candidates(self) -> float:
        """Mean items of a pool."""
        return float(self.balls.sizes.double().mean())

    def buckets(self, *, stable: bool = False) -> Iterator[Buckets]:
        """From a sort of the distances."""
        return (ranked.coarse_to_fine for ranked in self.ranked(stable=stable))

    def along(self, *, stable: bool = False) -> Iterator[dict[str, Buckets]]:
        """The ranking, and that by features alone."""
        return ({"": ranked.coarse_to_fine, "exhaustive": ranked.exhaustive} for ranked in self.ranked(stable=stable))

    def keys(self, rows: slice) -> Tensor:
        """Keys of some queries, (L, N) int64."""
        return self._behind(super().keys(rows), rows)

    def ranked(self, *, stable: bool = False) -> Iterator["Ranked"]:
        """Both rankings of the queries in their order, a chunk at a time; `stable` breaks ties by database row."""

        def rank(keys: Tensor, rows: slice, relevant: Tensor) -> Ranked:
            pooled = self._behind(keys, rows)
            return Ranked(group(keys, relevant, stable=stable), group(pooled, relevant, stable=stable))

        return self.by_distance(rank)

    def _behind(self, keys: Tensor, rows: slice) -> Tensor:
        """The keys of features (L, N) int32 of some queries, and behind them in coarse order what is in no pool."""
        codes = self.coarse.keys(rows)
        others = codes + (INFINITY_BITS + 1 if codes.dtype == torch.int32 else 2**33)
        return torch.where(codes <= self.balls.radii.to(codes.device)[rows, None], keys, others)


class Ranked(NamedTuple):
    """Buckets of some queries: ranked by squared L2 between features, and coarse-to-fine."""

    exhaustive: Buckets
    coarse_to_fine: Buckets
