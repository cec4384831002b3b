"""Several lengths of code from one training: what the loop needs to know of heads that share a backbone.

Each head learns as if it were alone, and the backbone follows the mean of their gradients. Where the inputs are
vectors, there is no network to share and the heads are all the work: the further ones then learn after the main one, of
which they take units to begin with (`train_lengths`). What that costs in time and mAP is in
benchmarks/results/lengths.md.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

BITS = "bits_"
"""Before the number in the name of a child that learns another length."""

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


def take_units(own: Mapping[str, Tensor], theirs: Mapping[str, Tensor], *, bits: tuple[int, int]) -> None:
    """Copy the weights of one length into those of another, unit by unit of the layer that makes the codes.

    A shorter length takes evenly chosen units; a longer one puts all there are at evenly chosen places, and keeps what
    it has at the others. What has no units, as the biases of a classifier, is copied; what differs in another size
    stays.

    Args:
        own: name → weights, written into.
        theirs: those of the other length, under the same names among others.
        bits: own number and theirs.
    """
    few, many = sorted(bits)
    units = torch.arange(few) * many // few
    with torch.no_grad():
        for name, value in own.items():
            given = theirs[name].to(value.device)
            sizes = list(zip(value.shape, given.shape, strict=True))
            if any(pair[0] != pair[1] and pair != bits for pair in sizes):
                continue  # it is of something else than units
            places = [units if pair[0] != pair[1] else torch.arange(pair[0]) for pair in sizes]
            block = torch.meshgrid(*places, indexing="ij") if places else ()
            if bits[0] == few:
                value.copy_(given[block])
            else:
                value[block] = given


class _Divided(torch.autograd.Function):
    """A tensor as it is; its gradient is divided by a number."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, count: int) -> Tensor:
        ctx.count = count
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] / ctx.count, None
