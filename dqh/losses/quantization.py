"""How far embeddings are from their codewords.

N images, M subspaces, K codewords a subspace, D dimensions.
"""

import torch
from torch import Tensor

from dqh.losses.precision import wide


def product_quantization_loss(embedding: Tensor, codebooks: Tensor, assignment: Tensor) -> Tensor:
    """Mean over images of |z − C h|², squared L2: C block-diagonal of M codebooks, h one codeword of each.

    The product quantization loss Q of Cao, Long, Wang, Zhu and Wen, AAAI 2016. Departure: the paper sums over images,
    this is a mean, as in the authors' code. Gradients go to the embedding and, where they require it, to the codebooks;
    the paper's codebooks are learned by k-means and get none. Computed in float32 at least.

    Args:
        embedding: (N, D) float.
        codebooks: (M, K, D / M) float; subspace m is dimensions m · D / M … (m + 1) · D / M of the embedding.
        assignment: (N, M) int64, 0 … K − 1, the codeword of each image in each subspace.

    Returns:
        Scalar, at least 0.

    Raises:
        TypeError: an assignment that is not int64, or embeddings or codebooks that are not floating point.
        ValueError: shapes that do not fit, no images, or a codeword outside 0 … K − 1.

    Example:
        >>> import torch
        >>> codebooks = torch.tensor([[[0.0], [1.0]], [[0.0], [2.0]]])  # M = 2, K = 2, D = 2
        >>> product_quantization_loss(torch.tensor([[0.5, 3.0]]), codebooks, torch.tensor([[1, 1]]))  # .5² + 1²
        tensor(1.2500)
    """
    _require_fitting(embedding, codebooks, assignment)
    embedding = wide(embedding)
    # row n of the result is (C_1[h_n1], …, C_M[h_nM])
    codewords = codebooks[torch.arange(len(codebooks), device=codebooks.device), assignment].flatten(1)
    return (embedding - codewords).square().sum(dim=1).mean()


def _require_fitting(embedding: Tensor, codebooks: Tensor, assignment: Tensor) -> None:
    for name, values in (("embedding", embedding), ("codebooks", codebooks)):
        if not values.is_floating_point():
            raise TypeError(f"{name} must be floating point, got {values.dtype}")
    if assignment.dtype != torch.int64:
        raise TypeError(f"assignment must be int64, got {assignment.dtype}")
    if codebooks.ndim != 3:
        raise ValueError(f"codebooks must be (M, K, D/M), got shape {tuple(codebooks.shape)}")
    subspaces, count, width = codebooks.shape
    if embedding.ndim != 2 or embedding.shape[1] != subspaces * width or len(embedding) == 0:
        raise ValueError(
            f"embedding must be (N, {subspaces * width}) with N at least 1, as codebooks of shape "
            f"{tuple(codebooks.shape)} need it, got shape {tuple(embedding.shape)}"
        )
    if assignment.shape != (len(embedding), subspaces):
        raise ValueError(f"assignment must be {(len(embedding), subspaces)}, got shape {tuple(assignment.shape)}")
    if assignment.device.type != "cpu":  # a look would make the device wait at every step; it refuses them itself
        return
    low, high = (int(value) for value in assignment.aminmax())
    if low < 0 or high >= count:
        raise ValueError(f"assignment must be in 0 … {count - 1}, got {low} … {high}")
