"""Locality-sensitive hashing by random hyperplanes.

N vectors, F dimensions, B bits.
"""

import numpy as np
from numpy.typing import NDArray

from dqh.quantizers.sign_hash import Labels, SignHash, Vectors, require_vectors


class LSH(SignHash):
    """The sides of B random hyperplanes: two vectors at an angle θ differ in a bit with probability θ / π.

    Charikar 2002, §3. The normals there are independent Gaussians. Here they are made orthonormal by default, in blocks
    of F where B exceeds F, as in faiss's `IndexLSH`: each is distributed as before, but the number of bits in which two
    codes differ varies less (Ji et al. 2012, super-bit hashing), so that the same bits find more. The vectors are first
    centred on the mean of those that it is fitted on, a departure that the comparisons of Gong and
    Lazebnik (2011) share: vectors out of a ReLU, all of them in one orthant, would else have few codes. The first bits
    of a longer code are the shorter code of the same seed.

    Args:
        bits: B, any number from 1, else `ValueError`.
        seed: of the hyperplanes.
        orthogonal: whether the normals are orthonormal; independent Gaussians otherwise.
    """

    def __init__(self, bits: int, *, seed: int = 0, orthogonal: bool = True) -> None:
        super().__init__(bits, seed=seed)
        self.orthogonal = orthogonal

    def _learn(self, vectors: Vectors, labels: Labels | None) -> None:
        """Draw the hyperplanes, through the mean of the vectors; errors as of `require_vectors`."""
        require_vectors(vectors, least=1)
        self.dimension = vectors.shape[1]
        self.mean = vectors.mean(axis=0, dtype=np.float64)
        normals = np.random.default_rng(self.seed).standard_normal((self.bits, self.dimension)).T
        self.projection = orthonormal_blocks(normals) if self.orthogonal else normals


def orthonormal_blocks(normals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gram and Schmidt's orthonormal columns of each F columns in turn, of Gaussian normals (F, B); of the same shape.

    The signs are those of Gram and Schmidt, a positive diagonal of R, so that a column does not depend on later ones.
    """
    blocks = []
    for start in range(0, normals.shape[1], len(normals)):
        columns, triangle = np.linalg.qr(normals[:, start : start + len(normals)])
        blocks.append(columns * np.sign(np.diag(triangle)))
    return np.concatenate(blocks, axis=1)
