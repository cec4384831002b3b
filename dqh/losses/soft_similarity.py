"""Pairs of images that share a part of their labels: the soft similarity of improved deep hashing."""

import torch
from torch import Tensor
from torch.nn import functional

from dqh.losses.pairs import Pairs


def soft_similarity_loss(pairs: Pairs, *, scale: float, soft_weight: float, balanced: bool = False) -> Tensor:
    """Cross-entropy of pairs with the same labels or none in common, squared error of those between.

    With s the cosine between the label vectors of two images and x = α⟨u, v⟩: where s is 0 or 1, log(1 + eˣ) − s·x,
    else γ·(½(⟨u, v⟩ + B) − s·B)² / B, which wants as many equal bits as s says.

    Zhang, Zou, Lin, Chen and Wang, "Improved deep hashing with soft pairwise similarity for multi-label image
    retrieval", IEEE TMM 2020 (α = ½). Departures: a mean and not a sum, the squared error divided by B, so that both
    kinds grow as B does; an image and itself are no pair. A public script puts α⟨u, v⟩ in place of ⟨u, v⟩ into the
    squared error, which is then never 0 for s = 1; this follows the paper.

    Args:
        pairs: of relaxed codes, each value in −1 … 1.
        scale: α, above 0.
        soft_weight: γ, at least 0.
        balanced: see `Pairs.mean`; similar is who shares a label.

    Returns:
        Scalar; 0 where there is no pair. Of single labels it is `pair_likelihood_loss`.

    Example:
        >>> from dqh.losses.pairs import within
        >>> labels = torch.tensor([[True, True], [True, False]])  # s = 1/√2, half of the bits equal
        >>> soft_similarity_loss(within(torch.tensor([[1.0, 1], [1, -1]]), labels), scale=0.5, soft_weight=1.0)
        tensor(0.0858)
    """
    bits, products = pairs.first.shape[1], pairs.products()
    if pairs.labels.ndim == 1:
        targets = pairs.similar().to(products.dtype)
        soft = torch.zeros_like(pairs.counted)
    else:
        targets, soft = _cosines(pairs.labels, pairs.others)
    hard = functional.softplus(scale * products) - targets * scale * products
    squared = ((products + bits) / 2 - targets * bits).square() / bits
    return pairs.mean(torch.where(soft, soft_weight * squared, hard), balanced=balanced)


def _cosines(labels: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """The cosine of (N, C) and (M, C) bool, (N, M), and where it is neither 0 nor 1; without labels it is 0."""
    with torch.autocast(labels.device.type, enabled=False):
        common = labels.float() @ others.float().T  # whole numbers, so that equal sets are told exactly
    own, theirs = labels.float().sum(dim=1)[:, None], others.float().sum(dim=1)
    equal = (common == own) & (common == theirs)
    return common / (own * theirs).clamp(min=1).sqrt(), (common > 0) & ~equal
