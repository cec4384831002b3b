"""Vectors that lie so far from all others that they alone would set a mean, a scale or principal components.

N vectors of F dimensions.
"""

import logging
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

FAR = 10.0
"""Vectors that are so many times as far from the middle as nearly all others count as far."""

MOST_FAR = 0.05
"""Largest share of the vectors that may be far; of more, nobody can say which are the odd ones."""

_SAMPLE = 5000
_CHUNK = 2**22
"""Values whose distances are computed at a time, in float64."""


class Far(NamedTuple):
    """Vectors and their distances to the middle.

    Attributes:
        rows: (N,) bool, those far from all others.
        uneven: how many more are above `FAR` times the median distance, which is no reason to leave them out.
    """

    rows: NDArray[np.bool_]
    uneven: int


def find_far(vectors: NDArray[np.float32] | NDArray[np.float16]) -> Far:
    """The vectors whose distance to the middle is above `FAR` times that of 95 % of the vectors.

    So at most 5 % are far, and one may always be. The middle is the median of each dimension, over up to 5,000 vectors
    evenly spread. Equal vectors that lie on it have no part in shares and medians.

    Example:
        >>> find_far(np.array([[0.0], [1.0], [2.0], [3.0], [500.0]], np.float32)).rows
        array([False, False, False, False,  True])
    """
    middle = np.median(vectors[:: -(-len(vectors) // _SAMPLE)].astype(np.float64), axis=0)
    step = max(1, _CHUNK // max(1, vectors.shape[1]))
    parts = [
        np.sqrt(np.square(vectors[start : start + step].astype(np.float64) - middle).mean(axis=1))
        for start in range(0, len(vectors), step)
    ]
    distances = np.concatenate(parts)
    ordered = np.sort(distances[distances > 0])
    most = max(1, int(MOST_FAR * len(ordered)))
    if len(ordered) <= most:
        return Far(np.zeros(len(vectors), np.bool_), 0)
    rows = distances > FAR * ordered[-1 - most]
    uneven = np.count_nonzero(distances > FAR * np.median(ordered)) - np.count_nonzero(rows)
    return Far(rows, int(uneven))


def usual_rows(
    vectors: NDArray[np.float32] | NDArray[np.float16], *, user: str, kind: str = "features"
) -> NDArray[np.bool_]:
    """(N,) bool: the vectors for a fit, of which one far from all others would alone set the mean or components.

    Args:
        vectors: (N, F); those of `find_far` are left out, and a warning says how many.
        user: what is fitted to the others, as the warning calls it.
        kind: what the vectors are, as it calls them.
    """
    far = find_far(vectors).rows
    if far.any():
        what = f"{np.count_nonzero(far)} of {len(far)} rows whose {kind} lie"
        logger.warning("%s: fitted without %s far from all others", user, what)
    return ~far
