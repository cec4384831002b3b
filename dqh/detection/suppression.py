"""Non-maximum suppression in numpy: of boxes of one class that lie on one object, the surest stays.

n boxes.
"""

import numpy as np
from numpy.typing import NDArray


def suppress(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    classes: NDArray[np.int64],
    *,
    iou: float,
    most: int,
) -> NDArray[np.int64]:
    """The rows of the boxes that stay, by falling score, equal ones in the order given.

    The surest box stays, and all of its class that have more than `iou` in common with it go; so on with the surest of
    the rest. Boxes of different classes never meet. Overlaps are computed in float64, so that an overlap of exactly
    `iou` stays.

    Args:
        boxes: (n, 4) x0, y0, x1, y1.
        scores: (n,).
        classes: (n,).
        iou: intersection over union above which two boxes of a class are one object.
        most: rows that are returned at most, the surest ones.

    Example:
        >>> boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 9]], np.float32)
        >>> suppress(boxes, np.float32([0.5, 0.9, 0.7]), np.array([3, 3, 5]), iou=0.5, most=100)
        array([1, 2])
    """
    order = np.argsort(-scores, kind="stable")
    sorted_boxes, sorted_classes = boxes[order].astype(np.float64), classes[order]
    alive = np.ones(len(order), bool)
    rows: list[int] = []
    for place in range(len(order)):
        if len(rows) == most:
            break
        if alive[place]:
            rows.append(place)
            rest = slice(place + 1, None)
            same = sorted_classes[rest] == sorted_classes[place]
            alive[rest] &= ~(same & (overlaps(sorted_boxes[place], sorted_boxes[rest]) > iou))
    return order[rows].astype(np.int64)


def overlaps(box: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of a box (4,) with others (n, 4); 0 where both are empty.

    Example:
        >>> overlaps(np.array([0.0, 0, 2, 2]), np.array([[1.0, 0, 3, 2], [2, 0, 4, 2]])).round(3)
        array([0.333, 0.   ])
    """
    corners = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.maximum(corners[1] - corners[0], 0), axis=1)
    whole = np.prod(box[2:] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], axis=1) - shared
    return np.asarray(np.divide(shared, whole, out=np.zeros(len(others)), where=whole > 0))
