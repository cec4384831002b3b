"""How well an embedding agrees with the codes that it should become."""

import torch
from torch import Tensor

from dqh.losses.precision import wide


def central_similarity_loss(embedding: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy between relaxed codes and their targets, mean over all bits: −log ½(1 + u·c).

    Yuan et al., CVPR 2020, §3.3, there with h = ½(1 + u) and bits of 0 and 1. Computed in float32, also under autocast;
    the logarithm is cut off at the smallest difference from 1 that a float has, log 1.2e-7 = −15.9 in float32.

    Args:
        embedding: (N, B) float, u in −1 … 1.
        targets: (N, B) float, c, −1 or 1; 0 where there is nothing to agree with, which costs log 2, whatever u is.

    Returns:
        Scalar, at least 0.

    Example:
        >>> central_similarity_loss(torch.tensor([[0.0, 0.5]]), torch.tensor([[1.0, -1.0]]))  # (log 2 + log 4) / 2
        tensor(1.0397)
    """
    values = wide(embedding)
    agreement = (1 + values * targets) / 2
    return -agreement.clamp(min=torch.finfo(values.dtype).eps).log().mean()
