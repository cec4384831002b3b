"""Product quantization: an embedding is cut into parts, and each part becomes the index of its nearest codeword.

Here: codes, what they stand for, and the look-up tables of a query. Codebooks come out of k-means (`codebooks`), or out
of a network that has learned them (`from_codebooks`); distances to codewords, for which torch is loaded, are in
`codebooks`, and look-up tables without it in `plain_tables`. Search by look-up tables is in `dqh.index`.

N embeddings of D dimensions, M subspaces of d = D / M dimensions, K codewords each.
"""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from dqh.codes import MOST_CODEWORDS, pack_indices, unpack_indices
from dqh.errors import NotFittedError
from dqh.native import table_twins
from dqh.native.extension import extension
from dqh.native.query_tables import BookColumns, book_columns, query_tables
from dqh.quantizers.plain_tables import plain_codewords
from dqh.quantizers.quantizer import (
    SOFT_CODEWORD,
    Coder,
    require_distance,
    require_embedding,
    require_spread,
    require_state,
)

if TYPE_CHECKING:
    import torch
    from torch import nn

    from dqh.quantizers.usage import CodebookUsage

_TABLES = 2**18
"""Distances to codewords held at a time."""

LARGEST = MOST_CODEWORDS
"""Codewords a subspace at most."""


