"""Optimized product quantization: a rotation before the cut into parts, fitted together with the codebooks.

N vectors of D dimensions, M subspaces of d = D / M dimensions.
"""

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.quantizers.codebooks import cluster, training_rows, warm_start
from dqh.quantizers.product import ProductQuantizer

STEPS = 4
"""Iterations of k-means between two rotations."""


class OptimizedProductQuantizer(ProductQuantizer):
    """A product quantizer whose `rotation` R is learned (Ge et al. 2013, §3.1, the non-parametric solution).

    It minimises Σ ‖z R − y‖² over R and codebooks, y the decoded z R, in turns: some iterations of k-means on z R from
    the last codebooks, then R = U Vᵀ of the singular value decomposition Zᵀ Y = U S Vᵀ (orthogonal Procrustes).
    It starts from no rotation, or from that of the parametric solution (§3.2), principal directions dealt to the
    subspaces so that the products of their variances balance: whichever k-means leaves less error with. The second
    ended with 1 to 4 % less error on deep features, the first with up to 25 % less on pixels; and from the first no
    turn can end above plain product quantization. At the end k-means runs once more on the rotated vectors.

    Args and errors are those of `ProductQuantizer`, `iterations` those of k-means at the start and at the end, and
    `rotations`, at least 1, the number of turns.
    """

    def __init__(
        self,
        subspaces: int,
        codewords: int,
        *,
        iterations: int = 25,
        rotations: int = 25,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ) -> None:
        super().__init__(subspaces, codewords, iterations=iterations, seed=seed, device=device)
        if rotations < 1:
            raise ValueError(f"rotations must be at least 1, got {rotations}")
        self.rotations = rotations

    def fit(self, vectors: NDArray[np.floating[Any]], *, start: NDArray[np.floating[Any]] | None = None) -> Self:
        """Fit rotation and codebooks.

        A warm `start` begins at the present rotation where there is one and at none else, since codebooks mean nothing
        under another rotation. Arguments, result and errors as for `ProductQuantizer.fit`.
        """
        rows = training_rows(self, vectors)
        generator = torch.Generator().manual_seed(self.seed)
        codebooks = warm_start(self, start, rows)
        if codebooks is None:
            rotation, codebooks = self._best_start(rows)
        elif self.rotation is not None:
            rotation = torch.from_numpy(self.rotation.copy()).to(self.device)
        else:
            rotation = torch.eye(rows.shape[1], device=self.device)
        for _ in range(self.rotations):
            codebooks, assignment = cluster(self, rows @ rotation, codebooks, generator, iterations=STEPS)
            rotation = procrustes(rows, _decoded(codebooks, assignment))
        codebooks, _ = cluster(self, rows @ rotation, codebooks, generator)
        self._keep(codebooks.cpu().numpy(), rotation.cpu().numpy())
        return self

    def _best_start(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Of no rotation and the balanced one that with less error after k-means, and its codebooks."""
        solutions = []
        for rotation in (torch.eye(rows.shape[1], device=self.device), balanced_rotation(rows, self.subspaces)):
            rotated = rows @ rotation
            start = cluster(self, rotated, None, torch.Generator().manual_seed(self.seed))
            error = float((rotated - _decoded(*start)).square().sum(dtype=torch.float64))
            solutions.append((error, rotation, start[0]))
        _, rotation, codebooks = min(solutions, key=lambda solution: solution[0])
        return rotation, codebooks


def procrustes(vectors: Tensor, targets: Tensor) -> Tensor:
    """The orthogonal R, (D, D), with the smallest Σ ‖x R − y‖² (Schönemann 1966).

    Example:
        >>> procrustes(torch.eye(2), torch.tensor([[0.0, 1.0], [-1.0, 0.0]])).round().tolist()
        [[0.0, 1.0], [-1.0, 0.0]]
    """
    left, _, right = torch.linalg.svd((vectors.T @ targets).double())
    rotation: Tensor = left @ right
    return rotation.to(vectors.dtype)


def balanced_rotation(vectors: Tensor, subspaces: int) -> Tensor:
    """Principal directions, the largest first, each dealt to the subspace whose variances have the smallest product.

    A subspace that has its D / M directions gets no more (Ge et al. 2013, §3.2.3, eigenvalue allocation).

    Returns:
        (D, D) float32, orthogonal; columns m·D/M to (m + 1)·D/M − 1 are the directions of subspace m.
    """
    centred = (vectors - vectors.mean(0)).double()
    variances, directions = torch.linalg.eigh(centred.T @ centred / len(vectors))
    variances, directions = variances.flip(0), directions.flip(1)
    logs = variances.clamp(min=float(variances[0]) * 1e-12 + 1e-300).log()
    room = vectors.shape[1] // subspaces
    dealt: list[list[int]] = [[] for _ in range(subspaces)]
    products = [0.0] * subspaces
    for column, log in enumerate((logs - logs.min()).tolist()):  # logarithms from 0 up: a direction never counts less
        subspace = min((m for m in range(subspaces) if len(dealt[m]) < room), key=lambda m: products[m])
        dealt[subspace].append(column)
        products[subspace] += log
    rotation: Tensor = directions[:, [column for columns in dealt for column in columns]]
    return rotation.to(vectors.dtype)


def _decoded(codebooks: Tensor, assignment: Tensor) -> Tensor:
    """(N, D): the codewords that an assignment (N, M) names."""
    subspaces = torch.arange(len(codebooks), device=codebooks.device)
    return codebooks[subspaces, assignment].flatten(1)
