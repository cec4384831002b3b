"""Supervised hashing with kernels: bits learned one after another from which pairs share a label.

N vectors, F dimensions, m anchors, l labelled vectors, P ≤ m dimensions of the whitened kernel space, B bits.
"""

import numpy as np
from numpy.typing import NDArray

from dqh.quantizers.sign_hash import (
    Labels,
    SignHash,
    Vectors,
    chunks,
    label_indicators,
    require_iterations,
    require_vectors,
)

_RANK = 1e-10
"""Directions of the kernel space are kept whose variance is above this share of the largest."""

_HALVINGS = 50
_PROGRESS = 1e-2


class KSH(SignHash):
    """Signs of kernel functions whose inner products approach the similarity of pairs (Liu et al. 2012).

    Function b is Σ_j a_jb (κ(x, x_j) − μ_j) with anchors x_j, κ the Gaussian kernel exp(−‖x − x_j‖² / (2σ²)), σ² the
    mean squared distance of vectors to anchors and μ_j the mean of κ(·, x_j), as in the authors' code. The weights
    make ‖H Hᵀ / B − S‖² small over a labelled sample, S = +1 where a label is shared and −1 otherwise, bit by bit.

    Both samples are drawn by the seed, uniformly and without replacement, so that S is l × l whatever N. For the
    spectral relaxation the kernel space is whitened over the labelled sample, dropping directions without variance: the
    eigenproblem of the paper is then an ordinary one, and also solvable where anchors repeat. The smoothed ascent steps
    in the weights a themselves, as the authors' code does; in the whitened space it fits the sample and little else.

    Args:
        bits: B, any number from 1.
        seed: of anchors and labelled sample.
        anchors: m, at most; all vectors where there are fewer. 300 as in the authors' code.
        labelled: l, at most; all vectors where there are fewer. 1,000 as in public code for CIFAR-10 and MNIST,
            where the authors' demonstration takes 2,000. Memory 16 l² bytes.
        iterations: of the smoothed ascent for a bit, at most; 500 as in the authors' code, 0 for the spectral
            relaxation alone.

    Attributes:
        anchor_vectors: (m, F) float64, there after `fit`, as the rest.
        mean: (m,) float64, μ.
        projection: (m, B) float64, the weights a.
        scale: 2σ², squared L2.

    Raises:
        ValueError: `bits`, `anchors` or `labelled` is below 1, or `iterations` is negative.
    """

    anchor_vectors: NDArray[np.float64]
    scale: float

    def __init__(
        self, bits: int, *, seed: int = 0, anchors: int = 300, labelled: int = 1000, iterations: int = 500
    ) -> None:
        super().__init__(bits, seed=seed)
        require_iterations(iterations)
        if anchors < 1 or labelled < 1:
            raise ValueError(f"anchors and labelled must be at least 1, got anchors={anchors}, labelled={labelled}")
        self.anchors = anchors
        self.labelled = labelled
        self.iterations = iterations

    def _learn(self, vectors: Vectors, labels: Labels | None) -> None:
        """Draw the anchors and learn the weights; errors as of `require_vectors` and `label_indicators`.

        A vector without any label is similar to itself alone.
        """
        require_vectors(vectors, least=2)
        targets = label_indicators(labels, vectors)
        generator = np.random.default_rng(self.seed)
        anchor_rows, rows = (
            generator.choice(len(vectors), min(limit, len(vectors)), replace=False)
            for limit in (self.anchors, self.labelled)
        )
        self.dimension = None  # not fitted while the parts below do not belong together
        self.anchor_vectors = vectors[anchor_rows].astype(np.float64)
        total = sum(float(_squared_distances(chunk, self.anchor_vectors).sum()) for chunk in chunks(vectors))
        self.scale = 2 * total / (len(vectors) * len(self.anchor_vectors))
        sums = sum((self._kernel(chunk).sum(axis=0) for chunk in chunks(vectors)), np.zeros(len(self.anchor_vectors)))
        self.mean = sums / len(vectors)
        centred = self._kernel(vectors[rows].astype(np.float64)) - self.mean
        similarity = similarities(targets[rows])
        self.projection = greedy_weights(centred, similarity, bits=self.bits, iterations=self.iterations)
        self.dimension = vectors.shape[1]

    def values(self, vectors: Vectors) -> NDArray[np.float64]:
        """(N, B) float64 kernel functions of vectors (N, F), which are not checked."""
        return super().values(self._kernel(vectors))

    def _kernel(self, vectors: Vectors) -> NDArray[np.float64]:
        """(N, m) κ(x, x_j)."""
        return np.exp(_squared_distances(vectors, self.anchor_vectors) / -self.scale)


