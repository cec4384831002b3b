"""The answer of every detector: which objects a photo shows, and where.

N photos, K objects of a photo at most.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Detections(NamedTuple):
    """The objects of N photos, those of each by falling score; of the same K for all photos, the rest not valid.

    Attributes:
        boxes: (N, K, 4) float32, x0, y0, x1, y1 in pixels of the upright photo, clipped to it, none of them empty; 0
            where not valid.
        scores: (N, K) float32, 0 … 1, falling along K; 0 where not valid.
        classes: (N, K) int64, numbers of the detector's classes; -1 where not valid.
        valid: (N, K) bool, which of the K there are: the first ones of each photo, or none.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]
    valid: NDArray[np.bool_]
