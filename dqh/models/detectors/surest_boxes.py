"""Of many boxes that may show something, the surest ones that lie on no surer one, whatever their class.

N images, A boxes of one, K proposals. `dqh.detection.proposals` does the same in numpy.
"""

from typing import NamedTuple

from torch import Tensor, nn
from torchvision.ops import nms

CANDIDATES = 1000
"""Boxes of the highest objectness that may become proposals."""

LEAST_SIDE = 1.0
"""Pixels of the input; a smaller box is no proposal."""


class Proposals(NamedTuple):
    """What may show an object, the surest first.

    Attributes:
        boxes: (N, K, 4) pixels of the input; 0 where there is none.
        objectness: (N, K), 0 … 1; 0 where there is none.
    """

    boxes: Tensor
    objectness: Tensor


def selected(boxes: Tensor, logits: Tensor, *, most: int, objectness: float, iou: float) -> tuple[Tensor, Tensor]:
    """Of the boxes of one image, K = `most` proposals (K, 4), and their objectness (K,).

    Args:
        boxes: (A, 4) x0, y0, x1, y1 in pixels of the input.
        logits: (A,), of whether they show something.
        most: K.
        objectness: of a proposal at least, 0 … 1.
        iou: intersection over union above which two are one.
    """
    order = logits.argsort(descending=True, stable=True)[:CANDIDATES]
    boxes, sure = boxes[order], logits[order].sigmoid()
    usable = ((boxes[:, 2:] - boxes[:, :2]) >= LEAST_SIDE).all(1) & (sure >= objectness)
    boxes, sure = boxes[usable], sure[usable]
    kept = nms(boxes, sure, iou)[:most]
    lacking = most - len(kept)
    return nn.functional.pad(boxes[kept], (0, 0, 0, lacking)), nn.functional.pad(sure[kept], (0, lacking))