class ProductQuantizer:
    """Each of M parts of an embedding becomes the index of its nearest codeword out of K (Jégou et al. 2011, §II.B).

    A code is M indices of log2 K bits in faiss's bitstream, see `dqh.codes.pack_indices`. With a `rotation` R an
    embedding z is quantized as z R, and decoding rotates back. Codewords are float32; distances to them are computed in
    float64, so that neither the batch nor the machine decides between two codewords; of equally near ones the first.

    Args:
        subspaces: M, a divisor of D.
        codewords: K, a power of two from 2 to 65,536.
        iterations: of k-means, at most.
        seed: of its start.
        device: to fit and encode on.

    Attributes:
        bits: B = M log2 K, length of a code.
        rotation: (D, D) float32, orthogonal, or None.
        distance: what its codes are searched by where nothing else is asked for: `l2`, squared L2, or `ip`, the inner
            product, which suits embeddings of length 1. The distance of a query q to an item z is then 2 − 2 q·z, of
            which the decoded d, the mean of the items in its cell, gives the expected value 2 − 2 q·d, while
            ‖q − d‖² = 1 − 2 q·d + ‖d‖² favours cells in which items lie apart.
        first_equal: (M, K) int64, the first codeword that equals each; there once it is fitted.

    Raises:
        ValueError: `subspaces` or `iterations` is below 1, or `codewords` is no power of two from 2 to 65,536.

    Example:
        >>> quantizer = ProductQuantizer.from_codebooks(np.array([[[0.0], [1.0]], [[0.0], [5.0]]], np.float32))
        >>> codes = quantizer.encode(np.array([[0.9, 1.0], [0.1, 4.0]]))
        >>> codes.tolist(), quantizer.decode(codes).tolist()
        ([[1], [2]], [[1.0, 0.0], [0.0, 5.0]])
    """

    kind: ClassVar[str] = "pq"
    distances: ClassVar[tuple[str, ...]] = ("l2", "ip")
    rule: ClassVar[str] = (
        "M indices of log2 K bits, low bits first; index m = nearest of K codewords to part m of the embedding, "
        "which is multiplied by the rotation first where there is one"
    )

    def __init__(
        self,
        subspaces: int,
        codewords: int,
        *,
        iterations: int = 25,
        seed: int = 0,
        device: "str | torch.device" = "cpu",
    ) -> None:
        if subspaces < 1:
            raise ValueError(f"subspaces must be at least 1, got {subspaces}")
        if not 2 <= codewords <= LARGEST or codewords & (codewords - 1):
            raise ValueError(f"codewords must be a power of two from 2 to {LARGEST}, got {codewords}")
        if iterations < 1:
            raise ValueError(f"iterations must be at least 1, got {iterations}")
        self.subspaces = subspaces
        self.codewords = codewords
        self.iterations = iterations
        self.seed = seed
        self.device = device
        self.bits = subspaces * (codewords.bit_length() - 1)
        self.rotation: NDArray[np.float32] | None = None
        self.distance: Literal["l2", "ip"] = "l2"
        self._codebooks: NDArray[np.float32] | None = None
        self._columns: BookColumns | None = None

    @property
    def codebooks(self) -> NDArray[np.float32]:
        """(M, K, d) float32; `NotFittedError` before `fit`."""
        if self._codebooks is None:
            raise NotFittedError(f"{type(self).__name__} is not fitted; call fit(vectors) first")
        return self._codebooks

    @property
    def dimension(self) -> int:
        """D; `NotFittedError` before `fit`."""
        return int(self.subspaces * self.codebooks.shape[2])

    @classmethod
    def from_codebooks(
        cls,
        codebooks: NDArray[np.floating[Any]],
        *,
        rotation: NDArray[np.floating[Any]] | None = None,
        distance: str = "l2",
    ) -> Self:
        """A quantizer with codebooks from elsewhere.

        Args:
            codebooks: (M, K, d) float, finite, also as float32; kept as a copy of it.
            rotation: (D, D) float, orthogonal to 1e-3, or None.
            distance: the attribute.

        Raises:
            ValueError: another shape, K or distance, or what is given is not finite or not orthogonal.
        """
        if distance not in ("l2", "ip"):
            raise ValueError(f"distance must be l2 or ip, got {distance!r}")
        if codebooks.ndim != 3 or 0 in codebooks.shape or not _is_finite(codebooks):
            raise ValueError(f"codebooks must be finite and of shape (M, K, D / M), got shape {codebooks.shape}")
        quantizer = cls._of_size(codebooks.shape[0], codebooks.shape[1])
        quantizer._keep(codebooks, rotation)
        quantizer.distance = "ip" if distance == "ip" else "l2"
        return quantizer

    def fit(self, vectors: NDArray[np.floating[Any]], *, start: NDArray[np.floating[Any]] | None = None) -> Self:
        """Make a codebook of each subspace by k-means.

        Args:
            vectors: (N, D) float, N at least K.
            start: (M, K, d) codebooks of a warm start; k-means++ where there are none.

        Returns:
            Itself.

        Raises:
            ValueError: vectors that are not finite, of another shape, fewer than codewords, or whose D is no multiple
                of M; `start` of another shape.
        """
        from dqh.quantizers.codebooks import fit_codebooks

        self._keep(fit_codebooks(self, vectors, start=start), None)
        return self

    def encode(self, embedding: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
        """Codes (N, ⌈M log2 K / 8⌉) uint8, packed, of embeddings (N, D) float.

        Raises:
            NotFittedError: before `fit`.
            ValueError: the embedding does not have D columns, or is not finite.
        """
        require_embedding(embedding, self.dimension, finite=True)
        indices = self.first_equal[np.arange(self.subspaces), self._nearest(embedding)]
        return pack_indices(indices, self._width)

    def decode(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What codes (N, ⌈M log2 K / 8⌉) uint8 stand for, (N, D) float32: their codewords, rotated back.

        Raises:
            NotFittedError: before `fit`.
            ValueError: wrong dtype or shape.
        """
        parts = self.codebooks[np.arange(self.subspaces), self.codewords_of(codes)]
        vectors = parts.reshape(len(codes), self.dimension)
        return vectors if self.rotation is None else vectors @ self.rotation.T

    def tables(self, embedding: NDArray[np.floating[Any]], distance: Literal["l2", "ip"] = "l2") -> NDArray[np.float32]:
        """Look-up tables of queries: entry (q, m, k) belongs to part m of query q and codeword k of subspace m.

        The sum of a query's entries at the indices of a code is the squared L2 distance, or the inner product, of the
        query and the decoded code (Jégou et al. 2011, equation 13).

        Args:
            embedding: (Q, D) float.
            distance: "l2" for squared L2 distances, "ip" for inner products, which are a similarity.

        Returns:
            (Q, M, K) float32.

        Raises:
            NotFittedError, ValueError: as `encode`, or another `distance`.
        """
        require_embedding(embedding, self.dimension, finite=True)
        if distance not in ("l2", "ip"):
            raise ValueError(f"distance must be l2 or ip, got {distance!r}")
        kernels = extension() if self.device == "cpu" else None
        if kernels is not None or self._is_plain():
            if self._columns is None:
                self._columns = book_columns(self.codebooks, self.rotation)
            return query_tables(self._columns, embedding, distance=distance, kernels=kernels or table_twins)
        from dqh.quantizers.codebooks import inner_products, squared_distances

        tables = np.empty((len(embedding), self.subspaces, self.codewords), np.float32)
        comparison = squared_distances if distance == "l2" else inner_products
        for rows, values in comparison(self, embedding):
            tables[rows] = values.transpose(0, 1).cpu().numpy()
        return tables

    def _is_plain(self) -> bool:
        """Whether numpy computes, since nothing else here has a need of torch, which takes seconds to load."""
        return self.device == "cpu" and "torch" not in sys.modules

    def _nearest(self, embedding: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
        """(N, M) nearest codewords."""
        indices = np.empty((len(embedding), self.subspaces), np.int64)
        if self._is_plain():
            step = max(1, _TABLES // (self.subspaces * self.codewords))
            for start in range(0, len(embedding), step):
                rows = slice(start, start + step)
                indices[rows] = plain_codewords(self.codebooks, self.rotation, embedding[rows])
            return indices
        from dqh.quantizers.codebooks import squared_distances
        from dqh.quantizers.kmeans import first_smallest

        for rows, distances in squared_distances(self, embedding):
            indices[rows] = first_smallest(distances).T.cpu().numpy()
        return indices

    def codewords_of(self, codes: NDArray[np.uint8]) -> NDArray[np.int64]:
        """(N, M) int64, the indices in codes (N, ⌈M log2 K / 8⌉) uint8; `ValueError` for another dtype or shape."""
        return unpack_indices(codes, self.subspaces, self._width)

    def soft(
        self, embedding: NDArray[np.floating[Any]], codes: NDArray[np.uint8], others: NDArray[np.uint8]
    ) -> NDArray[np.bool_]:
        """(N, B): all bits of the subspaces where both codewords are the nearest, up to `SOFT_CODEWORD`, or equal."""
        pairs = np.stack([self.codewords_of(codes), self.codewords_of(others)], axis=2)
        near = np.empty(pairs.shape[:2], np.bool_)
        step = max(1, _TABLES // (self.subspaces * self.codewords))
        for start in range(0, len(embedding), step):
            tables = self.tables(embedding[start : start + step], "l2")
            farther = np.take_along_axis(tables, pairs[start : start + step], axis=2).max(axis=2)
            near[start : start + step] = farther - tables.min(axis=2) < SOFT_CODEWORD * farther
        first = self.first_equal[np.arange(self.subspaces)[None, :, None], pairs]
        return np.repeat(near | (first[:, :, 0] == first[:, :, 1]), self.bits // self.subspaces, axis=1)

    def preimage(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, D) float32 embeddings that have the codes: what they stand for."""
        return self.decode(codes)

    def sample(self, count: int, generator: np.random.Generator) -> NDArray[np.uint8]:
        """(`count`, ⌈M log2 K / 8⌉) uint8, random codewords."""
        return pack_indices(generator.integers(0, self.codewords, (count, self.subspaces)), self._width)

    def threshold_of_bits(self) -> None:
        """None: bits are those of indices of codewords."""

    def graph(self) -> "nn.Module":
        """The nearest codewords in torch."""
        from dqh.quantizers.graph import ProductBits

        return ProductBits(self)

    def layout(self) -> dict[str, Any]:
        """M, K and D under `product_quantizer`, and whether there is a rotation."""
        fields = {"subspaces": self.subspaces, "codewords": self.codewords, "dimension": self.dimension}
        return {"product_quantizer": {**fields, "rotated": self.rotation is not None}}

    def usage(self, embedding: NDArray[np.floating[Any]]) -> "CodebookUsage":
        """How embeddings (N, D) use the codebooks, see `codebook_usage`."""
        from dqh.quantizers.usage import codebook_usage

        return codebook_usage(self, embedding)

    def state(self) -> dict[str, NDArray[Any]]:
        """What an artifact keeps beside the number of bits: `codebooks`, and `rotation` where there is one."""
        state: dict[str, NDArray[Any]] = {"codebooks": self.codebooks}
        if self.rotation is not None:
            state["rotation"] = self.rotation
        return state

    @classmethod
    def from_state(cls, bits: int, state: Mapping[str, NDArray[Any]], *, distance: str | None = None) -> Self:
        """The quantizer whose `state` was kept, on the CPU.

        Raises:
            ValueError: the codebooks are missing, something else is there, codebooks or rotation are not float32, not
                finite, of impossible shapes, not orthogonal, make no codes of `bits` bits or tell nothing apart; or
                another distance.
        """
        wanted = {"codebooks": (np.float32, 3), "rotation": (np.float32, 2)}
        require_state(bits, state, wanted, optional=["rotation"])
        known = require_distance(cls.kind, distance, cls.distances)
        quantizer = cls.from_codebooks(state["codebooks"], rotation=state.get("rotation"), distance=known)
        if quantizer.bits != bits:
            raise ValueError(
                f"{quantizer.subspaces} codebooks of {quantizer.codewords} codewords make codes of {quantizer.bits} "
                f"bits, got {bits} bits"
            )
        require_spread(quantizer.codebooks)
        return quantizer

    @classmethod
    def _of_size(cls, subspaces: int, codewords: int) -> Self:
        """An unfitted quantizer of this size, whatever the constructor of a child asks for."""
        return cls(subspaces, codewords)

    @property
    def _width(self) -> int:
        """Bits an index, log2 K."""
        return self.codewords.bit_length() - 1

    def _keep(self, codebooks: NDArray[np.floating[Any]], rotation: NDArray[np.floating[Any]] | None) -> None:
        """Take codebooks and a rotation, as float32 copies that nobody can change."""
        dimension = codebooks.shape[0] * codebooks.shape[2]
        if rotation is not None:
            if rotation.shape != (dimension, dimension):
                raise ValueError(f"rotation must have shape ({dimension}, {dimension}), got {rotation.shape}")
            if not np.abs(rotation.T @ rotation - np.eye(dimension)).max() <= 1e-3:  # also where it holds NaN
                raise ValueError("rotation must be orthogonal to 1e-3, it is not")
        self._codebooks = _frozen(codebooks)
        self.first_equal = np.stack([_first_equal(book) for book in self._codebooks])
        self.rotation = None if rotation is None else _frozen(rotation)
        self._columns = None


def product_quantizer(quantizer: Coder) -> ProductQuantizer | None:
    """A quantizer where it has codebooks, for what works on their words; None for others."""
    return quantizer if isinstance(quantizer, ProductQuantizer) else None


def _first_equal(rows: NDArray[np.float32]) -> NDArray[np.int64]:
    """(K,) the first row that equals each row of (K, d)."""
    _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return np.asarray(first[inverse.reshape(-1)], np.int64)


def _is_finite(array: NDArray[np.floating[Any]]) -> bool:
    """Whether all values are finite as float32; numbers of another kind than floating are not."""
    if not np.issubdtype(array.dtype, np.floating):
        return False
    with np.errstate(over="ignore"):
        return bool(np.isfinite(array.astype(np.float32, copy=False)).all())


def _frozen(array: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    copy = np.array(array, np.float32, order="C")
    copy.setflags(write=False)
    return copy
