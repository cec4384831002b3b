"""Several lengths of code from one training: what the loop needs to know of heads that share a backbone.

Each head learns as if it were alone, and the backbone follows the mean of their gradients. Where the inputs are
vectors, there is no network to share and the heads are all the work: the further ones then take turns, and a long
training shows each of them every fourth batch. What that costs in time and mAP is in benchmarks/results/lengths.md.
"""

import re
from typing import Any

import torch
from torch import Tensor, nn

BITS = "bits_"
"""Before the number in the name of a child that learns another length."""

TURNS = 4
"""Of so many batches of vectors a further length learns from one, at most."""

STEPS = 1000
"""So many steps a further length takes before it skips any: a training of this many has no turns."""

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


def turns_of(steps: int) -> int:
    """Of how many batches of vectors a further length learns from one, in a training of so many steps: 1 … `TURNS`.

    Example:
        >>> [turns_of(steps) for steps in (30, 1_000, 2_100, 100_000)]
        [1, 1, 2, 4]
    """
    return min(TURNS, max(1, round(steps / STEPS)))


class _Divided(torch.autograd.Function):
    """A tensor as it is; its gradient is divided by a number."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, count: int) -> Tensor:
        ctx.count = count
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] / ctx.count, None
