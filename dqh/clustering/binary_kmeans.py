"""Binary k-means: clusters of packed bits by Hamming distance, with centres of bits (Gong et al. 2015).

N codes of B bits, U distinct ones, k clusters, W words of 64 bits a code.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dqh.clustering.binary_space import ASSIGNMENTS, Assignment, BinarySpace
from dqh.clustering.cell_points import Vectors
from dqh.clustering.code_clusters import CodeKMeans
from dqh.clustering.code_starts import Start
from dqh.clustering.distinct_codes import DistinctCodes
from dqh.clustering.resuming import KEEP_NOTHING, Checkpoints
from dqh.clustering.spreading import Spread
from dqh.clustering.vector_codes import encoded, fitted_itq
from dqh.codes import code_bytes, require_packed
from dqh.quantizers.itq import ITQ


class BinaryKMeans(CodeKMeans):
    """K-means of bits: a centre has of each bit what most of its codes have, where as many have either a 1.

    Distances are Hamming distances, which are squared L2 distances of bits, so that both steps lower their sum. Codes
    are assigned by comparing all, by a multi-index of the centres, or by the centres near to the one that a code
    had; all find the nearest, of equal ones the first.

    Args:
        n_clusters: k.
        bits: B; 8 a byte where nobody says, and 64, or D of fewer dimensions, for vectors.
        assignment: `brute_force`, `multi_index`, or `auto`: by the centre before, and what that leaves by whichever of
            the others is quicker for some of the codes.
        start: `random`, `k-means++` or `afk-mc2`, see `CodeKMeans`, as are `iterations`, `seed` and the attributes.
        iterations: at most.
        seed: of the start, and of ITQ.

    Attributes:
        bits_: B.
        quantizer_: the ITQ that made codes of vectors, None where codes were given.

    Raises:
        ValueError: an argument is out of its range.

    Example:
        >>> codes = np.array([[0b0000], [0b0001], [0b1111], [0b1110]], np.uint8)
        >>> clusters = BinaryKMeans(2, bits=4).fit(codes)
        >>> bool(clusters.labels_[0] == clusters.labels_[1] != clusters.labels_[2]), clusters.distortion_
        (True, 0.5)
    """

    def __init__(
        self,
        n_clusters: int,
        *,
        bits: int | None = None,
        assignment: Assignment = "auto",
        start: Start = "afk-mc2",
        iterations: int = 10,
        seed: int = 0,
    ) -> None:
        super().__init__(n_clusters, start=start, iterations=iterations, seed=seed)
        if bits is not None and bits < 1:
            raise ValueError(f"bits must be at least 1, got {bits}")
        if assignment not in ASSIGNMENTS:
            raise ValueError(f"assignment must be one of {', '.join(ASSIGNMENTS)}, got {assignment!r}")
        self.bits = bits
        self.assignment: Assignment = assignment
        self.quantizer_: ITQ | None = None

    def fit(
        self,
        codes: Vectors | NDArray[np.uint8],
        *,
        checkpoints: Checkpoints = KEEP_NOTHING,
        spread: Spread | None = None,
    ) -> Self:
        """Cluster codes (N, ⌈B / 8⌉) uint8, or vectors (N, D) float, which ITQ makes codes.

        The stages `quantizer`, `codes` and `iterations` of the checkpoints have what is done.

        Returns:
            Itself.

        Raises:
            ValueError: codes of another form or with bits behind B, vectors that are not finite or too few for ITQ, or
                fewer distinct codes than clusters.
        """
        if _are_vectors(codes):
            bits = self.bits or min(64, codes.shape[1])
            self.quantizer_ = fitted_itq(codes, bits, seed=self.seed, checkpoints=checkpoints)
            self.bits_ = bits
            packed = encoded(codes, self.quantizer_, checkpoints=checkpoints)
            return super().fit(packed, checkpoints=checkpoints, spread=spread)
        self.quantizer_, self.bits_ = None, self.bits or 8 * codes.shape[-1]
        return super().fit(codes, checkpoints=checkpoints, spread=spread)

    def _packed(self, codes: Any) -> NDArray[np.uint8]:
        if self.quantizer_ is not None and _are_vectors(codes):
            return encoded(codes, self.quantizer_)
        require_packed(codes, self.bits_)
        packed: NDArray[np.uint8] = codes
        return packed

    def _space(self, merged: DistinctCodes) -> BinarySpace:
        return BinarySpace(merged, self.bits_, self.assignment)

    def _as_codes(self, centres: NDArray[np.uint64]) -> NDArray[np.uint8]:
        return np.ascontiguousarray(centres.astype("<u8").view(np.uint8)[:, : code_bytes(self.bits_)])


def _are_vectors(codes: Vectors) -> bool:
    return len(codes.shape) == 2 and np.issubdtype(codes.dtype, np.floating)
