"""Hash centres that are chosen anew from a codebook while a network learns: center-reassigned hashing.

C classes, M candidates, B bits in G parts of d = B / G; each part has candidates of its own and is assigned by itself.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

WIDEST = 16
"""Bits of a part of which all words can be drawn from."""


def candidates(classes: int, bits: int, *, seed: int) -> NDArray[np.float32]:
    """Candidates for centres: M = 2C different words of the fewest bits d that divide B and have so many words.

    Yin, Yin, Hou, Liu, Chen and Zhang, AAAI 2026 ("Codebook-centric deep hashing"), Eq. 8: parts, and uniform draws
    without repetition. Departure: where no d up to `WIDEST` fits, one part of B bits, drawn until all words differ.

    Args:
        classes: C, at least 1.
        bits: B, at least 1.
        seed: of the draws.

    Returns:
        (G, M, d) of −1 and 1.

    Raises:
        ValueError: fewer than 2C words of B bits.

    Example:
        >>> candidates(3, 12, seed=0).shape  # 3 bits have 8 words, 6 are wanted
        (4, 6, 3)
    """
    count = 2 * classes
    if bits < 1 or (bits < 63 and count > 2**bits):
        raise ValueError(f"{bits} bits have fewer than {count} words, two a class; take more bits")
    rng = np.random.default_rng(seed)
    fitting = [width for width in range(1, min(bits, WIDEST) + 1) if bits % width == 0 and 2**width >= count]
    if fitting:
        width = fitting[0]
        words = np.stack([rng.choice(2**width, count, replace=False) for _ in range(bits // width)])
        return np.where(words[:, :, None] >> np.arange(width) & 1, 1, -1).astype(np.float32)
    drawn = np.empty((0, bits), np.float32)
    while len(drawn) < count:
        more = rng.choice(np.array([-1, 1], np.float32), (count, bits))
        drawn = np.unique(np.concatenate([drawn, more]), axis=0)
    return rng.permutation(drawn)[None, :count]


def reassigned(book: NDArray[np.float32], means: NDArray[np.float32], occurring: NDArray[np.bool_]) -> torch.Tensor:
    """The centres of the classes: in each part the candidates, one a class, that are nearest to its mean code in all.

    Yin et al., AAAI 2026, Eq. 5 … 7: the mean squared distance between the signs of a class's images and a candidate,
    2d − 2⟨mean, candidate⟩, by the Hungarian algorithm, which the paper has beside a greedy one.

    Args:
        book: (G, M, d), the candidates.
        means: (C, B), mean over the images of a class of their signs, of which one with L labels counts 1 / L.
        occurring: (C,) bool, which classes have images; the others take what is left.

    Returns:
        (C, B) float32 of −1 and 1, in each part all different.

    Example:
        >>> book = np.float32([[[1, 1], [1, -1], [-1, 1], [-1, -1]]])
        >>> reassigned(book, np.float32([[0.9, 0.8], [0.9, 0.1]]), np.array([True, True]))  # 1.7 and .8 of the products
        tensor([[ 1.,  1.],
                [ 1., -1.]])
    """
    parts, _, width = book.shape
    codes = np.where(occurring[:, None], means, 0).reshape(len(means), parts, width)
    chosen = [linear_sum_assignment(codes[:, part] @ book[part].T, maximize=True)[1] for part in range(parts)]
    return torch.from_numpy(np.concatenate([book[part, places] for part, places in enumerate(chosen)], axis=1))
