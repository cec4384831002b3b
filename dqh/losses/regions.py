"""The losses of a two-stage detector: whether something lies where, of which class it is, and how far off a box is.

n boxes of an image that may show an object, be they anchors or proposals; T objects that it shows; S boxes that are
sampled of those of a batch.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler, BoxCoder, Matcher
from torchvision.ops import box_iou

SMOOTH = 1 / 9
"""Difference of offsets from which on the loss is linear, as in torchvision."""

IGNORED = -1


class Rule(NamedTuple):
    """Which boxes are to show an object, and how many of them are looked at.

    Attributes:
        high: overlap with an object from which a box shows it.
        low: overlap below which a box shows the background; what lies between is not looked at.
        keep_best: whether the box with the largest overlap with an object shows it, however small that is.
        boxes: of an image that are sampled, at most.
        share: of them that show objects, at most.
    """

    high: float
    low: float
    keep_best: bool
    boxes: int
    share: float


class Sample(NamedTuple):
    """The boxes of an image that are looked at.

    Attributes:
        rows: (S,) int64, numbers of the boxes.
        classes: (S,) int64, 0 for background, else the number of the class and 1.
        boxes: (S, 4) the object that each shows; meaningless where the class is 0.
    """

    rows: Tensor
    classes: Tensor
    boxes: Tensor


def sample(boxes: Tensor, objects: Tensor, classes: Tensor, rule: Rule) -> Sample:
    """Boxes that show an object, and others that do not, drawn by torch's global generator.

    Args:
        boxes: (n, 4) x0, y0, x1, y1.
        objects: (T, 4) in the same unit, none of them empty; T may be 0, and all boxes show the background then.
        classes: (T,) int64, from 0.
        rule: what is sampled.
    """
    numbers = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
    shown = boxes
    if len(objects) and len(boxes):
        matches = Matcher(rule.high, rule.low, allow_low_quality_matches=rule.keep_best)(box_iou(objects, boxes))
        object_of = matches.clamp(min=0)
        numbers = torch.where(matches >= 0, classes[object_of] + 1, 0)
        numbers[matches == Matcher.BETWEEN_THRESHOLDS] = IGNORED
        shown = objects[object_of]
    positive, negative = BalancedPositiveNegativeSampler(rule.boxes, rule.share)([numbers])
    rows = torch.where(positive[0] | negative[0])[0]
    return Sample(rows, numbers[rows], shown[rows])


def objectness_terms(
    logits: Tensor, offsets: Tensor, anchors: Tensor, samples: Sequence[Sample], *, coder: BoxCoder
) -> dict[str, Tensor]:
    """Binary cross-entropy of whether anchors show something, and smooth L1 of their offsets (Ren et al. 2015, eq. 1).

    Both are divided by the number of sampled anchors of the batch, as in torchvision.

    Args:
        logits: (N, A).
        offsets: (N, A, 4).
        anchors: (A, 4).
        samples: of each image.
        coder: of offsets.

    Returns:
        `objectness` and `anchors`, scalars.

    Example:
        >>> own = Sample(torch.tensor([0, 1]), torch.tensor([1, 0]), torch.tensor([[0.0, 0, 2, 2]]).repeat(2, 1))
        >>> anchors = torch.tensor([[0.0, 0, 2, 2], [4, 4, 6, 6]])
        >>> coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
        >>> terms = objectness_terms(torch.zeros(1, 2), torch.ones(1, 2, 4), anchors, [own], coder=coder)
        >>> {name: round(float(term), 4) for name, term in terms.items()}  # log 2, and 4 · (1 − 1/18) / 2
        {'objectness': 0.6931, 'anchors': 1.8889}
    """
    chosen = torch.cat([own.rows + place * len(anchors) for place, own in enumerate(samples)])
    classes = torch.cat([own.classes for own in samples])
    count = max(1, len(chosen))
    entropy = functional.binary_cross_entropy_with_logits(
        logits.flatten()[chosen], (classes > 0).to(logits.dtype), reduction="sum"
    )
    own_anchors = anchors[torch.cat([own.rows for own in samples])]
    distance = _distance(offsets.flatten(0, 1)[chosen], own_anchors, samples, coder)
    return {"objectness": entropy / count, "anchors": distance / count}


def class_terms(
    logits: Tensor, offsets: Tensor, proposals: Tensor, samples: Sequence[Sample], *, coder: BoxCoder
) -> dict[str, Tensor]:
    """Cross-entropy of the classes of proposals, and smooth L1 of their offsets (Girshick, "Fast R-CNN", 2015, eq. 1).

    Both are divided by the number of sampled proposals of the batch, as in torchvision.

    Args:
        logits: (S, C + 1) of those that are sampled, image after image.
        offsets: (S, 4).
        proposals: (S, 4).
        samples: of each image.
        coder: of offsets.

    Returns:
        `classes` and `boxes`, scalars.
    """
    classes = torch.cat([own.classes for own in samples])
    count = max(1, len(classes))
    entropy = functional.cross_entropy(logits, classes, reduction="sum")
    return {"classes": entropy / count, "boxes": _distance(offsets, proposals, samples, coder) / count}


def _distance(offsets: Tensor, boxes: Tensor, samples: Sequence[Sample], coder: BoxCoder) -> Tensor:
    """Sum of the smooth L1 of offsets (S, 4) from boxes (S, 4) to the objects that they show; 0 where none does."""
    positive = torch.cat([own.classes for own in samples]) > 0
    wanted = coder.encode_single(torch.cat([own.boxes for own in samples])[positive], boxes[positive])
    return functional.smooth_l1_loss(offsets[positive], wanted, beta=SMOOTH, reduction="sum")
