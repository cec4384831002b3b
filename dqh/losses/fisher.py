"""Centres of classes that are far apart and near the codes of their images: deep Fisher hashing.

N images, C classes, B bits.
"""

import torch
from torch import Tensor


def fisher_centres(
    centres: Tensor, targets: Tensor, labels: Tensor, *, between: float, sign: float, rounds: int
) -> Tensor:
    """The centres after some steps down the gradient of the within-class, between-class and quantization errors.

    With V (C, B), Y (N, C) of 0 and 1, b (N, B) and T = B(2I − 1): the means of (YV − b)², ν(VVᵀ − T)² and
    η(V − sgn V)². Li, Pei, Zha and van Gemert, BMVC 2019. Departures: the step is 1 over a bound of the second
    derivative for values in −1 … 1, where the authors have .03; a few rounds a batch that go on from the last ones,
    where they have 200.

    Args:
        centres: V, (C, B) float.
        targets: b, (N, B) of −1 and 1, codes of the images.
        labels: (N,) int64, or (N, C) bool.
        between: ν, at least 0.
        sign: η, at least 0.
        rounds: steps.

    Returns:
        (C, B), without gradient.

    Example:
        >>> fisher_centres(torch.zeros(1, 1), torch.ones(1, 1), torch.tensor([0]), between=0.0, sign=0.0, rounds=1)
        tensor([[1.]])
    """
    classes, bits = centres.shape
    wanted = bits * (2 * torch.eye(classes, device=centres.device) - 1)
    members = torch.nn.functional.one_hot(labels, classes) if labels.ndim == 1 else labels
    members = members.to(centres.dtype)
    labelled = members.sum(dim=1).max().clamp(min=1)
    rate = 1 / (2 * labelled / bits + 16 * between * bits / classes + 2 * sign / (classes * bits))
    with torch.no_grad(), torch.autocast(centres.device.type, enabled=False):
        for _ in range(rounds):
            within = 2 / targets.numel() * members.T @ (members @ centres - targets)
            between_classes = 4 / classes**2 * (centres @ centres.T - wanted) @ centres
            rounding = 2 / centres.numel() * (centres - centres.sign())
            centres = centres - rate * (within + between * between_classes + sign * rounding)
    return centres


def fisher_targets(embedding: Tensor, centres: Tensor, labels: Tensor, *, pull: float) -> Tensor:
    """The code that each image should get: the sign of u + μ·Σ c over the centres of its classes, without gradient.

    Li, Pei, Zha and van Gemert, BMVC 2019.

    Args:
        embedding: (N, B) float, u.
        centres: (C, B), whose signs are the centres c.
        labels: (N,) int64, or (N, C) bool.
        pull: μ, at least 0.

    Returns:
        (N, B) of −1 and 1.

    Example:
        >>> fisher_targets(torch.tensor([[0.1, 0.3]]), torch.tensor([[-1.0, -1.0]]), torch.tensor([0]), pull=0.2)
        tensor([[-1.,  1.]])
    """
    signs = centres.sign()
    with torch.no_grad(), torch.autocast(centres.device.type, enabled=False):
        own = signs[labels] if labels.ndim == 1 else labels.to(signs.dtype) @ signs
        return torch.where(embedding + pull * own > 0, 1.0, -1.0)
