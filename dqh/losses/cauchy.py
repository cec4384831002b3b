"""Cauchy distributions of the distance between relaxed codes: deep Cauchy hashing.

B bits; d(u, v) = B / 2 · (1 − cos(u, v)), for two codes of −1 and 1 the bits in which they differ.
"""

import torch
from torch import Tensor

from dqh.losses.pairs import Pairs
from dqh.losses.pairwise import directions
from dqh.losses.precision import wide

NEAREST = 1e-3
"""Bits that are added to the distance of dissimilar images, so that those at distance 0 have a finite loss."""


def cauchy_loss(pairs: Pairs, *, scale: float, balanced: bool = True) -> Tensor:
    """Mean over pairs of log(1 + d / γ) for similar and log(1 + γ / d) for dissimilar ones.

    Cao, Long, Liu and Wang, CVPR 2018, Eq. 5 … 8: s·log(d / γ) + log(1 + γ / d) with s = 1 and s = 0. Departures: the
    weights of similar and dissimilar pairs, Eq. 2, have mean 1 and not 2; d is `NEAREST` more for dissimilar pairs; an
    image and itself are no pair. A public script cuts cosines off at .99, whereupon dissimilar images that coincide get
    no gradient; these do.

    Args:
        pairs: of relaxed codes.
        scale: γ, bits, above 0.
        balanced: see `Pairs.mean`.

    Returns:
        Scalar, at least 0; 0 where there is no pair.

    Example:
        >>> from dqh.losses.pairs import within
        >>> codes = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
        >>> cauchy_loss(within(codes, torch.tensor([0, 0])), scale=1.0)  # one bit differs: log 2
        tensor(0.6931)
    """
    with torch.autocast(pairs.first.device.type, enabled=False):
        cosines = directions(pairs.first) @ directions(pairs.second).T
    distances = (pairs.first.shape[1] / 2 * (1 - cosines)).clamp(min=0)
    similar = pairs.similar()
    costs = torch.where(similar, distances / scale, scale / (distances + NEAREST)).log1p()
    return pairs.mean(costs, balanced=balanced)


def cauchy_sign_penalty(embedding: Tensor, *, scale: float) -> Tensor:
    """Mean over images of log(1 + d(|u|, 1) / γ), how far a relaxed code is from a corner of the cube.

    Cao, Long, Liu and Wang, CVPR 2018, Eq. 9; a mean and not a sum.

    Args:
        embedding: (N, B) float, u.
        scale: γ, bits, above 0.

    Returns:
        Scalar, at least 0.

    Example:
        >>> cauchy_sign_penalty(torch.tensor([[0.5, -0.5], [1.0, 0.0]]), scale=1.0)  # (0 + log(2 − 1/√2)) / 2
        tensor(0.1284)
    """
    lengths = directions(wide(embedding)).abs().sum(dim=1) / embedding.shape[1] ** 0.5  # the cosine with (1, … 1)
    costs: Tensor = (embedding.shape[1] / 2 * (1 - lengths) / scale).clamp(min=0).log1p()
    return costs.mean()
