"""The value that chooses the epoch, validation images that query each other by their codes, and the choice.

N images, B bits, M subspaces, K codewords each.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.evaluation.metrics import average_precision
from dqh.index.ways import main_way
from dqh.quantizers import Quantizer
from dqh.ranking.side import Side

EQUAL = 1e-9
"""Values that differ by no more are equal: what is constant in exact arithmetic is so up to rounding."""

LAST = "last epoch"
"""How a reason begins where no value chose the epoch."""


class Choice(NamedTuple):
    """The epoch whose weights are kept: the first of the highest value, or the last one where no value says anything.

    A value says nothing while it is NaN or has been the same since the first epoch, as the mAP is where no image has a
    relevant other or all are relevant, where there is one image, or where all codes are equal.

    Attributes:
        value: of that epoch; NaN before the first, and while there is none.
        epoch: counted from 1; 0 before the first.
        least: the lowest value so far; NaN as `value`.
    """

    value: float = math.nan
    epoch: int = 0
    least: float = math.nan

    @property
    def blind(self) -> bool:
        """Whether no two epochs so far can be told apart."""
        return not self.value > self.least + EQUAL

    def after(self, epoch: int, value: float) -> "Choice":
        """The choice when one more epoch, counted from 1, has a value.

        Example:
            >>> Choice().after(1, 0.0).after(2, 0.0).epoch, Choice().after(1, 0.5).after(2, 0.5).after(3, 0.4).epoch
            (2, 2)
        """
        if math.isnan(value):
            return self._replace(epoch=epoch) if math.isnan(self.value) else self
        if math.isnan(self.value):
            return Choice(value, epoch, value)
        least = min(self.least, value)
        if value > self.value + EQUAL or (self.blind and value >= self.value - EQUAL):
            return Choice(max(value, self.value), epoch, least)
        return self._replace(least=least)

    def reason(self, monitor: str, *, epochs: int) -> str:
        """What chose the epoch among so many: the monitor's name, or why it was the last one.

        Example:
            >>> Choice(0.0, 2, 0.0).reason("val/mAP", epochs=2)
            'last epoch (val/mAP was 0.0000 in every epoch)'
        """
        if math.isnan(self.value):
            return f"{LAST} ({monitor} could not be measured)"
        if self.blind and epochs > 1:
            return f"{LAST} ({monitor} was {self.value:.4f} in every epoch)"
        return monitor


def cannot_choose(labels: Tensor) -> str | None:
    """Why `leave_one_out_map` is the same for all codes of images with these labels; None where it may differ.

    Args:
        labels: (N,) int64 or (N, C) bool.

    Example:
        >>> cannot_choose(torch.tensor([3, 1, 2])), cannot_choose(torch.tensor([1, 1, 2]))
        ('no two of the 3 share a label', None)
    """
    count = len(labels)
    if count < 2:
        return f"there is {count} of them"
    sizes = labels.sum(0) if labels.ndim == 2 else torch.unique(labels, return_counts=True)[1]
    if sizes.max() < 2:
        return f"no two of the {count} share a label"
    return f"all {count} share a label" if sizes.max() == count else None


def answerable(labels: Tensor) -> int:
    """How many images have another one that is relevant for them: over their number, the mAP of perfect codes.

    Args:
        labels: (N,) int64 or (N, C) bool.

    Example:
        >>> answerable(torch.tensor([1, 1, 2]))
        2
    """
    if labels.ndim == 2:
        return int((labels & (labels.sum(0) > 1)).any(1).sum())
    _, kind, sizes = torch.unique(labels, return_inverse=True, return_counts=True)
    return int((sizes[kind] > 1).sum())


def leave_one_out_map(
    quantizer: Quantizer, embedding: NDArray[np.float32], labels: Tensor, *, device: torch.device
) -> float:
    """MAP of images that query each other, ties by expectation; none is in its own answer.

    Args:
        quantizer: makes the codes, which are compared by its own distance.
        embedding: (N, D) float32, at least two rows.
        labels: (N,) int64 or (N, C) bool.
        device: where to compute.

    Returns:
        The mean over all images; one without a relevant other counts 0. NaN for a single image.
    """
    if len(embedding) < 2:
        return float("nan")
    values = labels.numpy()
    side = Side(quantizer.encode(embedding), embedding, embedding, values)
    order = main_way(quantizer).order(side, side, quantizer, device=device)
    return float(torch.cat([average_precision(buckets) for buckets in order.others()]).mean())
