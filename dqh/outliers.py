"""Vectors that lie so far from all others that they alone would set a mean, a scale or principal components.

N vectors of F dimensions.
"""

import numpy as np
from numpy.typing import NDArray

FAR = 10.0
"""Vectors that are so many times as far from the middle as half of the others are count as far."""

_SAMPLE = 5000
_CHUNK = 2**22
"""Values whose distances are computed at a time, in float64."""


def far_rows(vectors: NDArray[np.float32] | NDArray[np.float16]) -> NDArray[np.bool_]:
    """(N,) bool: vectors whose distance to the middle is above `FAR` times the median of these distances.

    The middle is the median of each dimension, over up to 5,000 vectors evenly spread; equal vectors that lie on it
    have no part in the second median, so that many copies of one vector make no other far.

    Args:
        vectors: (N, F) finite, at least one.

    Example:
        >>> far_rows(np.array([[0.0], [1.0], [2.0], [3.0], [500.0]], np.float32))
        array([False, False, False, False,  True])
    """
    middle = np.median(vectors[:: -(-len(vectors) // _SAMPLE)].astype(np.float64), axis=0)
    step = max(1, _CHUNK // max(1, vectors.shape[1]))
    parts = [
        np.sqrt(np.square(vectors[start : start + step].astype(np.float64) - middle).mean(axis=1))
        for start in range(0, len(vectors), step)
    ]
    distances = np.concatenate(parts)
    apart = distances[distances > 0]
    result: NDArray[np.bool_] = distances > FAR * (np.median(apart) if len(apart) else 0.0)
    return result
