"""Losses over pairs of images: how far the similarities of embeddings are from those of their labels.

N images of a batch, D dimensions, B bits. Both losses are weighted means over the N × N ordered pairs, with targets and
weights from `dqh.losses.similarity`. What the cosine loss cannot fall below stands in `dqh.losses.pairwise_bound`.
"""

import math

import torch
from torch import Tensor

from dqh.losses.precision import wide
from dqh.losses.similarity import NegativeTarget, PositiveWeight, pair_weights, similarity_targets

SHORTEST = 1e-8
"""A vector shorter than this has no direction: its cosine with every vector is 0, and it gets no gradient."""


def pairwise_cosine_loss(
    embedding: Tensor,
    labels: Tensor,
    *,
    negative_target: NegativeTarget = -1.0,
    positive_weight: PositiveWeight = 1.0,
    diagonal: bool = True,
) -> Tensor:
    """Mean over pairs of (s − cos(z, z'))², s the target of the pair.

    The pairwise cosine loss of Cao, Long, Wang, Zhu and Wen, AAAI 2016. Departures: the paper sums over pairs, this is
    a mean, as in the authors' code; the paper's pairs are the defaults here, the other values are options.
    Computed in float32, also under autocast and for half precision; in float64 for float64 embeddings.

    Args:
        embedding: (N, D) float. Vectors shorter than `SHORTEST` have cosine 0 and no gradient.
        labels: (N,) integers, one class an image, or (N, C) bool, one column a class.
        negative_target: the cosine wanted of images without a common label: −1 … 1, 1 excluded; or "balanced",
            −1 / (C − 1) for the C classes that occur in the batch.
        positive_weight: weight of a pair with a common label where one without weighs 1, above 0; or "balanced": as
            much for all pairs with as for all pairs without.
        diagonal: whether an image and itself are a pair. Its term is 0 and has no gradient (unless the vector is
            shorter than `SHORTEST`), but it is counted in the mean.

    Returns:
        Scalar; 0 where there is no pair: one image without the diagonal.

    Raises:
        TypeError: embeddings that are not floating point; labels that are neither integers nor bool.
        ValueError: shapes that do not fit, labels as `similarity_targets` refuses them, or an option out of range.

    Example:
        >>> import torch
        >>> embedding = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
        >>> pairwise_cosine_loss(embedding, torch.tensor([0, 0, 1]))  # four cosines of 0 that should be −1
        tensor(0.4444)
    """
    vectors = _wide(embedding, labels)
    with torch.autocast(vectors.device.type, enabled=False):
        unit = directions(vectors)
        cosines = unit @ unit.T
    targets = similarity_targets(labels, negative=negative_target)
    weights = pair_weights(labels, positive_weight=positive_weight, diagonal=diagonal)
    return (weights * (targets - cosines) ** 2).mean()


def inner_product_loss(
    embedding: Tensor,
    labels: Tensor,
    *,
    bits: int,
    negative_target: NegativeTarget = -1.0,
    positive_weight: PositiveWeight = 1.0,
    diagonal: bool = True,
) -> Tensor:
    """Mean over pairs of (s − ⟨z, z'⟩ / B)², the loss that the deep quantization network argues against.

    That of supervised hashing by inner products of codes (Liu, Wang, Ji, Jiang and Chang, CVPR 2012; Xia, Pan, Lai, Liu
    and Yan, AAAI 2014) on real vectors, for the ablation; Cao et al., AAAI 2016, argue that it depends on their
    lengths. The diagonal has a gradient here: it pulls |z|² to B.

    Args:
        embedding: (N, D) float. D = B makes ⟨z, z'⟩ / B a similarity in −1 … 1 for entries in −1 … 1.
        labels: (N,) integers, one class an image, or (N, C) bool, one column a class.
        bits: B, at least 1; what inner products are divided by.
        negative_target: as for `pairwise_cosine_loss`, and so are the arguments that follow.
        positive_weight: weight of a pair with a common label.
        diagonal: whether an image and itself are a pair.

    Returns:
        Scalar, as `pairwise_cosine_loss`.

    Raises:
        TypeError: as `pairwise_cosine_loss`.
        ValueError: bits below 1, or as `pairwise_cosine_loss`.

    Example:
        >>> import torch
        >>> inner_product_loss(torch.tensor([[1.0, 1.0], [1.0, -1.0]]), torch.tensor([0, 0]), bits=2)
        tensor(0.5000)
    """
    if bits < 1:
        raise ValueError(f"bits must be at least 1, got {bits}")
    vectors = _wide(embedding, labels)
    with torch.autocast(vectors.device.type, enabled=False):
        similarities = vectors @ vectors.T / bits
    targets = similarity_targets(labels, negative=negative_target)
    weights = pair_weights(labels, positive_weight=positive_weight, diagonal=diagonal)
    return (weights * (targets - similarities) ** 2).mean()


def directions(vectors: Tensor) -> Tensor:
    """Vectors at length 1; those shorter than `SHORTEST` at 0, where neither value nor gradient is ever NaN."""
    lengths = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return vectors.div(lengths.where(lengths >= SHORTEST, math.inf))


def _wide(embedding: Tensor, labels: Tensor) -> Tensor:
    """The checked embedding, in float32 or float64."""
    if not embedding.is_floating_point():
        raise TypeError(f"embedding must be floating point, got {embedding.dtype}")
    if embedding.ndim != 2 or len(embedding) != len(labels):
        raise ValueError(f"embedding must be ({len(labels)}, D), one row a label, got shape {tuple(embedding.shape)}")
    return wide(embedding)
