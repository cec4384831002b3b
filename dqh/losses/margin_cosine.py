"""Softmax over the cosines between an embedding and the codes of the classes."""

import torch
from torch import Tensor
from torch.nn import functional

from dqh.losses.precision import wide


def margin_cosine_loss(
    embedding: Tensor, labels: Tensor, *, centres: Tensor, scale: float = 8.0, margin: float = 0.2
) -> Tensor:
    """Cross-entropy of scaled cosines, those of the image's own classes made harder by a margin.

    With cosines t_c between the embedding and the code of class c, and y = 1 for the image's L classes, else 0:
    −Σ_c (y_c / L)·log softmax_c(s·(t − m·y)).

    Hoe, Ng, Zhang, Chan, Song and Xiang, NeurIPS 2021, §3; several labels share the target evenly, as in the authors'
    code, whose values are the defaults. Computed in float32, also under autocast.

    Args:
        embedding: (N, B) float.
        labels: (N,) int64, or (N, C) bool; an image without a label costs nothing.
        centres: (C, B) float, codes of the classes.
        scale: s.
        margin: m, in units of a cosine.

    Returns:
        Scalar, the mean over the images.

    Example:
        >>> centres = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
        >>> margin_cosine_loss(torch.tensor([[3.0, 0.0]]), torch.tensor([0]), centres=centres, margin=0.0)  # log 2
        tensor(0.6931)
    """
    with torch.autocast(embedding.device.type, enabled=False):
        values = wide(embedding)
        cosines = functional.normalize(values, dim=1) @ functional.normalize(centres.to(values.dtype), dim=1).T
    wanted = functional.one_hot(labels, len(centres)) if labels.ndim == 1 else labels
    wanted = wanted.to(cosines.dtype)
    share = wanted / wanted.sum(dim=1, keepdim=True).clamp(min=1)
    return -(share * functional.log_softmax(scale * (cosines - margin * wanted), dim=1)).sum(dim=1).mean()
