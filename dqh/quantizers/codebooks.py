"""The codebooks of a product quantizer: fitted by k-means in each subspace, and how far embeddings lie from codewords.

Distances and inner products are in float64.

N vectors or embeddings of D dimensions, n of a chunk, M subspaces of d = D / M dimensions, K codewords each.
"""

from collections.abc import Iterator
from functools import reduce
from operator import add
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.native.table_twins import ROUNDING
from dqh.quantizers.kmeans import kmeans

SMALLEST_VALUE, LARGEST_VALUE = 1e-12, 1e15
"""What the largest value of training vectors may be: k-means adds up squares in float32."""

CHUNK = 2**23
"""Distances held at a time, 64 MiB of float64; at least those of one embedding, M·K, are."""

CACHED = 2**18
"""The same on the CPU, 2 MiB: each of the steps that make a distance finds it in the cache."""


_FEW = 4
"""Dimensions of a subspace that are added up one by one."""


class Fitted(Protocol):
    """The settings of a product quantizer: M, K, iterations and seed of k-means, and the device."""

    subspaces: int
    codewords: int
    iterations: int
    seed: int
    device: str | torch.device


def fit_codebooks(
    quantizer: Fitted, vectors: NDArray[np.floating[Any]], *, start: NDArray[np.floating[Any]] | None
) -> NDArray[np.float32]:
    """(M, K, d) codebooks of vectors (N, D), see `ProductQuantizer.fit`."""
    rows = training_rows(quantizer, vectors)
    generator = torch.Generator().manual_seed(quantizer.seed)
    codebooks, _ = cluster(quantizer, rows, warm_start(quantizer, start, rows), generator)
    return codebooks.cpu().numpy()


def training_rows(quantizer: Fitted, vectors: NDArray[np.floating[Any]]) -> Tensor:
    """Training vectors (N, D) float32 on the device, checked."""
    if vectors.ndim != 2 or not vectors.shape[1]:
        raise ValueError(f"vectors must have shape (N, D), got {vectors.shape}")
    count, dimension = vectors.shape
    if dimension % quantizer.subspaces:
        divisors = ", ".join(str(m) for m in range(1, dimension + 1) if dimension % m == 0)
        raise ValueError(
            f"subspaces must divide the {dimension} dimensions of the vectors, got {quantizer.subspaces}; "
            f"choose one of {divisors}"
        )
    if count < quantizer.codewords:
        fewer = f" or choose at most {1 << (count.bit_length() - 1)} codewords" if count > 1 else ""
        raise ValueError(
            f"codewords must be at most the number of training vectors, got {quantizer.codewords} codewords for "
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
    return torch.from_numpy(rows).to(quantizer.device)


def warm_start(quantizer: Fitted, start: NDArray[np.floating[Any]] | None, rows: Tensor) -> Tensor | None:
    """Codebooks of a warm start on the device, checked."""
    if start is None:
        return None
    wanted = (quantizer.subspaces, quantizer.codewords, rows.shape[1] // quantizer.subspaces)
    if start.shape != wanted or not np.isfinite(start).all():
        raise ValueError(f"start must be finite codebooks of shape {wanted}, got shape {start.shape}")
    return torch.from_numpy(np.array(start, np.float32)).to(quantizer.device)


def cluster(
    quantizer: Fitted, rows: Tensor, start: Tensor | None, generator: torch.Generator, *, iterations: int | None = None
) -> tuple[Tensor, Tensor]:
    """Codebooks (M, K, d) and assignment (N, M) of vectors (N, D), by k-means in each subspace."""
    parts = rows.chunk(quantizer.subspaces, dim=1)
    codebooks = [
        kmeans(
            part.contiguous(),
            quantizer.codewords,
            generator=generator,
            iterations=iterations or quantizer.iterations,
            start=None if start is None else start[m],
        )
        for m, part in enumerate(parts)
    ]
    return torch.stack([f.centroids for f in codebooks]), torch.stack([f.assignment for f in codebooks], dim=1)


class Codebooks(Protocol):
    """What a product quantizer has.

    Attributes:
        rotation: (D, D), what embeddings are multiplied by first, or None.
        device: to compute on.
    """

    rotation: NDArray[np.float32] | None
    device: str | torch.device

    @property
    def codebooks(self) -> NDArray[np.float32]:
        """(M, K, d)."""
        ...


def inner_products(books: Codebooks, embedding: NDArray[np.floating[Any]]) -> Iterator[tuple[slice, Tensor]]:
    """Chunks of rows, each with the inner products (M, n, K) float64 of its parts and their codewords."""
    codebooks = torch.from_numpy(books.codebooks.astype(np.float64)).to(books.device)
    for rows, parts in _parts(books, embedding):
        yield rows, parts @ codebooks.transpose(1, 2)


def squared_distances(books: Codebooks, embedding: NDArray[np.floating[Any]]) -> Iterator[tuple[slice, Tensor]]:
    """Chunks of rows, each with the squared L2 distances (M, n, K) float64 of its parts to their codewords."""
    codebooks = torch.from_numpy(books.codebooks.astype(np.float64)).to(books.device)
    norms = _squared_norms(codebooks)[:, None]
    for rows, parts in _parts(books, embedding):
        # |x - c|^2 = |c|^2 - 2 x·c + |x|^2; what cancels to less than the rounding is a part that is its codeword
        lengths = parts.square().sum(2, keepdim=True)
        distances = torch.baddbmm(norms, parts, codebooks.transpose(1, 2), alpha=-2).add_(lengths)
        yield rows, distances.masked_fill_(distances <= ROUNDING * (norms + lengths), 0.0)


def _squared_norms(codebooks: Tensor) -> Tensor:
    """(M, K) of codewords (M, K, d); torch's own sum takes five times as long over few dimensions."""
    squares = codebooks.square()
    return squares.sum(2) if squares.shape[2] > _FEW else reduce(add, squares.unbind(2))


def _parts(books: Codebooks, embedding: NDArray[np.floating[Any]]) -> Iterator[tuple[slice, Tensor]]:
    """Chunks of rows, each with its rotated embeddings cut into parts (M, n, d) float64."""
    rotation = None if books.rotation is None else torch.from_numpy(books.rotation.astype(np.float64)).to(books.device)
    subspaces, codewords, _ = books.codebooks.shape
    step = max(1, (CACHED if torch.device(books.device).type == "cpu" else CHUNK) // (subspaces * codewords))
    for start in range(0, len(embedding), step):
        rows = slice(start, min(start + step, len(embedding)))
        part = torch.from_numpy(embedding[rows].astype(np.float64)).to(books.device)
        turned = part if rotation is None else part @ rotation
        yield rows, turned.view(len(part), subspaces, -1).transpose(0, 1)
