"""Spectral hashing: the smoothest functions on a box around the data, cut at 0.

N vectors, F dimensions, B bits, P principal directions.
"""

import numpy as np
from numpy.typing import NDArray

from dqh.quantizers.sign_hash import Labels, SignHash, Vectors, principal_directions, project, require_vectors


class SpectralHash(SignHash):
    """Signs of the Laplacian's eigenfunctions on a box in principal coordinates (Weiss et al. 2008).

    A box with side [a, b] along a principal direction has the eigenfunctions sin(π/2 + kπ (x − a) / (b − a)), which are
    cos(kπ (x − a) / (b − a)), with eigenvalues 1 − exp(−ε²/2 · (kπ / (b − a))²), k = 1, 2, … The B smallest
    over all directions and all k are taken; whatever ε, they are those of smallest k / (b − a), and of equal ones that
    of smaller k, then of larger variance. As in the authors' code a and b are the least and the largest
    coordinate, and outside of [a, b] the cosine just goes on.

    Args:
        bits: B, any number from 1, else `ValueError`: there are as many k as wanted.
        seed: of the solver of the PCA for large inputs; nothing else is random.

    Attributes:
        phase: (B,) float64, radians, there after `fit`: function b is cos((x − mean) · projection_b − phase_b).
    """

    phase: NDArray[np.float64]

    def _learn(self, vectors: Vectors, labels: Labels | None) -> None:
        """Learn the box and choose the functions; errors as of `require_vectors`."""
        require_vectors(vectors, least=2)
        mean, directions = principal_directions(
            vectors, min(self.bits, vectors.shape[1], len(vectors) - 1), seed=self.seed
        )
        coordinates = project(vectors, directions, mean=mean)
        least = coordinates.min(axis=0)
        modes, axes = smoothest_modes(coordinates.max(axis=0) - least, self.bits)
        frequencies = np.pi * modes
        self.dimension, self.mean = vectors.shape[1], mean
        self.projection = directions[:, axes] * frequencies
        self.phase = least[axes] * frequencies

    def values(self, vectors: Vectors) -> NDArray[np.float64]:
        """(N, B) float64 eigenfunctions of vectors (N, F), which are not checked."""
        return np.cos(super().values(vectors) - self.phase)


def smoothest_modes(sides: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The eigenfunctions of smallest eigenvalue on a box.

    Args:
        sides: (P,) lengths of its sides, at least one above 0; sides of 0 have no eigenfunctions.
        count: B, how many are wanted.

    Returns:
        (B,) float64 k / side, half periods a unit of length, ascending, and (B,) int64 the direction of each.

    Example:
        >>> smoothest_modes(np.array([5.0, 2.0]), 4)
        (array([0.2, 0.4, 0.5, 0.6]), array([0, 0, 1, 0]))
    """
    sides = np.where(sides > 0, sides, np.nan)
    modes = (np.arange(1, count + 1)[:, None] / sides).ravel()
    order = np.argsort(modes, kind="stable")[:count]  # NaN comes last
    return modes[order], order % len(sides)
