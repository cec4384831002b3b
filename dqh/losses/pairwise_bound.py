"""What the pairwise cosine loss cannot fall below: the targets are rarely the cosines of any vectors.

N images, S their targets, W the weights of their pairs, G a matrix of cosines: positive semidefinite with diagonal 1.
"""

import torch
from torch import Tensor


@torch.no_grad()
def pairwise_bound(targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """A lower bound of mean(W · (S − G)²), whatever the embedding, its dimension and its scale.

    Valid for every symmetric S and every symmetric W ≥ 0. The diagonal may be masked or weighted: that of G is 1, so
    its terms are 0 where S is 1 there, and at least 0 elsewhere. Vectors without a direction do not break it either:
    off the diagonal their cosines are those of a direction orthogonal to all others.
    Exact for balanced single labels, where it is (C − 2)² / (C (C − 1)) for weights of 1 and targets ±1. Elsewhere the
    lowest loss may be higher. It is 0 where S can be met, and where W is 0 on pairs that P, below, needs. It says
    nothing about `inner_product_loss`, whose matrix has another diagonal.

    Proof, by weak duality. For a positive semidefinite P, ⟨P, G⟩ ≥ 0. Hence for t ≥ 0
        Σ w (s − g)² ≥ Σ w (s − g)² − 2t ⟨P, G⟩ ≥ −2t (tr P + Σ_{i≠j} p s) − t² Σ_{i≠j} p² / w,
    the smallest value over each g_ij, i ≠ j, with g_ii = 1. The best t gives ⟨P, S⟩² / Σ_{i≠j} (p² / w), if ⟨P, S⟩ < 0
    (the diagonal of S taken as 1). P is what S lacks to the nearest positive semidefinite matrix of trace N: with
    eigenvalues λ of S it has max(δ − λ, 0), δ such that Σ max(λ − δ, 0) = N. For W = 1 and 1 on the diagonal
    of S, the bound is at least Σ min(λ, 0)² / N², the squared distance to all positive semidefinite matrices.

    Args:
        targets: (N, N) float, symmetric, as `similarity_targets` gives it for a whole batch.
        weights: (N, N) float, symmetric, at least 0, as `pair_weights` gives it for a whole batch; None for 1.

    Returns:
        Scalar float64, at least 0. One eigendecomposition, O(N³).

    Raises:
        ValueError: a matrix that is not square or not symmetric, weights of another shape or below 0, or no images.

    Example:
        >>> import torch
        >>> targets = 2 * torch.eye(10) - 1  # one image a class, 10 classes
        >>> pairwise_bound(targets)  # 8² / (10 · 9)
        tensor(0.7111, dtype=torch.float64)
    """
    weights = torch.ones_like(targets) if weights is None else weights
    _require_symmetric("targets", targets)
    _require_symmetric("weights", weights)
    if weights.shape != targets.shape:
        raise ValueError(f"weights must be {tuple(targets.shape)} as the targets, got {tuple(weights.shape)}")
    if not bool((weights >= 0).all()):
        raise ValueError(f"weights must be at least 0, got {float(weights.min())}")
    size = len(targets)
    eigenvalues, vectors = torch.linalg.eigh(targets.double().clone().fill_diagonal_(1))
    lacking = (_shift(eigenvalues, total=size) - eigenvalues).clamp(min=0)
    gain = -(lacking * eigenvalues).sum()
    lack = (vectors * lacking @ vectors.T).fill_diagonal_(0)
    cost = torch.where(lack == 0, 0, lack**2 / weights.double()).sum()
    return torch.where(gain > 0, gain**2 / cost, 0) / size**2


def _shift(ascending: Tensor, *, total: float) -> Tensor:
    """δ with Σ max(λ − δ, 0) = total: the Euclidean projection onto a simplex (Duchi et al., ICML 2008, figure 1)."""
    descending = ascending.flip(0)
    shifts = (descending.cumsum(0) - total) / torch.arange(1, len(ascending) + 1, device=ascending.device)
    return shifts[(descending > shifts).nonzero().max()]


def _require_symmetric(name: str, matrix: Tensor) -> None:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) == 0:
        raise ValueError(f"{name} must be (N, N), one row and one column an image, got shape {tuple(matrix.shape)}")
    if not torch.equal(matrix, matrix.T):
        raise ValueError(f"{name} must be symmetric; the bound is that of a whole batch, not of some of its rows")
