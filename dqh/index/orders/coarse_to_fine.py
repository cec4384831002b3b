"""The ranking coarse-to-fine: by features within the pool of a coarse search, then the others in coarse order.

Q queries, N database items, F dimensions of a feature.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from dqh.index.orders.order import Order
from dqh.index.orders.vectors import INFINITY_BITS, VectorOrder
from dqh.ranking.buckets import Buckets, Pools, group
from dqh.ranking.keys import ALL


class FineOrder(VectorOrder):
    """By squared L2 between features within the pool, then the others in the order of the coarse search.

    Args:
        coarse: the coarse ranking; sides and device are its own.
        pool: items of the smallest whole ball that is ranked by features, at least.
        radius: bits of the ball, in the place of `pool`.

    `ValueError` on first use, where pool or radius is out of range, or codes with a radius are not compared by bits.
    """

    def __init__(self, coarse: Order, *, pool: int | None = None, radius: int | None = None) -> None:
        super().__init__(coarse.query, coarse.database, by="features", device=coarse.device)
        self.coarse, self._pool, self._radius = coarse, pool, radius
        self._held: tuple[slice, Pools] | None = None

    @cached_property
    def balls(self) -> Pools:
        """The pools of all queries."""
        return self.coarse.pools(pool=self._pool, radius=self._radius)

    def pool_sizes(self, rows: slice = ALL) -> Tensor:
        """(L,) int64, items of the pools of some queries."""
        return self._balls(rows).sizes

    def buckets(self, *, stable: bool = False, rows: slice = ALL) -> Iterator[Buckets]:
        """From a sort of the distances."""
        return (ranked.coarse_to_fine for ranked in self.ranked(stable=stable, rows=rows))

    def along(self, *, stable: bool = False, rows: slice = ALL) -> Iterator[dict[str, Buckets]]:
        """The ranking, and that by features alone."""
        both = self.ranked(stable=stable, rows=rows)
        return ({"": ranked.coarse_to_fine, "exhaustive": ranked.exhaustive} for ranked in both)

    def keys(self, rows: slice) -> Tensor:
        """Keys of some queries, (L, N) int64."""
        return self._behind(super().keys(rows), rows, self.balls.radii[rows])

    def ranked(self, *, stable: bool = False, rows: slice = ALL) -> Iterator["Ranked"]:
        """Both rankings of some queries in their order, a chunk at a time; `stable` breaks ties by database row."""
        radii, first = self._balls(rows).radii, rows.start or 0

        def rank(keys: Tensor, chunk: slice, relevant: Tensor) -> Ranked:
            pooled = self._behind(keys, chunk, radii[chunk.start - first : chunk.stop - first])
            return Ranked(group(keys, relevant, stable=stable), group(pooled, relevant, stable=stable))

        return self.by_distance(rank, rows=rows)

    def _balls(self, rows: slice) -> Pools:
        """The pools of some queries; those of other rows than all are kept until others are asked for."""
        if rows == ALL:
            return self.balls
        if self._held is None or self._held[0] != rows:
            self._held = rows, self.coarse.pools(pool=self._pool, radius=self._radius, rows=rows)
        return self._held[1]

    def _behind(self, keys: Tensor, rows: slice, radii: Tensor) -> Tensor:
        """The keys of features (L, N) int32 of some queries, and behind them in coarse order what is in no pool."""
        codes = self.coarse.keys(rows)
        others = codes + (INFINITY_BITS + 1 if codes.dtype == torch.int32 else 2**33)
        return torch.where(codes <= radii.to(codes.device)[:, None], keys, others)


class Ranked(NamedTuple):
    """Buckets of some queries: ranked by squared L2 between features, and coarse-to-fine."""

    exhaustive: Buckets
    coarse_to_fine: Buckets
