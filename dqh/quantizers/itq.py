"""Iterative quantization: principal components, rotated so that they lie near the corners of a cube.

N vectors, F dimensions, B bits.
"""

import numpy as np
from numpy.typing import NDArray

from dqh.quantizers.sign_hash import (
    Labels,
    SignHash,
    Vectors,
    principal_directions,
    project,
    require_iterations,
    require_vectors,
)


class ITQ(SignHash):
    """PCA to B dimensions and a rotation R that lowers ‖sgn(V R) − V R‖² (Gong and Lazebnik 2011, §2–3).

    Args:
        bits: B, at most F and at most N − 1, beyond which there is no principal component.
        seed: of the rotation that the iterations start from.
        iterations: alternations of codes and rotation; 50 as in the paper.

    Raises:
        ValueError: `bits` is below 1, or `iterations` is negative.
    """

    def __init__(self, bits: int, *, seed: int = 0, iterations: int = 50) -> None:
        super().__init__(bits, seed=seed)
        require_iterations(iterations)
        self.iterations = iterations

    def _learn(self, vectors: Vectors, labels: Labels | None) -> None:
        """Learn the projection; errors as of `require_vectors`, and `ValueError` for `bits` above F or N − 1."""
        require_vectors(vectors, least=2)
        rows, dimension = vectors.shape
        if self.bits > min(dimension, rows - 1):
            raise ValueError(
                f"bits must be at most F and at most N - 1, got {self.bits} for N = {rows} vectors of F = {dimension}"
            )
        mean, directions = principal_directions(vectors, self.bits, seed=self.seed)
        rotation = learn_rotation(project(vectors, directions, mean=mean), iterations=self.iterations, seed=self.seed)
        self.dimension, self.mean, self.projection = dimension, mean, directions @ rotation


def learn_rotation(projected: NDArray[np.float64], *, iterations: int, seed: int) -> NDArray[np.float64]:
    """The rotation R of iterative quantization.

    From a random R, in turn: codes A = sgn(V R), sgn(0) = +1; then R = Ŝ Sᵀ with the singular value decomposition
    Aᵀ V = S Ω Ŝᵀ (Gong and Lazebnik 2011, §2.2). ‖A − V R‖² never rises. With faiss's `ITQMatrix` (1.15.1) it did, and
    stayed near that of the random R, so that it is not used.

    Args:
        projected: V, (N, B), mean 0 a column.
        iterations: alternations; 0 leaves the random rotation.
        seed: of the first R, the orthogonal factor of a Gaussian matrix.

    Returns:
        (B, B) float64, orthogonal.
    """
    bits = projected.shape[1]
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((bits, bits)))
    for _ in range(iterations):
        codes = np.where(projected @ rotation >= 0, 1.0, -1.0)
        left, _, right = np.linalg.svd(codes.T @ projected)
        rotation = (left @ right).T
    return rotation
