"""PQ k-means: clusters of product-quantized codes, with centres that are codes (Matsui et al. 2017).

N codes, U distinct ones of M subspaces with K codewords, k clusters.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.clustering.cell_assignment import distances_of, labels_of
from dqh.clustering.code_clusters import CodeKMeans
from dqh.clustering.code_starts import Start
from dqh.clustering.code_sums import AssignedCodes, CodeSums
from dqh.clustering.distinct_codes import DistinctCodes
from dqh.codes import pack_indices, require_codes
from dqh.native import code_kernels
from dqh.quantizers.product import ProductQuantizer

MOST_CODEWORDS = 256
"""Codewords that a byte tells apart."""


class PQKMeans(CodeKMeans):
    """K-means on codes of a product quantizer, by look-up tables alone (Matsui, Ogaki, Yamasaki, Aizawa 2017).

    The distance of two codes is the squared L2 distance of what they stand for: a sum of M distances between codewords,
    which are looked up. A centre has in each subspace the codeword with the least sum of distances to those of its
    codes, so that both steps lower the sum of distances.

    Args:
        n_clusters: k.
        quantizer: fitted, of at most 256 codewords a subspace.
        start: `random`, `k-means++` or `afk-mc2`, see `CodeKMeans`, as are `iterations`, `seed` and the attributes.
        iterations: at most.
        seed: of the start.

    Raises:
        ValueError: an argument is out of its range, or the quantizer has more codewords.
        NotFittedError: the quantizer is not fitted.

    Example:
        >>> quantizer = ProductQuantizer.from_codebooks(np.array([[[0.0], [1.0], [8.0], [9.0]]], np.float32))
        >>> clusters = PQKMeans(2, quantizer).fit(np.array([[0], [1], [1], [2], [3]], np.uint8))
        >>> bool(clusters.labels_[0] == clusters.labels_[1] != clusters.labels_[3]), clusters.distortion_
        (True, 0.4)
    """

    def __init__(
        self,
        n_clusters: int,
        quantizer: ProductQuantizer,
        *,
        start: Start = "afk-mc2",
        iterations: int = 10,
        seed: int = 0,
    ) -> None:
        super().__init__(n_clusters, start=start, iterations=iterations, seed=seed)
        if quantizer.codewords > MOST_CODEWORDS:
            raise ValueError(
                f"quantizer must have at most {MOST_CODEWORDS} codewords a subspace, got {quantizer.codewords:,}; "
                "take more subspaces of fewer, or IQMeans"
            )
        self.quantizer = quantizer
        self._distances = _codeword_distances(quantizer.codebooks)

    def _packed(self, codes: Any) -> NDArray[np.uint8]:
        require_codes(codes, self.quantizer.bits)
        packed: NDArray[np.uint8] = codes
        return packed

    def _space(self, merged: DistinctCodes) -> "ProductSpace":
        return ProductSpace(merged.weights, self.quantizer.codewords_of(merged.codes), self._distances)

    def _as_codes(self, centres: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return pack_indices(centres, self.quantizer.codewords.bit_length() - 1)


class ProductSpace(AssignedCodes):
    """Codes and centres as codewords (·, M) uint8.

    Args:
        weights: (U,) uint32, the attribute.
        indices: (U, M), codewords of the codes.
        distances: (M, K, K) float32, squared, between codewords.
    """

    def __init__(self, weights: NDArray[np.uint32], indices: NDArray[np.int64], distances: NDArray[np.float32]) -> None:
        super().__init__(weights)
        self._indices, self._distances = indices.astype(np.uint8), distances

    def between(self, place: int, places: NDArray[np.int64]) -> NDArray[np.float64]:
        """Distances of a code to others (m,)."""
        sums = np.zeros(len(places), np.float64)
        for table, column in zip(self._distances, self._indices.T, strict=True):
            sums += table[column[place]][column[places]]
        return sums

    def to_nearest(self, places: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.float64]:
        """Distances (m,) of codes (m,) to the nearest of others, of float32 sums."""
        return distances_of(self._keys(self._indices[places], self._indices[others])).astype(np.float64)

    def centres_at(self, places: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Codes as centres (m, M)."""
        return self._indices[places]

    def nearest(
        self, centres: NDArray[np.uint8], last: NDArray[np.int32] | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The nearest of centres (k, M) to each code, of equal float32 sums the first, and its distance, (U,) each."""
        keys = self._keys(self._indices, centres)
        return labels_of(keys), distances_of(keys).astype(np.float64)

    def _keys(self, codes: NDArray[np.uint8], centres: NDArray[np.uint8]) -> NDArray[np.uint64]:
        return code_kernels.nearest_centres(self._distances, codes, centres, native=code_kernels.kernels())

    def parts(self, labels: NDArray[np.int32], count: int) -> NDArray[np.uint32]:
        """How many codes of each centre have each codeword (k, M, K)."""
        subspaces, codewords, _ = self._distances.shape
        histograms = np.empty((count, subspaces, codewords), np.uint32)
        for subspace, column in enumerate(self._indices.T):
            cells = labels.astype(np.int64) * codewords + column
            counts = np.bincount(cells, weights=self.weights, minlength=count * codewords)
            histograms[:, subspace] = counts.reshape(count, codewords)
        return histograms

    def error(self, centres: NDArray[np.uint8], sums: CodeSums) -> float:
        """Distances of the codewords of all codes to those of their centres, in float64."""
        return sum(
            float(np.einsum("kc,kc->", sums.parts[:, subspace], table[centres[:, subspace]], dtype=np.float64))
            for subspace, table in enumerate(self._distances)
        )

    def moved(self, centres: NDArray[np.uint8], sums: CodeSums) -> NDArray[np.uint8]:
        """In each subspace the codeword with the least sum of distances to those of the codes."""
        new, filled = centres.copy(), sums.counts > 0
        for subspace, table in enumerate(self._distances):
            far = sums.parts[:, subspace].astype(np.float64) @ table.astype(np.float64)
            new[filled, subspace] = far.argmin(axis=1)[filled]
        return new


def _codeword_distances(codebooks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared distances (M, K, K) between codewords of codebooks (M, K, d)."""
    books = codebooks.astype(np.float64)
    distances = np.empty((*books.shape[:2], books.shape[1]), np.float32)
    for book, table in zip(books, distances, strict=True):
        for codeword, row in zip(book, table, strict=True):
            row[:] = ((book - codeword) ** 2).sum(axis=1)
    return distances
