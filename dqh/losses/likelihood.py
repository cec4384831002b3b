"""The likelihood of which pairs of images are similar, and which of three are, given their relaxed codes."""

import torch
from torch import Tensor
from torch.nn import functional

from dqh.losses.pairs import Pairs
from dqh.losses.precision import wide
from dqh.losses.similarity import pair_weights, similarity_targets

TRIPLETS = 2**22
"""Triplets of images that a batch is compared by, at most, where N · M is not more."""


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
    values = wide(embedding)
    with torch.autocast(embedding.device.type, enabled=False):
        logits = scale * values @ values.T
        weights = pair_weights(labels, positive_weight="balanced", diagonal=False)
        if labels.ndim == 2:
            weights = weights * _overlap(labels)
        costs = functional.softplus(logits) - similarity_targets(labels, negative=0) * logits
    return (weights * costs).mean()


def pair_likelihood_loss(pairs: Pairs, *, scale: float, margin: float = 0.0, balanced: bool = False) -> Tensor:
    """Negative log-likelihood of pairs, each of which costs as much as any other; with a margin, that of DFH.

    With x = α⟨u, v⟩ a similar pair costs log(1 + e^(m − x)), a dissimilar one log(1 + e^(m + x)). Without a margin that
    is log(1 + eˣ) − s·x with s = 1 and s = 0: Zhu, Long, Wang and Cao, AAAI 2016 (α = 1), and Li, Wang and Kang, IJCAI
    2016 (α = ½). Li, Pei, Zha and van Gemert, BMVC 2019, have the margin. Departures: a mean and not a
    sum; an image and itself are no pair.

    Args:
        pairs: of relaxed codes.
        scale: α, above 0.
        margin: m, of x.
        balanced: see `Pairs.mean`.

    Returns:
        Scalar; 0 where there is no pair.

    Example:
        >>> from dqh.losses.pairs import within
        >>> pair_likelihood_loss(within(torch.zeros(3, 4), torch.tensor([0, 0, 1])), scale=1.0)  # log 2 a pair
        tensor(0.6931)
    """
    similar = pairs.similar()
    logits = scale * pairs.products()
    return pairs.mean(functional.softplus(margin + torch.where(similar, -logits, logits)), balanced=balanced)


def triplet_likelihood_loss(pairs: Pairs, *, scale: float, margin: float) -> Tensor:
    """Negative log-likelihood that of two images the one that shares a label is the nearer: the objective of DTSH.

    With x = α⟨u, v⟩ an image, a similar and a dissimilar one cost log(1 + e^(m − x⁺ + x⁻)). Wang, Shi and Kitani, ACCV
    2016 (α = ½, m = B / 2). Departures: a mean and not a sum; of N images with M others each has at most
    `TRIPLETS` / (N · M) similar ones, at least 1: those that follow it, which in a shuffled batch are any.

    Args:
        pairs: of relaxed codes.
        scale: α, above 0.
        margin: m, of x.

    Returns:
        Scalar, the mean over triplets; 0 where there is none.

    Example:
        >>> from dqh.losses.pairs import within
        >>> triplet_likelihood_loss(within(torch.zeros(3, 4), torch.tensor([0, 0, 1])), scale=0.5, margin=0.0)  # log 2
        tensor(0.6931)
    """
    logits, similar = scale * pairs.products(), pairs.similar()
    rows, columns = logits.shape
    most = min(columns, max(1, TRIPLETS // (rows * columns)))
    places = torch.arange(columns, device=logits.device)
    distance = (places - torch.arange(rows, device=logits.device)[:, None]) % columns
    ahead, chosen = torch.where(pairs.counted & similar, columns - distance, 0).topk(most, dim=1)
    costs = functional.softplus(margin - logits.gather(1, chosen)[:, :, None] + logits[:, None])
    triplets = (ahead > 0)[:, :, None] & (pairs.counted & ~similar)[:, None]
    return (costs * triplets).sum() / triplets.sum().clamp(min=1)


def _overlap(labels: Tensor) -> Tensor:
    """Common labels of two images over all their labels, c of Eq. 2, (N, N) float32; 1 where none is common."""
    known = labels.float()
    common, counts = known @ known.T, known.sum(dim=1)
    return torch.where(common > 0, common / (counts[:, None] + counts - common).clamp(min=1), 1.0)
