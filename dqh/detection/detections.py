"""The answer of every detector: which objects a photo shows, and where.

N photos, K objects of a photo at most, n of one of them.
"""

from collections.abc import Sequence
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


class Objects(NamedTuple):
    """The objects of one photo, or what is proposed as such.

    Attributes:
        boxes: (n, 4) float32, x0, y0, x1, y1 in pixels.
        scores: (n,) float32, 0 … 1.
        classes: (n,) int64.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Objects":
        """Those of some rows, by number or by a mask (n,)."""
        return Objects(self.boxes[rows], self.scores[rows], self.classes[rows])


def detections_of(photos: Sequence[Objects], most: int) -> Detections:
    """The objects of each photo, at most K = `most` and by falling score, as one answer.

    Example:
        >>> one = Objects(np.ones((1, 4), np.float32), np.float32([0.5]), np.array([7]))
        >>> detections_of([one, one.take(np.array([False]))], 2).classes
        array([[ 7, -1],
               [-1, -1]])
    """
    many = len(photos)
    boxes, scores = np.zeros((many, most, 4), np.float32), np.zeros((many, most), np.float32)
    classes, valid = np.full((many, most), -1, np.int64), np.zeros((many, most), bool)
    for number, photo in enumerate(photos):
        count = len(photo.scores)
        boxes[number, :count], scores[number, :count] = photo.boxes, photo.scores
        classes[number, :count], valid[number, :count] = photo.classes, True
    return Detections(boxes, scores, classes, valid)
