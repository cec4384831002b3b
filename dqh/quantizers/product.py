"""Product quantization: an embedding is cut into parts, and each part becomes the index of its nearest codeword.

Here: codes, what they stand for, and the look-up tables of a query. Codebooks come out of k-means here, or out of a
network that has learned them (`from_codebooks`). Search by look-up tables is in `dqh.index`.

N embeddings of D dimensions, M subspaces of d = D / M dimensions, K codewords each.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.codes import MOST_CODEWORDS, pack_indices, unpack_indices
from dqh.errors import NotFittedError
from dqh.quantizers.kmeans import kmeans
from dqh.quantizers.quantizer import require_distance, require_embedding, require_state

CHUNK = 2**23
"""Distances held at a time, 64 MiB of float64; at least those of one embedding, M·K, are."""

ROUNDING = 1e-13
"""Squared distances below this share of the squared norms are rounding, and 0."""

LARGEST = MOST_CODEWORDS
"""Codewords a subspace at most."""

SMALLEST_VALUE, LARGEST_VALUE = 1e-12, 1e15
"""What the largest value of training vectors may be: k-means adds up squares in float32."""


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
        device: str | torch.device = "cpu",
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
        self.device = torch.device(device)
        self.bits = subspaces * (codewords.bit_length() - 1)
        self.rotation: NDArray[np.float32] | None = None
        self.distance: Literal["l2", "ip"] = "l2"
        self._codebooks: NDArray[np.float32] | None = None

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
        rows = self._training(vectors)
        codebooks, _ = self._cluster(rows, self._start(start, rows), torch.Generator().manual_seed(self.seed))
        self._keep(codebooks.cpu().numpy(), None)
        return self

    def encode(self, embedding: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
        """Codes of embeddings.

        Args:
            embedding: (N, D) float.

        Returns:
            (N, ⌈M log2 K / 8⌉) uint8, packed.

        Raises:
            NotFittedError: before `fit`.
            ValueError: the embedding does not have D columns, or is not finite.
        """
        require_embedding(embedding, self.dimension, finite=True)
        indices = np.empty((len(embedding), self.subspaces), np.int64)
        for rows, distances in self._squared_distances(embedding):
            indices[rows] = distances.argmin(2).T.cpu().numpy()
        indices = self.first_equal[np.arange(self.subspaces), indices]
        return pack_indices(indices, self._width)

    def decode(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What codes stand for: their codewords, rotated back.

        Args:
            codes: (N, ⌈M log2 K / 8⌉) uint8, packed.

        Returns:
            (N, D) float32.

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
            NotFittedError: before `fit`.
            ValueError: the embedding does not have D columns or is not finite, or another `distance`.
        """
        require_embedding(embedding, self.dimension, finite=True)
        if distance not in ("l2", "ip"):
            raise ValueError(f"distance must be l2 or ip, got {distance!r}")
        tables = np.empty((len(embedding), self.subspaces, self.codewords), np.float32)
        found = self._squared_distances(embedding) if distance == "l2" else self._inner_products(embedding)
        for rows, values in found:
            tables[rows] = values.transpose(0, 1).cpu().numpy()
        return tables

    def codewords_of(self, codes: NDArray[np.uint8]) -> NDArray[np.int64]:
        """(N, M) int64, the indices in codes (N, ⌈M log2 K / 8⌉) uint8; `ValueError` for another dtype or shape."""
        return unpack_indices(codes, self.subspaces, self._width)

    def soft(self, embedding: NDArray[np.floating[Any]], *, tolerance: float) -> NDArray[np.bool_]:
        """All bits of the subspaces in which a small change of the embedding can change the nearest codeword.

        A change by at most `tolerance` a dimension moves a part by at most r = tolerance √n, where n = d, or n = D if
        there is a rotation, and every distance (not squared) with it by at most r: the nearest codeword stays where the
        second is farther by more than 2 r.

        Args:
            embedding: (N, D) float.
            tolerance: largest change of a dimension.

        Returns:
            (N, B) bool.

        Raises:
            NotFittedError: before `fit`.
            ValueError: the embedding does not have D columns, or is not finite.
        """
        require_embedding(embedding, self.dimension, finite=True)
        moving = self.dimension if self.rotation is not None else self.dimension // self.subspaces
        reach = 2 * tolerance * moving**0.5
        near = np.empty((len(embedding), self.subspaces), np.bool_)
        for rows, distances in self._squared_distances(embedding):
            best = distances.topk(2, dim=2, largest=False).values.sqrt()
            near[rows] = (best[:, :, 1] - best[:, :, 0] <= reach).T.cpu().numpy()
        return np.repeat(near, self._width, axis=1)

    def preimage(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, D) float32 embeddings that have the codes: what they stand for."""
        return self.decode(codes)

    def sample(self, count: int, generator: np.random.Generator) -> NDArray[np.uint8]:
        """(`count`, ⌈M log2 K / 8⌉) uint8, random codewords."""
        return pack_indices(generator.integers(0, self.codewords, (count, self.subspaces)), self._width)

    def layout(self) -> dict[str, Any]:
        """M, K and D under `product_quantizer`, and whether there is a rotation."""
        fields = {"subspaces": self.subspaces, "codewords": self.codewords, "dimension": self.dimension}
        return {"product_quantizer": {**fields, "rotated": self.rotation is not None}}

    def state(self) -> dict[str, Tensor]:
        """What an artifact keeps beside the number of bits: `codebooks`, and `rotation` where there is one."""
        state = {"codebooks": torch.from_numpy(self.codebooks.copy())}
        if self.rotation is not None:
            state["rotation"] = torch.from_numpy(self.rotation.copy())
        return state

    @classmethod
    def from_state(cls, bits: int, state: Mapping[str, Tensor], *, distance: str | None = None) -> Self:
        """The quantizer whose `state` was kept, on the CPU.

        Raises:
            ValueError: the codebooks are missing, something else is there, codebooks or rotation are not float32, not
                finite, of impossible shapes, not orthogonal, or do not make codes of `bits` bits, or another distance.
        """
        wanted = {"codebooks": (torch.float32, 3), "rotation": (torch.float32, 2)}
        require_state(bits, state, wanted, optional=["rotation"])
        rotation = state["rotation"].numpy() if "rotation" in state else None
        known = require_distance(cls.kind, distance, cls.distances)
        quantizer = cls.from_codebooks(state["codebooks"].numpy(), rotation=rotation, distance=known)
        if quantizer.bits != bits:
            raise ValueError(
                f"{quantizer.subspaces} codebooks of {quantizer.codewords} codewords make codes of {quantizer.bits} "
                f"bits, got {bits} bits"
            )
        return quantizer

    @classmethod
    def _of_size(cls, subspaces: int, codewords: int) -> Self:
        """An unfitted quantizer of this size, whatever the constructor of a child asks for."""
        return cls(subspaces, codewords)

    @property
    def _width(self) -> int:
        """Bits an index, log2 K."""
        return self.codewords.bit_length() - 1

    def _training(self, vectors: NDArray[np.floating[Any]]) -> Tensor:
        """Training vectors (N, D) float32 on the device, checked."""
        if vectors.ndim != 2 or not vectors.shape[1]:
            raise ValueError(f"vectors must have shape (N, D), got {vectors.shape}")
        count, dimension = vectors.shape
        if dimension % self.subspaces:
            divisors = ", ".join(str(m) for m in range(1, dimension + 1) if dimension % m == 0)
            raise ValueError(
                f"subspaces must divide the {dimension} dimensions of the vectors, got {self.subspaces}; "
                f"choose one of {divisors}"
            )
        if count < self.codewords:
            fewer = f" or choose at most {1 << (count.bit_length() - 1)} codewords" if count > 1 else ""
            raise ValueError(
                f"codewords must be at most the number of training vectors, got {self.codewords} codewords for "
                f"{count} vectors; give more vectors{fewer}"
            )
        rows = np.require(vectors, np.float32, ["C", "W"])
        if not np.isfinite(rows).all():
            bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
            raise ValueError(f"vectors must be finite float32, {len(bad)} rows are not, first row {bad[0]}")
        largest = float(np.abs(rows).max())
        if largest and not SMALLEST_VALUE <= largest <= LARGEST_VALUE:
            raise ValueError(
                f"the largest value of the vectors must be in {SMALLEST_VALUE:g} … {LARGEST_VALUE:g}, so that float32 "
                f"holds squared distances, got {largest}; scale them"
            )
        return torch.from_numpy(rows).to(self.device)

    def _start(self, start: NDArray[np.floating[Any]] | None, rows: Tensor) -> Tensor | None:
        """Codebooks of a warm start on the device, checked."""
        if start is None:
            return None
        wanted = (self.subspaces, self.codewords, rows.shape[1] // self.subspaces)
        if start.shape != wanted or not np.isfinite(start).all():
            raise ValueError(f"start must be finite codebooks of shape {wanted}, got shape {start.shape}")
        return torch.from_numpy(np.array(start, np.float32)).to(self.device)

    def _cluster(
        self, rows: Tensor, start: Tensor | None, generator: torch.Generator, *, iterations: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Codebooks (M, K, d) and assignment (N, M) of vectors (N, D), by k-means in each subspace."""
        parts = rows.chunk(self.subspaces, dim=1)
        found = [
            kmeans(
                part.contiguous(),
                self.codewords,
                generator=generator,
                iterations=iterations or self.iterations,
                start=None if start is None else start[m],
            )
            for m, part in enumerate(parts)
        ]
        return torch.stack([f.centroids for f in found]), torch.stack([f.assignment for f in found], dim=1)

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

    def _inner_products(self, embedding: NDArray[np.floating[Any]]) -> Iterator[tuple[slice, Tensor]]:
        """Chunks of rows, each with the inner products (M, n, K) float64 of its parts and their codewords."""
        codebooks = torch.from_numpy(self.codebooks.astype(np.float64)).to(self.device)
        for rows, parts in self._parts(embedding):
            yield rows, parts @ codebooks.transpose(1, 2)

    def _squared_distances(self, embedding: NDArray[np.floating[Any]]) -> Iterator[tuple[slice, Tensor]]:
        """Chunks of rows, each with the squared L2 distances (M, n, K) float64 of its parts to their codewords."""
        codebooks = torch.from_numpy(self.codebooks.astype(np.float64)).to(self.device)
        norms = codebooks.square().sum(2)[:, None]
        for rows, parts in self._parts(embedding):
            # |x - c|^2 = |c|^2 - 2 x·c + |x|^2; what cancels to less than the rounding is a part that is its codeword
            lengths = parts.square().sum(2, keepdim=True)
            distances = torch.baddbmm(norms, parts, codebooks.transpose(1, 2), alpha=-2).add_(lengths)
            yield rows, distances.masked_fill_(distances <= ROUNDING * (norms + lengths), 0.0)

    def _parts(self, embedding: NDArray[np.floating[Any]]) -> Iterator[tuple[slice, Tensor]]:
        """Chunks of rows, each with its rotated embeddings cut into parts (M, n, d) float64."""
        rotation = None if self.rotation is None else torch.from_numpy(self.rotation.astype(np.float64)).to(self.device)
        step = max(1, CHUNK // (self.subspaces * self.codewords))
        for start in range(0, len(embedding), step):
            rows = slice(start, min(start + step, len(embedding)))
            part = torch.from_numpy(embedding[rows].astype(np.float64)).to(self.device)
            turned = part if rotation is None else part @ rotation
            yield rows, turned.view(len(part), self.subspaces, -1).transpose(0, 1)


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
