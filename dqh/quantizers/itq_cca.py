"""Iterative quantization after canonical correlation analysis with the labels, in place of PCA.

N vectors, F dimensions, C classes, B bits.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.quantizers.itq import learn_rotation
from dqh.quantizers.sign_hash import (
    Labels,
    SignHash,
    Vectors,
    chunks,
    label_indicators,
    project,
    require_iterations,
    require_vectors,
)


class Canonical(NamedTuple):
    """What canonical correlation analysis finds, the highest correlation first.

    Attributes:
        mean: (F,) of the vectors.
        directions: (F, min(F, C)), each scaled so that the vectors have variance 1 along it.
        correlations: (min(F, C),), in 0 … 1.
    """

    mean: NDArray[np.float64]
    directions: NDArray[np.float64]
    correlations: NDArray[np.float64]


class ITQCCA(SignHash):
    """The directions that correlate most with the labels, scaled by their correlations, then rotated as in ITQ.

    Gong and Lazebnik 2011, §4; the scaling is that of their released code. C classes, one a vector, leave at most C − 1
    directions with a correlation above 0. The released code takes further eigenvectors all the same and scales them by
    their correlation of 0; here their columns are 0 from the start, which is the same code and lets B exceed F. So
    more bits than C − 1 are more hyperplanes through the same C − 1 dimensions.

    Args:
        bits: B, any number from 1.
        seed, iterations: as of `ITQ`.
        regularisation: ρ, added to the diagonal of both covariances; 1e-4 as in the paper, but as a share of the mean
            variance of a dimension, so that the unit of the vectors does not matter.

    Raises:
        ValueError: `bits` is below 1, `iterations` is negative, or `regularisation` is not above 0.
    """

    def __init__(self, bits: int, *, seed: int = 0, iterations: int = 50, regularisation: float = 1e-4) -> None:
        super().__init__(bits, seed=seed)
        require_iterations(iterations)
        if not regularisation > 0:
            raise ValueError(f"regularisation must be above 0, got {regularisation}")
        self.iterations = iterations
        self.regularisation = regularisation

    def _learn(self, vectors: Vectors, labels: Labels | None) -> None:
        """Learn the projection; errors as of `require_vectors`, `label_indicators`, or for equal labels."""
        require_vectors(vectors, least=2)
        targets = label_indicators(labels, vectors)
        if (targets == targets[0]).all():
            raise ValueError("labels must differ between vectors, got the same for all")
        canonical = canonical_directions(vectors, targets, regularisation=self.regularisation)
        count = min(self.bits, len(canonical.correlations))
        directions = np.zeros((vectors.shape[1], self.bits))
        directions[:, :count] = (canonical.directions * canonical.correlations)[:, :count]
        rotation = learn_rotation(
            project(vectors, directions, mean=canonical.mean), iterations=self.iterations, seed=self.seed
        )
        self.dimension, self.mean, self.projection = vectors.shape[1], canonical.mean, directions @ rotation


def canonical_directions(vectors: Vectors, targets: NDArray[np.bool_], *, regularisation: float) -> Canonical:
    """Regularised canonical correlation analysis of vectors with class indicators, on the side of the vectors.

    With covariances Cxx + ρ I = Lx Lxᵀ and Cyy + ρ I = Ly Lyᵀ, the singular value decomposition
    Lx⁻¹ Cxy Ly⁻ᵀ = U diag(r) Vᵀ gives directions Lx⁻ᵀ U and correlations r: the generalised eigenvectors of
    Cxy (Cyy + ρ I)⁻¹ Cyx w = r² (Cxx + ρ I) w (Gong and Lazebnik 2011, §4). scikit-learn's CCA deflates one
    direction at a time and knows no ρ, which one-hot labels, whose Cyy is singular, need.

    Of vectors (N, F) and targets (N, C) bool, ρ as a share of the mean variance of a dimension, on either side.
    """
    count = len(vectors)
    mean = vectors.mean(axis=0, dtype=np.float64)
    indicators = targets - targets.mean(axis=0)
    within, between = np.zeros((len(mean), len(mean))), np.zeros((len(mean), targets.shape[1]))
    start = 0
    for chunk in chunks(vectors):
        chunk -= mean
        within += chunk.T @ chunk / count
        between += chunk.T @ indicators[start : start + len(chunk)] / count
        start += len(chunk)
    left = _factor(within, regularisation)
    right = _factor(indicators.T @ indicators / count, regularisation)
    whitened = np.linalg.solve(right, np.linalg.solve(left, between).T).T
    directions, correlations, _ = np.linalg.svd(whitened, full_matrices=False)
    return Canonical(mean, np.linalg.solve(left.T, directions), correlations)


def _factor(covariance: NDArray[np.float64], regularisation: float) -> NDArray[np.float64]:
    """The lower Cholesky factor of a covariance, its diagonal raised by a share of its mean."""
    share = regularisation * covariance.trace() / len(covariance)
    return np.linalg.cholesky(covariance + share * np.eye(len(covariance)))
