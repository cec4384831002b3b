"""What comes between the two stages of a detector, in numpy: of many boxes that may show something, the best ones.

A anchors of an input, K proposals of it. `FasterRCNNNetwork.select` does the same in torch.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.detection.suppression import suppress
from dqh.schema import Check, integer, number


class Selection(NamedTuple):
    """Which boxes become proposals.

    Attributes:
        candidates: boxes of the highest objectness that may become one.
        least_side: pixels of the input; a smaller box is none.
        threshold: objectness below which a box is none, 0 … 1.
        iou: intersection over union above which two boxes are one.
        most: K.
    """

    candidates: int
    least_side: float
    threshold: float
    iou: float
    most: int


FIELDS: dict[str, Check] = {
    "candidates": integer(1, 100_000),
    "least_side": number(0, 4096),
    "threshold": number(0, 1),
    "iou": number(0, 1),
    "most": integer(1, 1000),
}
"""What each field of `Selection` must be, as JSON has it."""


def select(
    boxes: NDArray[np.float32], logits: NDArray[np.float32], selection: Selection
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The proposals (K, 4), the surest first, and their objectness (K,), 0 … 1; both 0 where there are fewer.

    Args:
        boxes: (A, 4) x0, y0, x1, y1 in pixels of the input.
        logits: (A,), of whether they show something.
        selection: which become proposals.

    Example:
        >>> boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [5, 5, 5, 9]], np.float32)
        >>> proposals, sure = select(boxes, np.float32([0, 2, 4]), Selection(1000, 1.0, 0.0, 0.7, 2))
        >>> proposals.tolist(), sure.round(2).tolist()
        ([[0.0, 0.0, 10.0, 9.0], [0.0, 0.0, 0.0, 0.0]], [0.8799999952316284, 0.0])
    """
    order = np.argsort(-logits, kind="stable")[: selection.candidates]
    boxes, sure = boxes[order], _sigmoid(logits[order])
    sides = boxes[:, 2:] - boxes[:, :2]
    usable = (sides >= selection.least_side).all(axis=1) & (sure >= selection.threshold)
    boxes, sure = boxes[usable], sure[usable]
    kept = suppress(boxes, sure, np.zeros(len(sure), np.int64), iou=selection.iou, most=selection.most)
    proposals, objectness = np.zeros((selection.most, 4), np.float32), np.zeros(selection.most, np.float32)
    proposals[: len(kept)], objectness[: len(kept)] = boxes[kept], sure[kept]
    return proposals, objectness


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-logits)), np.float32)
