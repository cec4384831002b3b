"""What pairs of images should look like: their targets and their weights, from single labels or multi-labels.

N images of a batch, C classes. The matrices are N × N.
A pair is positive where the two images share a label. An image and itself are a positive pair even without a label.
"""

import math
from typing import Literal

import torch
from torch import Tensor

NegativeTarget = float | Literal["balanced"]
PositiveWeight = float | Literal["balanced"]


def similarity_targets(labels: Tensor, *, negative: NegativeTarget = -1.0) -> Tensor:
    """The similarity that each pair should have: 1 for positive pairs, `negative` for the others.

    Args:
        labels: (N,) integers, one class an image, or (N, C) bool, one column a class.
        negative: −1 … 1, 1 excluded; or "balanced", −1 / (C − 1) for the C classes that occur in the batch, the
            cosine between the corners of a regular simplex: as far apart as C directions can be.

    Returns:
        (N, N) float32.

    Raises:
        TypeError: labels that are neither integers nor bool.
        ValueError: a target out of range or of an unknown name, labels of another shape, or no images.

    Example:
        >>> import torch
        >>> similarity_targets(torch.tensor([0, 0, 1]), negative=0)
        tensor([[1., 1., 0.],
                [1., 1., 0.],
                [0., 0., 1.]])
    """
    _require_labels(labels)
    if negative != "balanced" and not (isinstance(negative, int | float) and -1 <= negative < 1):
        raise ValueError(f"negative target must be 'balanced' or in −1 … 1, 1 excluded, got {negative!r}")
    if negative == "balanced":
        value = (-1 / (_classes(labels) - 1).clamp(min=1).double()).float()
    else:
        value = torch.full((), float(negative), device=labels.device)
    return torch.where(_positive(labels), 1.0, value)


def pair_weights(labels: Tensor, *, positive_weight: PositiveWeight = 1.0, diagonal: bool = True) -> Tensor:
    """How much each pair counts, with mean 1 over all N × N pairs, so that mean(weights · errors) is a weighted mean.

    Args:
        labels: (N,) integers, one class an image, or (N, C) bool, one column a class.
        positive_weight: weight of a positive pair where a negative one weighs 1, above 0; or "balanced": all positive
            pairs together weigh as much as all negative ones. A kind of pair that does not occur leaves everything to
            the other.
        diagonal: whether the pairs of an image and itself count, as positive pairs.

    Returns:
        (N, N) float32, at least 0. All 0 where there is no pair: one image without the diagonal.

    Raises:
        TypeError: labels that are neither integers nor bool.
        ValueError: a weight out of range or of an unknown name, or labels as `similarity_targets` refuses them.

    Example:
        >>> import torch
        >>> pair_weights(torch.tensor([0, 0, 1]), positive_weight="balanced")  # 5 positive pairs, 4 negative
        tensor([[0.9000, 0.9000, 1.1250],
                [0.9000, 0.9000, 1.1250],
                [1.1250, 1.1250, 0.9000]])
    """
    _require_labels(labels)
    number = isinstance(positive_weight, int | float)
    if positive_weight != "balanced" and not (number and 0 < positive_weight < math.inf):
        raise ValueError(f"positive weight must be 'balanced' or a number above 0, got {positive_weight!r}")
    size, positive = len(labels), _positive(labels)
    positives = positive.sum() - (0 if diagonal else size)
    negatives = size**2 - (positives if diagonal else positives + size)
    if positive_weight == "balanced":
        heavy, light = 1 / positives.clamp(min=1), 1 / negatives.clamp(min=1)
    else:
        heavy, light = (torch.full((), value, device=labels.device) for value in (positive_weight, 1.0))
    total = heavy * positives + light * negatives
    weights = torch.where(positive, heavy, light)
    if not diagonal:
        weights.fill_diagonal_(0)
    return weights * (size**2 / total.where(total > 0, 1.0))


def share_label(labels: Tensor, others: Tensor) -> Tensor:
    """Which pairs of images share a label: what every loss over pairs means by similar.

    Args:
        labels: (N,) integers, one class an image, or (N, C) bool, one column a class.
        others: (M,) or (M, C), in the same form.

    Returns:
        (N, M) bool; an image without a label shares none, not even with itself.

    Raises:
        TypeError: labels that are neither integers nor bool.
        ValueError: labels of another shape, or no images.

    Example:
        >>> import torch
        >>> share_label(torch.tensor([0, 1]), torch.tensor([1, 1, 0]))
        tensor([[False, False,  True],
                [ True,  True, False]])
    """
    for side in (labels, others):
        _require_labels(side)
    if labels.ndim == 1:
        return labels[:, None] == others[None]
    with torch.autocast(labels.device.type, enabled=False):
        return labels.float() @ others.float().T > 0


def _positive(labels: Tensor) -> Tensor:
    """(N, N) bool: True where two images share a label, and for an image and itself."""
    return share_label(labels, labels).fill_diagonal_(True)


def _classes(labels: Tensor) -> Tensor:
    """How many classes occur, scalar int64; nothing waits for the device."""
    return labels.any(dim=0).sum() if labels.ndim == 2 else labels.sort().values.diff().ne(0).sum() + 1


def _require_labels(labels: Tensor) -> None:
    kind = "(N,) integers or (N, C) bool"
    if labels.is_floating_point() or labels.is_complex():
        raise TypeError(f"labels must be {kind}, got {labels.dtype}")
    if labels.ndim not in (1, 2) or (labels.ndim == 2) != (labels.dtype == torch.bool):
        raise ValueError(f"labels must be {kind}, got {labels.dtype} of shape {tuple(labels.shape)}")
    if len(labels) == 0:
        raise ValueError("labels are empty; a mean over pairs needs at least one image")
