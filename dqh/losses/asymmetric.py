"""Codes of the database learned beside a network that encodes queries: asymmetric deep supervised hashing.

N images in a batch, M with codes, B bits. Similarities are 1 and, for images that share no label, t.
"""

import torch
from torch import Tensor

from dqh.losses.pairs import Pairs
from dqh.losses.similarity import share_label

PART = 8192
"""Rows of a similarity matrix that are held at a time."""


def asymmetric_loss(pairs: Pairs, *, negative_target: float) -> Tensor:
    """Mean over pairs of (⟨u, v⟩ / B − s)², u of the network and v codes of −1 and 1.

    Jiang and Li, AAAI 2018, first term of the objective; divided by the number of pairs and B².

    Args:
        pairs: u with gradients, v without.
        negative_target: t, the s of pairs that share no label.

    Returns:
        Scalar, at least 0; 0 where there is no pair.

    Example:
        >>> codes = torch.tensor([[1.0, 1.0]])
        >>> pairs = Pairs(codes / 2, codes, torch.tensor([0]), torch.tensor([1]), torch.ones(1, 1, dtype=torch.bool))
        >>> asymmetric_loss(pairs, negative_target=-1.0)  # (½ + 1)²
        tensor(2.2500)
    """
    targets = torch.where(pairs.similar(), 1.0, negative_target)
    return pairs.mean((pairs.products() / pairs.first.shape[1] - targets).square())


def database_codes(
    codes: Tensor,
    embedding: Tensor,
    *,
    labels: Tensor,
    places: Tensor,
    negative_target: float,
    weight: float,
) -> Tensor:
    """The codes once more, bit after bit, each the best for the others and for the embeddings of some images.

    Of V (M, B), U (m, B) and S (m, M): with Q = −2B·SᵀU − 2γ·Ū, Ū being U at its places and 0 elsewhere, bit k becomes
    −sgn(2·V̂·Ûᵀ·u_k + q_k), where V̂ and Û lack bit k. Jiang and Li, AAAI 2018, Eq. 10. Departure: the sign of 0
    leaves a bit as it is.

    Args:
        codes: V, (M, B) of −1 and 1.
        embedding: U, (m, B), of the images that query.
        labels: of all M, int64 or (M, C) bool.
        places: (m,) int64, which of them query.
        negative_target: t.
        weight: γ.

    Returns:
        (M, B) of −1 and 1.

    Example:
        >>> codes, labels = torch.tensor([[1.0], [1.0]]), torch.tensor([0, 1])
        >>> where = {"labels": labels, "places": torch.tensor([0]), "negative_target": -1.0, "weight": 1.0}
        >>> database_codes(codes, torch.tensor([[-0.5]]), **where)  # Q = (1 + 1, −1)
        tensor([[-1.],
                [ 1.]])
    """
    bits, codes = codes.shape[1], codes.clone()
    own, total = labels[places], embedding.sum(dim=0)
    linear = torch.empty_like(codes)
    for start in range(0, len(codes), PART):
        similar = share_label(labels[start : start + PART], own).to(codes.dtype)
        linear[start : start + PART] = similar @ embedding
    linear = -2 * bits * ((1 - negative_target) * linear + negative_target * total)
    linear.index_add_(0, places, embedding, alpha=-2 * weight)
    products = embedding.T @ embedding
    for k in range(bits):
        rest = products[:, k].clone()
        rest[k] = 0
        wanted = 2 * (codes @ rest) + linear[:, k]
        codes[:, k] = torch.where(wanted == 0, codes[:, k], -wanted.sign())
    return codes
