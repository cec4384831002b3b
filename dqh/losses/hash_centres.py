"""A code for every class, known before the training and far from the codes of the other classes; targets from them.

N images, C classes, B bits. Codes are written with −1 and 1.
"""

import math

import torch
from torch import Tensor, nn

CANDIDATES = 256
"""Random codes among which the next centre is chosen."""


def hash_centres(classes: int, bits: int, *, seed: int = 0) -> Tensor:
    """Codes of the classes: B a power of two and C ≤ 2B gives rows of ±a Hadamard matrix, else they are drawn.

    The Hamming distance between two rows of a Hadamard matrix, or of one and the negative of another, is B / 2: they
    are orthogonal. With C > B some classes get the opposites of others, at distance B. Drawn codes have ⌊B / 2⌋ ones.

    Yuan et al., CVPR 2020, §3.2 and Algorithm 1. Departures: the rows, and which of them are negated, are drawn too,
    since the first C rows have whole columns in common and a constant first one; and where codes must be drawn, each is
    the one of `CANDIDATES` that is farthest from its nearest predecessor, where the authors draw all of them again
    until they are far enough apart.

    Args:
        classes: C, at least 1.
        bits: B, at least 1.
        seed: of all draws.

    Returns:
        (C, B) float32 of −1 and 1, all rows different, on the CPU, where they are drawn whatever the default device.

    Raises:
        ValueError: a number below 1, or more classes than codes were found.

    Example:
        >>> centres = hash_centres(4, 4)
        >>> centres @ centres.T
        tensor([[4., 0., 0., 0.],
                [0., 4., 0., 0.],
                [0., 0., 4., 0.],
                [0., 0., 0., 4.]])
    """
    if classes < 1 or bits < 1:
        raise ValueError(f"classes and bits must be at least 1, got {classes} and {bits}")
    generator = torch.Generator().manual_seed(seed)
    if bits & (bits - 1) == 0 and classes <= 2 * bits:
        signs = torch.randint(2, (bits, 1), generator=generator, device="cpu") * 2.0 - 1
        rows = signs * _hadamard(bits)[torch.randperm(bits, generator=generator, device="cpu")]
        return torch.cat([rows, -rows])[:classes]
    centres = _drawn(1, bits, generator)
    while len(centres) < classes:
        candidates = _drawn(CANDIDATES, bits, generator)
        nearest = (candidates @ centres.T).amax(dim=1)
        if nearest.min() == bits:
            raise ValueError(
                f"no {classes} different codes with half of {bits} bits set were found for the classes; take more bits"
            )
        centres = torch.cat([centres, candidates[nearest.argmin()][None]])
    return centres


def centre_classifier(classes: int, bits: int, *, seed: int = 0) -> nn.Linear:
    """A classifier that does not train: the class whose centre has the largest inner product with an embedding.

    Args:
        classes: C.
        bits: B.
        seed: of the centres.

    Returns:
        (N, B) → (N, C), its weight the `hash_centres`, its bias 0.

    Raises:
        ValueError: as for `hash_centres`.
    """
    centres = hash_centres(classes, bits, seed=seed)
    classifier = nn.Linear(bits, classes).requires_grad_(False)
    classifier.weight.copy_(centres)
    classifier.bias.zero_()
    return classifier


def centre_targets(labels: Tensor, centres: Tensor, *, ties: Tensor) -> Tensor:
    """The code that each image should get: the centre of its class, or the majority of the centres of its classes.

    Yuan et al., CVPR 2020, §3.2: bits on which the centres are split evenly come from a random code. As in the authors'
    code, that is one code for all images.

    Args:
        labels: (N,) int64, or (N, C) bool.
        centres: (C, B) float of −1 and 1.
        ties: (B,) float of −1 and 1.

    Returns:
        (N, B) of −1 and 1; rows of 0 for images without a label.

    Example:
        >>> centres = torch.tensor([[1.0, 1, -1], [1, -1, -1]])
        >>> centre_targets(torch.tensor([[True, True], [False, False]]), centres, ties=torch.tensor([-1.0, -1, 1]))
        tensor([[ 1., -1., -1.],
                [ 0.,  0.,  0.]])
    """
    if labels.ndim == 1:
        return centres[labels]
    with torch.autocast(centres.device.type, enabled=False):
        votes = labels.to(centres.dtype) @ centres
    return torch.where(votes == 0, ties, votes.sign()).where(labels.any(dim=1, keepdim=True), 0.0)


def _hadamard(size: int) -> Tensor:
    """The Hadamard matrix of Sylvester, (size, size), for a power of two."""
    matrix = torch.ones(1, 1, device="cpu")
    for _ in range(round(math.log2(size))):
        matrix = torch.cat([torch.cat([matrix, matrix], dim=1), torch.cat([matrix, -matrix], dim=1)])
    return matrix


def _drawn(count: int, bits: int, generator: torch.Generator) -> Tensor:
    """(count, bits): random codes, each with ⌊bits / 2⌋ ones."""
    order = torch.rand(count, bits, generator=generator, device="cpu").argsort(dim=1)
    return (order < bits // 2) * 2.0 - 1
