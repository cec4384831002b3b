"""How far an embedding is from its own signs: four penalties on |h| − 1."""

import math

from torch import Tensor
from torch.nn import functional

from dqh.losses.precision import wide


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
    return (wide(embedding).abs() - 1).abs().pow(3).mean()


def absolute_sign_penalty(embedding: Tensor) -> Tensor:
    """Mean of | |h| − 1 | over all values: of a whole code ‖ |h| − 1 ‖₁ / B.

    Liu, Wang, Shan and Chen, CVPR 2016, §3.2, and Zhang, Zou, Lin, Chen and Wang, TMM 2020, where it is a sum over
    the bits. Where h = 0
    the gradient is 0.

    Args:
        embedding: (N, B) float, h.

    Returns:
        Scalar, at least 0.

    Example:
        >>> import torch
        >>> absolute_sign_penalty(torch.tensor([[3.0, -1.0, 0.0]]))  # (2 + 0 + 1) / 3
        tensor(1.)
    """
    return (wide(embedding).abs() - 1).abs().mean()


def squared_sign_penalty(embedding: Tensor) -> Tensor:
    """Mean of (|h| − 1)² over all values: of a whole code ‖sgn(h) − h‖² / B.

    Li, Wang and Kang, IJCAI 2016, and Wang, Shi and Kitani, ACCV 2016, where it is a sum over the bits.
    Where h = 0 the gradient is 0.

    Args:
        embedding: (N, B) float, h.

    Returns:
        Scalar, at least 0.

    Example:
        >>> import torch
        >>> squared_sign_penalty(torch.tensor([[3.0, -1.0, 0.5]]))  # (4 + 0 + ¼) / 3
        tensor(1.4167)
    """
    return (wide(embedding).abs() - 1).square().mean()


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
    distance = (wide(embedding).abs() - 1).abs()
    return (distance + functional.softplus(-2 * distance) - math.log(2)).mean()  # cosh itself would overflow
