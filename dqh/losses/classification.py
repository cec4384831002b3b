"""Cross-entropy of class scores, for one label an image or several."""

from torch import Tensor
from torch.nn import functional


def classification_loss(scores: Tensor, labels: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Softmax cross-entropy for single labels; for multi-labels the mean of a sigmoid cross-entropy a class.

    Args:
        scores: (N, C) float, before softmax or sigmoid.
        labels: (N,) int64, or (N, C) bool.
        label_smoothing: share of the target spread over all classes, 0 … 1; single labels only.

    Returns:
        Scalar, the mean over the images.

    Example:
        >>> import torch
        >>> classification_loss(torch.zeros(1, 4), torch.tensor([2]))  # log 4
        tensor(1.3863)
    """
    if labels.ndim == 2:
        return functional.binary_cross_entropy_with_logits(scores, labels.to(scores.dtype))
    return functional.cross_entropy(scores, labels, label_smoothing=label_smoothing)
