"""How far an embedding is from its own signs: two penalties on |h| − 1."""

import math

import torch
from torch import Tensor
from torch.nn import functional


def cubic_sign_penalty(embedding: Tensor) -> Tensor:
    """Mean of | |h| − 1 |³ over all values, the penalty of GreedyHash.

    Su, Zhang, Han and Tian, NeurIPS 2018, §3, ‖H − sgn(H)‖ₚ to the power of p = 3; the mean is that of the authors'
    code. Where h = 0 the gradient is 0.

    Args:
        embedding: (N, B) float, h.

    Returns:
        Scalar, at least 0.

    Example:
        >>> import torch
        >>> cubic_sign_penalty(torch.tensor([[3.0, 1.0, 0.0, -1.5]]))  # (8 + 0 + 1 + 1/8) / 4
        tensor(2.2812)
    """
    return (_wide(embedding).abs() - 1).abs().pow(3).mean()


def log_cosh_sign_penalty(embedding: Tensor) -> Tensor:
    """Mean of log cosh(|h| − 1) over all values, the penalty of central similarity quantization.

    Yuan, Wang, Zhang, Tay, Jie, Liu and Feng, CVPR 2020, §3.3, where h in 0 … 1 enters as |2h − 1|; a smooth form of
    | |h| − 1 |. Departure: a mean and not a sum. Where h = 0 the gradient is 0.

    Args:
        embedding: (N, B) float, h.

    Returns:
        Scalar, at least 0.

    Example:
        >>> import torch
        >>> log_cosh_sign_penalty(torch.tensor([[1.0, -1.0, 0.0]]))  # log cosh 1 / 3
        tensor(0.1446)
    """
    distance = (_wide(embedding).abs() - 1).abs()
    return (distance + functional.softplus(-2 * distance) - math.log(2)).mean()  # cosh itself would overflow


def _wide(embedding: Tensor) -> Tensor:
    """In float32, where differences of near values keep digits; float64 stays."""
    return embedding.to(torch.promote_types(embedding.dtype, torch.float32))
