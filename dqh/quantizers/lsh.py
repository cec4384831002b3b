"""Locality-sensitive hashing by random hyperplanes."""

from typing import ClassVar, Self

import numpy as np

from dqh.quantizers.sign_hash import Labels, SignHash, Vectors, require_vectors


class LSH(SignHash):
    """The sides of B random hyperplanes: two vectors at an angle θ differ in a bit with probability θ / π.

    Charikar 2002, §3. The normals are independent Gaussians as there; faiss's `IndexLSH` makes them orthogonal. The
    vectors are first centred on the mean of those that it is fitted on, a departure that the comparisons of Gong and
    Lazebnik (2011) share: vectors out of a ReLU, all of them in one orthant, would else have few codes. The first bits
    of a longer code are the shorter code of the same seed.

    Args:
        bits: B, any number from 1.
        seed: of the hyperplanes.

    Raises:
        ValueError: `bits` is below 1.
    """

    name: ClassVar[str] = "lsh"

    def fit(self, vectors: Vectors, labels: Labels | None = None) -> Self:
        """Draw the hyperplanes, through the mean of the vectors.

        Args:
            vectors: (N, F) float, finite, at least one.
            labels: not read.

        Returns:
            The object itself.

        Raises:
            ValueError: vectors of another shape or type, not finite, or none.
        """
        require_vectors(vectors, least=1)
        self.dimension = vectors.shape[1]
        self.mean = vectors.mean(axis=0, dtype=np.float64)
        self.projection = np.random.default_rng(self.seed).standard_normal((self.bits, self.dimension)).T
        return self
