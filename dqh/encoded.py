"""What an encoder makes of images, and what searches an index."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Encoded(NamedTuple):
    """Q images as an encoder sees them.

    Attributes:
        codes: (Q, ⌈B / 8⌉) uint8, packed, as they are stored.
        embedding: (Q, D) float32, as they are searched by.
        features: (Q, F) float32 or float16, as candidates are ranked by.
        encoder_id: of the artifact that made them; an index refuses those of another.
    """

    codes: NDArray[np.uint8]
    embedding: NDArray[np.float32]
    features: NDArray[np.float32] | NDArray[np.float16]
    encoder_id: str

    def part(self, start: int, end: int) -> "Encoded":
        """Queries `start` … `end` − 1 of them."""
        rows = slice(start, end)
        return Encoded(self.codes[rows], self.embedding[rows], self.features[rows], self.encoder_id)
