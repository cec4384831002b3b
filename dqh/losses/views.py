"""Losses of two views of the same images: nothing else says what is alike.

N images, B bits, D dimensions.
"""

import torch
from torch import Tensor
from torch.nn import functional

from dqh.losses.pairwise import directions
from dqh.losses.precision import wide


def nt_xent_loss(first: Tensor, second: Tensor, *, temperature: float) -> Tensor:
    """Mean over the 2N views of −log of the share of its other view: exp(cos / τ) against those of all other views.

    NT-Xent (Chen, Kornblith, Norouzi and Hinton, ICML 2020, eq. 1). Computed in float32 at least.

    Args:
        first: (N, D) float, one view of each image.
        second: (N, D) float, the other.
        temperature: τ, above 0.

    Returns:
        Scalar; 0 of a single image, whose other view is the only one.

    Raises:
        ValueError: shapes that do not fit.

    Example:
        >>> one = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> nt_xent_loss(one, one, temperature=1.0)  # log((e + 2) / e)
        tensor(0.5514)
    """
    _require_alike(first, second)
    values = wide(torch.cat([first, second]))
    with torch.autocast(values.device.type, enabled=False):
        unit = directions(values)
        scores = unit @ unit.T / temperature
    itself = torch.eye(len(values), dtype=torch.bool, device=values.device)
    targets = torch.arange(len(values), device=values.device).roll(len(first))
    return functional.cross_entropy(scores.masked_fill(itself, -torch.inf), targets)


def bernoulli_divergence(first: Tensor, second: Tensor) -> Tensor:
    """Mean over images of the sum over bits of (KL(p‖q) + KL(q‖p)) / 2, p and q the sigmoids of two views.

    The bound on what codes know of their image beyond its other view (Qiu, Su, Ou, Yu and Chen, IJCAI 2021).
    (KL(p‖q) + KL(q‖p)) / 2 = (p − q)(u − v) / 2 for p = σ(u), q = σ(v), which never overflows.

    Args:
        first: (N, B) float, u.
        second: (N, B) float, v.

    Returns:
        Scalar, at least 0.

    Raises:
        ValueError: shapes that do not fit.

    Example:
        >>> bernoulli_divergence(torch.tensor([[0.0]]), torch.tensor([[2.0]]))  # (.8808 − .5) · 2 / 2
        tensor(0.3808)
    """
    _require_alike(first, second)
    u, v = wide(first), wide(second)
    return ((torch.sigmoid(u) - torch.sigmoid(v)) * (u - v) / 2).sum(1).mean()


def code_alignment_loss(first: Tensor, second: Tensor) -> Tensor:
    """Mean over images and bits of the binary cross-entropy of each view's logits to the code of the other.

    Cross-view code alignment (Moummad, Zaher, Goëau and Joly, CVPRW 2026): both directions, half each; the code is
    logits > 0 and gets no gradient.

    Args:
        first: (N, B) float, logits.
        second: (N, B) float.

    Returns:
        Scalar, at least 0.

    Raises:
        ValueError: shapes that do not fit.

    Example:
        >>> code_alignment_loss(torch.tensor([[2.0]]), torch.tensor([[-1.0]]))  # (log(1 + e²) + log(1 + e)) / 2
        tensor(1.7201)
    """
    _require_alike(first, second)
    u, v = wide(first), wide(second)
    cross_entropy = functional.binary_cross_entropy_with_logits
    return (cross_entropy(u, (v > 0).to(u.dtype)) + cross_entropy(v, (u > 0).to(v.dtype))) / 2


def coding_rate(embedding: Tensor, *, precision: float) -> Tensor:
    """½ log det(I + D / (N ε²) ZᵀZ) of vectors at length 1: nats to tell them apart up to ε, large where they spread.

    Ma, Derksen, Hong and Wright, PAMI 2007, as a regulariser Yu, Chan, You, Song and Ma, NeurIPS 2020.

    Args:
        embedding: (N, D) float, Z before its rows get length 1.
        precision: ε, above 0.

    Returns:
        Scalar, at least 0.

    Example:
        >>> coding_rate(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), precision=1.0)  # ½ log det(2 I) = log 2
        tensor(0.6931)
    """
    values = wide(embedding)
    rows, dimension = values.shape
    with torch.autocast(values.device.type, enabled=False):
        unit = directions(values)
        identity = torch.eye(dimension, dtype=values.dtype, device=values.device)
        rate: Tensor = torch.linalg.slogdet(identity + dimension / (rows * precision**2) * unit.T @ unit).logabsdet / 2
    return rate


def _require_alike(first: Tensor, second: Tensor) -> None:
    if first.ndim != 2 or first.shape != second.shape or len(first) == 0:
        raise ValueError(
            f"both views must be (N, D) of the same images, got shapes {tuple(first.shape)} and {tuple(second.shape)}"
        )
