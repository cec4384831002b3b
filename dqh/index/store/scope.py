"""Which rows of a version a search looks at, and by which engine.

Q queries, N rows of the version, D embedding dimensions.
"""

from collections.abc import Callable
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from dqh.index.engines import Engine, ExactEngine, FilteringEngine
from dqh.native.bitmaps import Bitmap, bitmap_of
from dqh.ranking import Ranking

_DENSE = 1 / 8
"""Share of all rows from which on those of a filter are a bitmap for the engine over all; fewer get an engine."""


class Scope(NamedTuple):
    """What is searched.

    Attributes:
        engine: over all rows of the version, or over those of a filter.
        rows: (n,) the row of the version that each row of the engine is; None: the same.
        allowed: which rows of the engine may be in an answer; None: all.
        size: how many rows may be.
        images: where these are objects, of how many images they are; else 0.
    """

    engine: Engine
    rows: NDArray[np.int64] | None
    allowed: Bitmap | None
    size: int
    images: int = 0

    def candidates(self, embedding: NDArray[np.float32], pool: int, radius: float | None) -> Ranking:
        """What is near queries (Q, D) by code, as rows of the version: the `pool` nearest, or all within a radius."""
        ranking = self._nearest(embedding, max(1, min(pool, self.size)), radius)
        if self.rows is None or not self.size:
            return ranking
        return Ranking(np.where(ranking.ids >= 0, self.rows[ranking.ids], -1), ranking.distances)

    def _nearest(self, embedding: NDArray[np.float32], count: int, radius: float | None) -> Ranking:
        if self.allowed is not None:
            filtering = cast(FilteringEngine, self.engine)
            if radius is None:
                return filtering.search(embedding, count, allowed=self.allowed)
            return filtering.within(embedding, radius, allowed=self.allowed)
        if radius is None:
            return self.engine.search(embedding, count)
        return cast(ExactEngine, self.engine).within(embedding, radius)


def whole_scope(engine: Engine, rows: int) -> Scope:
    """All rows of a version, by an engine over them."""
    return Scope(engine, None, None, rows)


def rows_scope(
    rows: NDArray[np.int64], count: int, *, images: int, whole: Callable[[], Engine], part: Callable[[], ExactEngine]
) -> Scope:
    """Some rows of a version: a bitmap where they are many, else an engine over them, quicker the fewer they are.

    Args:
        rows: (n,) ascending.
        count: N.
        images: where rows are objects, of how many images; else 0.
        whole: makes, or has, the exact engine over all rows.
        part: makes one over `rows`.
    """
    if len(rows) and len(rows) >= _DENSE * count:
        engine = whole()
        if isinstance(engine, FilteringEngine):
            chosen = np.zeros(count, np.bool_)
            chosen[rows] = True
            return Scope(engine, None, bitmap_of(chosen), len(rows), images)
    return Scope(part(), rows, None, len(rows), images)
