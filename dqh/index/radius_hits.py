"""What a search within a radius finds: lists of any length, one a query."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.ranking import Ranking


class RadiusHits(NamedTuple):
    """All items within a radius of each of Q queries, one query after another, nearest first.

    Attributes:
        offsets: (Q + 1,) int64; the hits of query q are rows `offsets[q]` to `offsets[q + 1]` of the other fields.
        ids: (H,) int64, rows of the items in the database.
        distances: (H,) float32, bits, or those of an `AQDIndex`.
    """

    offsets: NDArray[np.int64]
    ids: NDArray[np.int64]
    distances: NDArray[np.float32]

    def to_ranking(self) -> Ranking:
        """The same hits as a `Ranking` as wide as the longest list, shorter ones padded with -1 and +inf."""
        counts = np.diff(self.offsets)
        column = np.arange(counts.max(initial=0))
        filled = column < counts[:, None]
        ids = np.full(filled.shape, -1, dtype=np.int64)
        distances = np.full(filled.shape, np.inf, dtype=np.float32)
        ids[filled] = self.ids
        distances[filled] = self.distances
        return Ranking(ids, distances)
