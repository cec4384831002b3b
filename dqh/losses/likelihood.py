"""The likelihood of which pairs of images are similar, given their relaxed codes."""

import torch
from torch import Tensor
from torch.nn import functional

from dqh.losses.similarity import pair_weights, similarity_targets


def pairwise_likelihood_loss(embedding: Tensor, labels: Tensor, *, scale: float) -> Tensor:
    """Weighted negative log-likelihood of the pairs of a batch, the objective of HashNet.

    A pair is similar where the images share a label, s = 1, else s = 0. Its probability of being similar is the sigmoid
    of x = α⟨u, u'⟩, so it costs log(1 + eˣ) − s·x. All similar pairs together weigh as much as all dissimilar ones,
    however rare one kind is. With several labels an image, the weight of a similar pair is multiplied by c, the labels
    that both images have over those that either has.

    Cao, Long, Wang and Yu, ICCV 2017, Eq. 2 and 4. Departures: weights have mean 1 before c, those of Eq. 2 have 2, and
    the loss is a mean and not a sum; pairs are counted a batch; an image and itself are no pair; c is 1 for dissimilar
    pairs, which Eq. 2 would leave out. Computed in float32, also under autocast.

    Args:
        embedding: (N, B) float, u, each value in −1 … 1.
        labels: (N,) int64, or (N, C) bool.
        scale: α, above 0.

    Returns:
        Scalar; 0 where there is no pair.

    Raises:
        TypeError: labels that are neither integers nor bool.
        ValueError: labels of another shape, or none.

    Example:
        >>> pairwise_likelihood_loss(torch.zeros(3, 4), torch.tensor([0, 0, 1]), scale=1.0)  # log 2 a pair
        tensor(0.6931)
    """
    wide = embedding.to(torch.promote_types(embedding.dtype, torch.float32))
    with torch.autocast(embedding.device.type, enabled=False):
        logits = scale * wide @ wide.T
        weights = pair_weights(labels, positive_weight="balanced", diagonal=False)
        if labels.ndim == 2:
            weights = weights * _overlap(labels)
        costs = functional.softplus(logits) - similarity_targets(labels, negative=0) * logits
    return (weights * costs).mean()


def _overlap(labels: Tensor) -> Tensor:
    """Common labels of two images over all their labels, c of Eq. 2, (N, N) float32; 1 where none is common."""
    known = labels.float()
    common, counts = known @ known.T, known.sum(dim=1)
    return torch.where(common > 0, common / (counts[:, None] + counts - common).clamp(min=1), 1.0)
