"""Batch normalisation behind a linear layer, whose mean the layer's bias takes over: a sign needs nothing else."""

import torch
from torch import Tensor, nn
from torch.nn import functional

MOMENTUM = 0.1
"""Of the running mean and variance."""


def normalised(embedding: Tensor, *, linear: nn.Linear, variance: Tensor, training: bool) -> Tensor:
    """The embedding at mean 0 and variance 1 a dimension, without scale and shift.

    A batch norm does not feel the bias of the layer before it. So the running mean is kept there, as −bias, and the
    sign of the embedding is the sign of the normalised one: an artifact needs no batch norm.

    Args:
        embedding: (N, D) float, what `linear` gave.
        linear: the layer before; in training its bias moves, so it must get no gradient.
        variance: (D,) the running variance, which moves too.
        training: whether the batch has part in both; a batch of one image has not.

    Returns:
        (N, D), of the type of `variance`.
    """
    embedding = embedding.to(variance.dtype)
    mean = torch.zeros_like(variance)
    several = training and len(embedding) > 1
    standard = functional.batch_norm(embedding, mean, variance, training=several, momentum=MOMENTUM)
    if several:  # `mean` has become the share of the batch in the running mean of what the bias leaves
        with torch.no_grad():
            linear.bias.sub_(mean)
    return standard
