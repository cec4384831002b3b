"""Pairs of images for losses that compare relaxed codes two by two: who is similar to whom, and means over pairs.

N images, M that they are compared with, B bits, C classes. Images are similar where they share a label.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from dqh.losses.precision import wide
from dqh.losses.similarity import share_label


class Pairs(NamedTuple):
    """N images and the M that each is compared with, in float32 or float64.

    Attributes:
        first: (N, B), with gradients.
        second: (M, B).
        labels: of the first, (N,) int64 or (N, C) bool.
        others: of the second, likewise.
        counted: (N, M) bool, which pairs there are; an image and itself are none.
    """

    first: Tensor
    second: Tensor
    labels: Tensor
    others: Tensor
    counted: Tensor

    def similar(self) -> Tensor:
        """(N, M) bool: which pairs share a label."""
        return share_label(self.labels, self.others)

    def products(self) -> Tensor:
        """(N, M) inner products ⟨u, v⟩, also under autocast in full."""
        with torch.autocast(self.first.device.type, enabled=False):
            return self.first @ self.second.T

    def distances(self) -> Tensor:
        """(N, M) squared Euclidean distances |u − v|², at least 0."""
        lengths = self.first.square().sum(1)[:, None] + self.second.square().sum(1)
        return (lengths - 2 * self.products()).clamp(min=0)

    def mean(self, costs: Tensor, *, balanced: bool = False) -> Tensor:
        """Mean of (N, M) costs over the pairs that there are; 0 where there is none.

        Args:
            costs: of each pair; those of pairs that are none must be finite.
            balanced: similar pairs together weigh as much as dissimilar ones together, however rare they are; a kind
                that does not occur leaves everything to the other.
        """
        kinds = [self.counted]
        if balanced:
            similar = self.similar()
            kinds = [self.counted & similar, self.counted & ~similar]
        means = torch.stack([(costs * kind).sum() / kind.sum().clamp(min=1) for kind in kinds])
        occurring = torch.stack([kind.any() for kind in kinds]).sum().clamp(min=1)
        return means.sum() / occurring


def within(embedding: Tensor, labels: Tensor) -> Pairs:
    """All ordered pairs of two different images of a batch.

    Args:
        embedding: (N, B) float; half precision becomes float32.
        labels: (N,) int64, or (N, C) bool.

    Raises:
        TypeError: labels that are neither integers nor bool.
        ValueError: labels of another shape, or none.

    Example:
        >>> pairs = within(torch.tensor([[1.0], [2.0], [-1.0]]), torch.tensor([0, 0, 1]))
        >>> pairs.mean(pairs.products())  # 2, −1 and −2, twice each
        tensor(-0.3333)
    """
    values = wide(embedding)
    others = ~torch.eye(len(values), dtype=torch.bool, device=values.device)
    return Pairs(values, values, labels, labels, others)
