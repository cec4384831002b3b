"""What takes part in a retrieval experiment: the queries, or the database."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64] | NDArray[np.bool_]
Features = NDArray[np.float32] | NDArray[np.float16]


class Side(NamedTuple):
    """The queries, or the database, of a retrieval experiment.

    Attributes:
        codes: (N, ⌈B / 8⌉) uint8, packed.
        embedding: (N, D) float32, what the codes were made of; that of a database of binary codes is not read.
        features: (N, F) float32 or float16, array or memory map.
        labels: (N,) int64, or (N, C) bool.
    """

    codes: NDArray[np.uint8]
    embedding: NDArray[np.float32]
    features: Features
    labels: Labels

    def at(self, positions: Sequence[int]) -> "Side":
        """The rows at some positions."""
        chosen = list(positions)
        return Side(self.codes[chosen], self.embedding[chosen], self.features[chosen], self.labels[chosen])
