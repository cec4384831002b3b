"""Losses against vectors of the classes, such as those of the words that name them.

N images, C classes, D dimensions.
"""

import torch
from torch import Tensor
from torch.nn import functional

from dqh.losses.pairwise import directions


def semantic_margin_loss(embedding: Tensor, labels: Tensor, class_vectors: Tensor) -> Tensor:
    """Mean over images, classes i that they have and j that they have not, of max(0, δ_ij − cos(v_i, z) + cos(v_j, z)).

    The adaptive margin is δ_ij = 1 − cos(v_i, v_j): classes of unlike meaning are to be further apart (Cao, Long, Wang
    and Liu, CVPR 2017). Departure: a mean for each image, where the paper sums. Computed in float32 at least.

    Args:
        embedding: (N, D) float, z.
        labels: (N,) int64, or (N, C) bool; an image with no class, or with all, counts 0.
        class_vectors: (C, D) float, v; no gradient goes to them.

    Returns:
        Scalar, at least 0.

    Raises:
        ValueError: shapes that do not fit.

    Example:
        >>> vectors = torch.eye(2)  # δ = 1
        >>> semantic_margin_loss(torch.tensor([[3.0, 4.0]]), torch.tensor([0]), vectors)  # 1 − .6 + .8
        tensor(1.2000)
    """
    if embedding.ndim != 2 or class_vectors.ndim != 2 or embedding.shape[1] != class_vectors.shape[1]:
        raise ValueError(
            f"embedding and class vectors must be (N, D) and (C, D), got shapes {tuple(embedding.shape)} and "
            f"{tuple(class_vectors.shape)}"
        )
    wide = embedding.to(torch.promote_types(embedding.dtype, torch.float32))
    with torch.autocast(wide.device.type, enabled=False):
        unit = directions(class_vectors.detach().to(wide.dtype))
        cosines, margins = directions(wide) @ unit.T, 1 - unit @ unit.T
    if labels.ndim == 1:
        own = cosines.gather(1, labels[:, None])
        violations = functional.relu(margins[labels] - own + cosines)
        return violations.scatter(1, labels[:, None], 0).sum(1).mean() / max(1, len(unit) - 1)
    violations = functional.relu(margins - cosines[:, :, None] + cosines[:, None])
    counted = labels[:, :, None] & ~labels[:, None]
    return ((violations * counted).sum((1, 2)) / counted.sum((1, 2)).clamp(min=1)).mean()


def semantic_quantization_loss(errors: Tensor, class_vectors: Tensor) -> Tensor:
    """Mean over images of Σ_c (v_c · (z − C h))²: what quantization changes of inner products with the classes.

    The visual-semantic quantization loss (Cao, Long, Wang and Liu, CVPR 2017), whose sum over images is a mean here.

    Args:
        errors: (N, D) float, z − C h.
        class_vectors: (C, D) float, v.

    Returns:
        Scalar, at least 0.

    Example:
        >>> semantic_quantization_loss(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0.0], [1.0, 1.0]]))  # 1 + 9
        tensor(10.)
    """
    with torch.autocast(errors.device.type, enabled=False):
        return (errors @ class_vectors.to(errors.dtype).T).square().sum(1).mean()
