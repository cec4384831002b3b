"""Codes whose inner products are the similarities of images: a matrix of similarities, factorised.

Images with the same labels are similar to the same images, so that they share a code. S sets of labels, B bits.
"""

import numpy as np
from numpy.typing import NDArray

MOST_SETS = 20_000
"""Sets of labels of which a matrix is factorised, at most: a pass over them takes minutes from there on."""


def similarity_codes(
    sets: NDArray[np.bool_], counts: NDArray[np.int64], *, bits: int, seed: int, passes: int = 10
) -> NDArray[np.float32]:
    """Codes H for which H·Hᵀ / B is as near as can be to similarities of 1 and −1, in the mean over pairs of images.

    Minimises Σ n_a·n_b·(s_ab − h_a·h_b / B)² over H in −1 … 1 by coordinate descent: a value h moves by −g′(h) / g″(h),
    cut off at the ends of −1 … 1, with g′ and g″ the derivatives of the objective for h alone. Then the signs are
    taken. Xia, Pan, Lai, Liu and Yan, AAAI 2014, Eq. 2 … 8. Departures: the paper has a code for each image, equal
    labels or not, of which a pass takes a time that grows as the square of their number; here those with equal labels
    share one, and the objective is the same.

    Args:
        sets: (S, C) bool, different sets of labels, at most `MOST_SETS`.
        counts: (S,) int64, n: how many images have each, at least 1.
        bits: B, at least 1.
        seed: of the start, uniform in −1 … 1, and of the order.
        passes: over all values.

    Returns:
        (S, B) of −1 and 1.

    Raises:
        ValueError: no set, or more than `MOST_SETS`.

    Example:
        >>> codes = similarity_codes(np.eye(2, dtype=bool), np.ones(2, int), bits=4, seed=0)
        >>> codes @ codes.T  # two classes: opposite
        array([[ 4., -4.],
               [-4.,  4.]], dtype=float32)
    """
    if not 1 <= len(sets) <= MOST_SETS:
        raise ValueError(
            f"wanted 1 … {MOST_SETS} different sets of labels to factorise the similarities of, got {len(sets)}"
        )
    rng = np.random.default_rng(seed)
    codes = rng.uniform(-1, 1, (len(sets), bits))
    known, weights = sets.astype(np.float32), counts / counts.mean()
    for _ in range(passes):
        for row in rng.permutation(len(sets)):
            _descend(codes, row, np.where(known @ known[row] > 0, 1.0, -1.0), weights)
    return np.where(codes > 0, 1.0, -1.0).astype(np.float32)


def _descend(
    codes: NDArray[np.float64], row: int, similarities: NDArray[np.float64], weights: NDArray[np.float64]
) -> None:
    """Move the values of one code, one after the other, in place; an image without labels is similar to itself too."""
    bits, own, weight = codes.shape[1], codes[row], weights[row]
    similarities[row] = 1
    gram = (codes * weights[:, None]).T @ codes - weight * np.outer(own, own)
    target = bits * ((weights * similarities) @ codes - weight * own)
    for bit in range(bits):
        # of 2 Σ_b n_b (h_a·h_b − B s_ab)² over the others and n_a (h_a·h_a − B)², both over 4
        error = own @ own - bits
        slope = gram[bit] @ own - target[bit] + weight * error * own[bit]
        curvature = gram[bit, bit] + weight * (error + 2 * own[bit] ** 2)
        step = -slope / curvature if curvature > 0 else -np.sign(slope) * 2
        own[bit] = np.clip(own[bit] + step, -1, 1)
