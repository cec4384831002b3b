"""Binary reconstructive embeddings: bits whose Hamming distances reconstruct those that labels ask for.

N vectors, F dimensions, n labelled vectors, B bits.
"""

import numpy as np
from numpy.typing import NDArray

from dqh.quantizers.ksh import similarities
from dqh.quantizers.sign_hash import Labels, SignHash, Vectors, label_indicators, require_iterations, require_vectors


class BRE(SignHash):
    """Signs of linear functions that lower Σ (d − Hamming / B)² over pairs (Kulis and Darrell, NIPS 2009).

    Function b is Σ_q w_bq (x_bq − mean) · (x − mean) with anchors x_bq of its own: the paper's, of a linear kernel. The
    distance d of a pair is 0 where a label is shared and 1 else, the paper's supervised setting. One weight after
    another is set to the best of all values that it can have, with the others as they are: the sum never rises.

    Args:
        bits: B.
        seed: of the labelled sample, the anchors and the first weights.
        anchors: of each bit, at most; all labelled vectors where there are fewer. 50 as in the paper.
        labelled: n, at most; all vectors where there are fewer. The paper takes 1,000.
        iterations: passes over all weights, each B · anchors · n² operations.

    Raises:
        ValueError: `bits`, `anchors` or `labelled` is below 1, or `iterations` is negative.
    """

    def __init__(
        self, bits: int, *, seed: int = 0, anchors: int = 50, labelled: int = 500, iterations: int = 2
    ) -> None:
        super().__init__(bits, seed=seed)
        require_iterations(iterations)
        if anchors < 1 or labelled < 1:
            raise ValueError(f"anchors and labelled must be at least 1, got anchors={anchors}, labelled={labelled}")
        self.anchors = anchors
        self.labelled = labelled
        self.iterations = iterations

    def _learn(self, vectors: Vectors, labels: Labels | None) -> None:
        """Draw the sample and learn the weights; errors as of `require_vectors` and `label_indicators`."""
        require_vectors(vectors, least=2)
        targets = label_indicators(labels, vectors)
        generator = np.random.default_rng(self.seed)
        rows = generator.choice(len(vectors), min(self.labelled, len(vectors)), replace=False)
        mean = vectors.mean(axis=0, dtype=np.float64)
        sample = vectors[rows].astype(np.float64) - mean
        count = min(self.anchors, len(sample))
        chosen = [generator.choice(len(sample), count, replace=False) for _ in range(self.bits)]
        kernels = np.stack([sample @ sample[anchors].T for anchors in chosen])
        weights = generator.standard_normal((self.bits, count))
        wanted = (1 - similarities(targets[rows])) / 2
        weights = reconstructing_weights(kernels, wanted, start=weights, iterations=self.iterations)
        directions = [row @ sample[anchors] for row, anchors in zip(weights, chosen, strict=True)]
        self.dimension, self.mean, self.projection = vectors.shape[1], mean, np.stack(directions, axis=1)


def reconstructing_weights(
    kernels: NDArray[np.float64], wanted: NDArray[np.float64], *, start: NDArray[np.float64], iterations: int
) -> NDArray[np.float64]:
    """Weights W after some passes of coordinate descent on Σ_ij (d_ij − Σ_b e_b,ij / B)² (Kulis and Darrell 2009).

    e_b,ij is 1 where bit b of i and j differ, (1 − s_i s_j) / 2 for signs s. With the other bits as they are, the sum
    is a constant less ½ Σ_ij a_ij s_i s_j for a = 1 / B² − 2 r / B, r what they leave of d: a quadratic form in signs.

    Args:
        kernels: (B, n, s) values of the anchors of each bit for the labelled vectors.
        wanted: (n, n) d, symmetric, 0 on the diagonal.
        start: (B, s) weights to begin with.
        iterations: passes over all weights.

    Returns:
        (B, s).
    """
    weights, bits = start.copy(), len(kernels)
    signs = np.stack([_signs(kernel @ row) for kernel, row in zip(kernels, weights, strict=True)])
    products = signs.T @ signs
    for _ in range(iterations):
        for bit, kernel in enumerate(kernels):
            others = products - np.outer(signs[bit], signs[bit])
            left = wanted - (bits - 1 - others) / (2 * bits)
            form = 1 / bits**2 - 2 * left / bits
            np.fill_diagonal(form, 0)
            values = kernel @ weights[bit]
            for anchor, column in enumerate(kernel.T):
                step = best_step(values, column, form)
                weights[bit, anchor] += step
                values += step * column
            signs[bit] = _signs(kernel @ weights[bit])
            products = others + np.outer(signs[bit], signs[bit])
    return weights


def best_step(values: NDArray[np.float64], column: NDArray[np.float64], form: NDArray[np.float64]) -> float:
    """The δ for which signs s of `values` + δ `column`, both (n,), have the largest sᵀ A s, A (n, n) with diagonal 0.

    As δ grows, sign i changes once, at −value / column. After the first m changes, F the indices of these, it has grown
    by 4 (Σ_ij∈F s_i a_ij s_j − Σ_i∈F s_i (A s)_i) from the signs s before the first: sums over leading parts of A in
    that order. Where no other δ is better than 0, it is 0.
    """
    moving = np.flatnonzero(column)
    if len(moving) == 0:
        return 0.0
    turns = -values[moving] / column[moving]
    order = np.argsort(turns, kind="stable")
    moving, turns = moving[order], turns[order]
    signs = _signs(values)
    now = float(signs @ form @ signs)
    signs[moving] = -np.sign(column[moving])
    pulled = form @ signs
    part = form[np.ix_(moving, moving)] * np.outer(signs[moving], signs[moving])
    leading = 2 * np.tril(part, -1).sum(axis=1).cumsum()
    changes = 4 * (leading - (signs * pulled)[moving].cumsum())
    reached = float(signs @ pulled) + np.concatenate([[0.0], changes])
    best = int(reached.argmax())
    if reached[best] <= now + 1e-9 * max(1.0, abs(now)):
        return 0.0
    if best == 0:
        return float(turns[0]) - 1
    return float(turns[best - 1]) + 1 if best == len(turns) else float(turns[best - 1] + turns[best]) / 2


def _signs(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values >= 0, 1.0, -1.0)
