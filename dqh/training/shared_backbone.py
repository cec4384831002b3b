"""Several lengths of code from one training: what the loop needs to know of heads that share a backbone.

Each head learns as if it were alone, and the backbone follows the mean of their gradients. Where the inputs are
vectors, there is no network to share and the heads are all the work: each then learns from another quarter of every
batch, in turns. What that costs in time and mAP is in benchmarks/results/lengths.md.
"""

import re
from typing import Any

import torch
from torch import Tensor, nn

BITS = "bits_"
"""Before the number in the name of a child that learns another length."""

PARTS = 4
"""Into so many parts is a batch of vectors cut, of which each length sees one."""

_OF_CHILD = re.compile(rf"^{BITS}\d+\.")


def name_of_weight(name: str) -> str:
    """The name of a parameter, without the child that learns another length: what is said of it holds for all.

    Example:
        >>> name_of_weight("bits_16.encoder.head.linear.weight")
        'encoder.head.linear.weight'
    """
    return _OF_CHILD.sub("", name)


class MeanGradient:
    """A forward hook of a backbone on which several heads stand: their gradients reach it as their mean.

    Args:
        heads: how many.
    """

    def __init__(self, heads: int) -> None:
        self.heads = heads

    def __call__(self, backbone: nn.Module, inputs: Any, features: Tensor) -> Tensor:
        """The features as they are."""
        divided: Tensor = _Divided.apply(features, self.heads) if features.requires_grad else features
        return divided


def part_of(features: Tensor, labels: Tensor, *, turn: int) -> tuple[Tensor, Tensor]:
    """One of the `PARTS` parts of a batch of vectors, another one each `turn`; all of a batch of fewer rows."""
    size = len(labels) // PARTS
    if not size:
        return features, labels
    rows = slice(turn % PARTS * size, (turn % PARTS + 1) * size)
    return features[rows], labels[rows]


class _Divided(torch.autograd.Function):
    """A tensor as it is; its gradient is divided by a number."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, count: int) -> Tensor:
        ctx.count = count
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] / ctx.count, None
