"""Some of the rows where all would take long: the network before training is measured on a few thousand images.

What is measured on fewer queries and items is no number beside those of all: its row says how many they were, and is
compared with the codes on the same ones alone.

Q queries, N database items.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.evaluation.measure import Retrieved
from dqh.evaluation.tally import PerQuery

SEED = 0


class Subset(NamedTuple):
    """Positions among queries and database items, (q,) and (n,) int64, ascending."""

    query: NDArray[np.int64]
    database: NDArray[np.int64]


class SubsetRows(NamedTuple):
    """What was measured on a subset.

    Attributes:
        searches: names of the rows.
        sizes: its queries and database items.
        main: the row of the trained codes alone on the same.
        limits: what the labels alone say of the scores, as `dqh.evaluation.limits` has it.
    """

    searches: tuple[str, ...]
    sizes: tuple[int, int]
    main: Retrieved
    limits: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """For `metrics.json`: `searches`, `query`, `database`, `rows` with that of the codes alone, and `limits`."""
        sizes = dict(zip(("query", "database"), self.sizes, strict=True))
        return {"searches": list(self.searches), **sizes, "rows": self.main.rows, "limits": self.limits}

    def counterparts(self) -> Mapping[str, PerQuery]:
        """By row, the average precision of the trained codes on the same queries and items."""
        (scores,) = self.main.average_precision.values()
        return dict.fromkeys(self.searches, scores)


def drawn(count: int, most: int | None, *, seed: int = SEED) -> NDArray[np.int64]:
    """(n,) int64: at most so many positions out of `count`, ascending; all where they are no more.

    Drawn, since every tenth one of images that take turns by class would all be of one class.
    """
    if most is None or count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def subset_of(queries: int, items: int, *, most: int | None) -> Subset | None:
    """At most so many queries, and as many items, of those that there are; None where that is all of them."""
    if most is None or max(queries, items) <= most:
        return None
    return Subset(drawn(queries, most), drawn(items, most))
