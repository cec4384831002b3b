"""A ranking of a whole database for each query, for evaluation: keys of any chunk of queries, and what they make.

Last bits of a metric depend on which queries are ranked together, so who ranks some of them begins where a whole pass
would begin a chunk; see `Order.together`.

Q queries, N database items, L queries of a chunk, B bits.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.codes import require_codes
from dqh.ranking.buckets import Buckets, Pools
from dqh.ranking.keys import ALL, chunk_size, key_buckets, key_pools, other_buckets
from dqh.ranking.relevance import require_labels
from dqh.ranking.side import Labels, Side


class Question(Protocol):
    """What is asked of a ranking about each query; other processes get it pickled."""

    @property
    def stable(self) -> bool:
        """Whether it has ties broken by database row."""
        ...

    def __call__(self, order: "Order", rows: slice) -> dict[str, Tensor]:
        """Values by name, (L, …) each, of the queries in `rows`."""
        ...


class Asked(Protocol):
    """A ranking that can be asked, whoever computes it."""

    def asked(self, question: Question) -> dict[str, Tensor]:
        """What a question has as an answer, (Q, …) each, of all queries in their order."""
        ...


class Order(ABC):
    """A ranking of the database for each query, computed on `device`."""

    def __init__(self, query: Side, database: Side, *, device: torch.device | str = "cpu") -> None:
        self.query, self.database, self.device = query, database, device

    @abstractmethod
    def keys(self, rows: slice) -> Tensor:
        """Whole numbers (L, N) that order the database as the distances of some queries do.

        int32 that is not negative, those of a coarse search below 2²³, or int64 between −2³¹ and 2³¹; equal distances
        have equal keys.
        """

    def together(self, *, stable: bool = False) -> int:
        """Queries that `buckets` looks at together: those of rows from a multiple of it on are the same bit for bit."""
        return chunk_size(len(self.database.labels), self.device)

    def buckets(self, *, stable: bool = False, rows: slice = ALL) -> Iterator[Buckets]:
        """Buckets of items at equal distances, in the order of the queries; `stable` breaks ties by database row."""
        return key_buckets(self.keys, stable=stable, device=self.device, rows=rows, **self.labels)

    def along(self, *, stable: bool = False, rows: slice = ALL) -> Iterator[dict[str, Buckets]]:
        """What else the pass of `buckets` ranks, by name of the way: `buckets` itself has the name ""."""
        return ({"": buckets} for buckets in self.buckets(stable=stable, rows=rows))

    def asked(self, question: Question) -> dict[str, Tensor]:
        """See `Asked`."""
        return question(self, ALL)

    def pools(self, *, pool: int | None = None, radius: int | None = None, rows: slice = ALL) -> Pools:
        """The smallest whole ball with at least `pool` items about each query, or each of some `rows`.

        Raises:
            ValueError: a radius, which is in bits, or a pool below 1.
        """
        if pool is None or radius is not None:
            raise ValueError(f"radius is in bits, by which these codes are not compared, got {radius}; give a pool")
        queries, items = len(self.query.labels), len(self.database.labels)
        return key_pools(self.keys, queries=queries, items=items, pool=pool, device=self.device, rows=rows)

    def others(self) -> Iterator[Buckets]:
        """Buckets where the queries are the database, and none is in its own answer."""
        return other_buckets(self.keys, labels=self.database.labels, device=self.device)

    def histograms(self, rows: slice = ALL) -> Buckets | None:
        """The items of some queries by whole numbers of bits; None where distances are no such numbers."""
        return None

    def pool_sizes(self, rows: slice = ALL) -> Tensor | None:
        """(L,) int64, items of the pools of some queries; None where all are compared."""
        return None

    @property
    def labels(self) -> dict[str, Any]:
        """Of both sides, as arguments."""
        return {"query_labels": self.query.labels, "database_labels": self.database.labels}


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
