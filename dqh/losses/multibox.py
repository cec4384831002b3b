"""The loss of a detector with default boxes: matching, classes with hard examples mined, offsets.

N images, A default boxes, C classes; class 0 of the logits is background.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.models.detection._utils import BoxCoder, SSDMatcher
from torchvision.ops import box_iou

Mining = Literal["negatives", "all"]

NEGATIVES = 3
"""Background boxes for each that shows an object."""


class Targets(NamedTuple):
    """What the default boxes of a batch are to say.

    Attributes:
        classes: (N, A) int64, 0 for background, else the number of the class and 1.
        offsets: (N, A, 4) float32, meaningless where the class is 0.
    """

    classes: Tensor
    offsets: Tensor


def match(
    anchors: Tensor, boxes: Sequence[Tensor], classes: Sequence[Tensor], *, iou: float, coder: BoxCoder
) -> Targets:
    """The object that each default box is to find.

    That is the one with which it has the largest overlap, at least `iou`; and for each object the default box with the
    largest overlap of all, however small (Liu et al. 2016, §2.2).

    Args:
        anchors: (A, 4) x0, y0, x1, y1.
        boxes: of each image (K, 4), in the same unit; none of them empty.
        classes: of each image (K,) int64, from 0.
        iou: 0 … 1.
        coder: of offsets.
    """
    numbers, offsets = [], []
    matcher = SSDMatcher(iou)
    for own, names in zip(boxes, classes, strict=True):
        if len(own) == 0:
            numbers.append(torch.zeros(len(anchors), dtype=torch.int64, device=anchors.device))
            offsets.append(torch.zeros_like(anchors))
            continue
        matches = matcher(box_iou(own, anchors))
        object_of = matches.clamp(min=0)
        numbers.append(torch.where(matches >= 0, names[object_of] + 1, 0))
        offsets.append(coder.encode_single(own[object_of], anchors))
    return Targets(torch.stack(numbers), torch.stack(offsets))


def multibox_terms(logits: Tensor, offsets: Tensor, targets: Targets, *, mining: Mining) -> dict[str, Tensor]:
    """Cross-entropy of the classes and smooth L1 of the offsets, each over the number of matched default boxes.

    Of the background only the hardest boxes count. `negatives` takes those of each image with the largest
    cross-entropy, three for each matched one (Liu et al. 2016, §2.2), and three where an image shows no object, of
    which torchvision takes none. `all` takes the hardest of the whole batch, matched or not, four for each matched one:
    online hard examples (Shrivastava et al., CVPR 2016) with as many boxes as the other way.

    Args:
        logits: (N, A, C + 1).
        offsets: (N, A, 4).
        targets: of `match`.
        mining: how hard examples are chosen.

    Returns:
        `classes` and `boxes`, scalars.

    Example:
        >>> targets = Targets(torch.tensor([[1, 0]]), torch.zeros(1, 2, 4))
        >>> terms = multibox_terms(torch.zeros(1, 2, 2), torch.ones(1, 2, 4), targets, mining="negatives")
        >>> {name: round(float(term), 4) for name, term in terms.items()}  # 2 log 2, and 4 · ½
        {'classes': 1.3863, 'boxes': 2.0}
    """
    matched = targets.classes > 0
    count = matched.sum().clamp(min=1)
    entropy = functional.cross_entropy(logits.flatten(0, 1), targets.classes.flatten(), reduction="none")
    entropy = entropy.reshape(matched.shape)
    chosen = (
        _hardest_negatives(entropy.detach(), matched) if mining == "negatives" else _hardest(entropy.detach(), count)
    )
    distance = functional.smooth_l1_loss(offsets, targets.offsets, reduction="none").sum(-1)
    zero = entropy.new_zeros(())
    return {
        "classes": torch.where(chosen, entropy, zero).sum() / count,
        "boxes": torch.where(matched, distance, zero).sum() / count,
    }


def _hardest_negatives(entropy: Tensor, matched: Tensor) -> Tensor:
    """(N, A) bool: the matched boxes, and of each image the background boxes with the largest entropy."""
    wanted = NEGATIVES * matched.sum(1, keepdim=True).clamp(min=1)
    rank = entropy.masked_fill(matched, -torch.inf).argsort(1, descending=True).argsort(1)
    return matched | ((rank < wanted) & ~matched)


def _hardest(entropy: Tensor, count: Tensor) -> Tensor:
    """(N, A) bool: the boxes of the batch with the largest entropy."""
    rank = entropy.flatten().argsort(descending=True).argsort()
    return (rank < (1 + NEGATIVES) * count).reshape(entropy.shape)
