"""The quantizer that makes points cells: a rotation, and a codebook of each half.

N vectors of D dimensions, c codewords of each half.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.quantizers.codebooks import cluster, training_rows
from dqh.quantizers.optimized import balanced_rotation
from dqh.quantizers.product import ProductQuantizer

ITERATIONS = 10
"""Of k-means."""


def fitted_quantizer(vectors: NDArray[np.float32], codewords: int, *, seed: int) -> ProductQuantizer:
    """A product quantizer of two subspaces with the rotation of the parametric solution (Ge et al. 2013, §3.2).

    On deep features the clusters of IQ-means had .6 % less distortion by a rotation refined in eight turns, for four
    times the time; `OptimizedProductQuantizer(2, codewords)` makes such a one.

    Args:
        vectors: (N, D) float32, finite, D even.
        codewords: c, at most N.
        seed: of k-means.

    Raises:
        ValueError: as `ProductQuantizer.fit`.
    """
    quantizer = ProductQuantizer(2, codewords, iterations=ITERATIONS, seed=seed)
    rows = training_rows(quantizer, vectors)
    rotation = balanced_rotation(rows, 2)
    codebooks, _ = cluster(quantizer, rows @ rotation, None, torch.Generator().manual_seed(seed))
    return ProductQuantizer.from_codebooks(codebooks.numpy(), rotation=rotation.numpy())
