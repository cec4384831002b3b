"""The sign as a layer that can be trained through."""

import torch
from torch import Tensor


def straight_through_sign(embedding: Tensor) -> Tensor:
    """The sign of every value, −1 or 1; the gradient passes as if nothing had happened.

    Su, Zhang, Han and Tian, NeurIPS 2018, §3. Departure: the sign of 0 is −1 and not 0, as it is in the code.

    Args:
        embedding: (N, B) float.

    Returns:
        (N, B), of the same type.

    Example:
        >>> straight_through_sign(torch.tensor([[0.3, -2.0, 0.0]]))
        tensor([[ 1., -1., -1.]])
    """
    signs = torch.where(embedding > 0, 1.0, -1.0).to(embedding.dtype)
    return signs + (embedding - embedding.detach())  # the difference is exactly 0; h + (sign − h) would be rounded
