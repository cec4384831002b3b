"""How soft assignments to codewords are spread: over a batch, and within each image.

N images, M subspaces, K codewords.
"""

from torch import Tensor


def gini_of_batch(shares: Tensor) -> Tensor:
    """Mean over subspaces of Σ_k (mean share of word k)²: 1 / K where all words are used alike, 1 where one is.

    To be lowered (Klein and Wolf, CVPR 2019, Gini batch diversity).

    Args:
        shares: (N, M, K) float, at least 0, sums of 1 over K.

    Returns:
        Scalar, 1 / K … 1.

    Example:
        >>> import torch
        >>> gini_of_batch(torch.tensor([[[1.0, 0.0]], [[0.5, 0.5]]]))  # .75² + .25²
        tensor(0.6250)
    """
    return shares.mean(0).square().sum(1).mean()


def gini_of_images(shares: Tensor) -> Tensor:
    """Mean over images and subspaces of Σ_k share²: 1 / K of an undecided image, 1 of one that is at a word.

    To be raised (Klein and Wolf, CVPR 2019, Gini sample); `shares` as of `gini_of_batch`.

    Example:
        >>> import torch
        >>> gini_of_images(torch.tensor([[[1.0, 0.0]], [[0.5, 0.5]]]))  # (1 + .5) / 2
        tensor(0.7500)
    """
    return shares.square().sum(2).mean()


def central_loss(first: Tensor, second: Tensor, centres: Tensor) -> Tensor:
    """Mean over images of (‖s − o‖² + ‖h − o‖²) / 2, o the centre of the image's class, s and h two forms of it.

    The joint central loss (Klein and Wolf, CVPR 2019): both forms come to the same place.

    Args:
        first: (N, D) float, s.
        second: (N, D) float, h.
        centres: (N, D) float, the centre of each image.

    Returns:
        Scalar, at least 0.

    Example:
        >>> import torch
        >>> central_loss(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]]), torch.zeros(1, 2))  # (1 + 4) / 2
        tensor(2.5000)
    """
    return ((first - centres).square().sum(1) + (second - centres).square().sum(1)).mean() / 2