def similarities(targets: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(l, l) float64: S, +1 where two vectors share a label and on the diagonal, −1 elsewhere; targets (l, C) bool."""
    indicators = targets.astype(np.float32)  # counts of shared labels are exact
    similarity = np.where(indicators @ indicators.T > 0.5, 1.0, -1.0)
    np.fill_diagonal(similarity, 1)
    return similarity


def greedy_weights(
    features: NDArray[np.float64], similarity: NDArray[np.float64], *, bits: int, iterations: int
) -> NDArray[np.float64]:
    """Weights of one bit after another, each for what those before it leave of B · S (Liu et al. 2012).

    With the residue R_b = B S − Σ_{t<b} h_t h_tᵀ, bit b maximises hᵀ R_b h over h = sgn(K a). First without the sign:
    aᵀ Kᵀ R_b K a is largest under aᵀ Kᵀ K a = l (spectral relaxation). Then with a sigmoid in its place, from there
    (sigmoid smoothing). Of the two that with the larger hᵀ R_b h is kept.

    Of K (l, m), centred, and S (l, l), symmetric, weights (m, B).
    """
    residue, whitening = bits * similarity, _whitening(features)
    white = features @ whitening
    weights = np.empty((features.shape[1], bits))
    for bit in range(bits):
        spectral = whitening @ np.linalg.eigh(white.T @ residue @ white)[1][:, -1]
        candidates = [spectral, smoothed_ascent(features, residue, start=spectral, iterations=iterations)]
        codes = [np.where(features @ candidate >= 0, 1.0, -1.0) for candidate in candidates]
        chosen = int(codes[1] @ residue @ codes[1] > codes[0] @ residue @ codes[0])
        weights[:, bit] = candidates[chosen]
        residue -= np.outer(codes[chosen], codes[chosen])
    return weights


def smoothed_ascent(
    features: NDArray[np.float64], residue: NDArray[np.float64], *, start: NDArray[np.float64], iterations: int
) -> NDArray[np.float64]:
    """A local maximum of φ(K a)ᵀ R φ(K a), φ(x) = 2 / (1 + e⁻ˣ) − 1 = tanh(x / 2), by Nesterov's method.

    The negated objective, −φᵀ R φ, has the gradient −Kᵀ ((R φ) ∘ (1 − φ ∘ φ)) (Liu et al. 2012). A step is halved until
    the quadratic bound at the point looked ahead to holds, and stays at that length. It ends, as the authors' code
    does, once a step changes the objective by at most l / 100.

    Of K (l, m) and R (l, l), symmetric, weights (m,), as `start` has them.
    """

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        smooth = np.tanh(features @ weights / 2)
        pulled = residue @ smooth
        return -float(smooth @ pulled), -features.T @ (pulled * (1 - smooth**2))

    before = now = start
    cost, momentum, inverse_step = loss(start)[0], (0.0, 1.0), 1.0
    for _ in range(iterations):
        ahead = now + (momentum[0] - 1) / momentum[1] * (now - before)
        ahead_cost, gradient = loss(ahead)
        for _ in range(_HALVINGS):
            point = ahead - gradient / inverse_step
            found_cost = loss(point)[0]
            if found_cost <= ahead_cost - gradient @ gradient / (2 * inverse_step):
                break
            inverse_step *= 2
        else:
            break
        before, now, gain, cost = now, point, abs(cost - found_cost), found_cost
        momentum = momentum[1], (1 + np.sqrt(1 + 4 * momentum[1] ** 2)) / 2
        if gain <= _PROGRESS * len(features):
            break
    return now


def _whitening(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """(m, P): T with (K T)ᵀ (K T) = l I, for K (l, m), over the directions in which K has variance."""
    variances, directions = np.linalg.eigh(centred.T @ centred / len(centred))
    kept = variances > _RANK * variances[-1]
    return np.asarray(directions[:, kept] / np.sqrt(variances[kept]))


def _squared_distances(vectors: Vectors, anchors: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, m) squared L2 of vectors (N, F) to anchors (m, F)."""
    from sklearn.metrics.pairwise import euclidean_distances  # a second of imports, for those who fit

    return np.asarray(euclidean_distances(vectors, anchors, squared=True))
