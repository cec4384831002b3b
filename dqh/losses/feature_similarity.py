"""How far similarities of codes are from those of the features that they are made of: no labels.

N images of a batch, B bits, F dimensions of a feature.
"""

import torch
from torch import Tensor

from dqh.losses.pairwise import directions
from dqh.losses.precision import wide


def feature_similarity_loss(codes: Tensor, features: Tensor) -> Tensor:
    """Mean over ordered pairs of different images of (cos(b, b') − cos(x, x'))².

    The loss of the bi-half network (Li and van Gemert, AAAI 2021) and of GreedyHash without labels (Su, Zhang,
    Han and Tian, NeurIPS 2018). Departure: all pairs of a batch, where the authors' code takes image i with image
    i + N / 2. No gradient goes to the features. Computed in float32 at least.

    Args:
        codes: (N, B) float.
        features: (N, F) float. Vectors shorter than `SHORTEST` have cosine 0 with all others.

    Returns:
        Scalar, at least 0; 0 of a single image.

    Raises:
        ValueError: shapes that do not fit.

    Example:
        >>> import torch
        >>> codes = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
        >>> feature_similarity_loss(codes, torch.tensor([[1.0, 0.0], [3.0, 0.0]]))  # cosines 0 and 1
        tensor(1.)
    """
    if codes.ndim != 2 or features.ndim != 2 or len(codes) != len(features):
        raise ValueError(
            f"codes and features must be (N, B) and (N, F), got shapes {tuple(codes.shape)} and {tuple(features.shape)}"
        )
    differences = _cosines(codes) - _cosines(features.detach())
    pairs = len(codes) * (len(codes) - 1)
    return differences.square().fill_diagonal_(0).sum() / max(1, pairs)


def _cosines(vectors: Tensor) -> Tensor:
    values = wide(vectors)
    with torch.autocast(values.device.type, enabled=False):
        unit = directions(values)
        return unit @ unit.T
