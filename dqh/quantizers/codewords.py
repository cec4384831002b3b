"""Distances and inner products between the parts of embeddings and the codewords of a product quantizer, in float64.

N embeddings of D dimensions, n of a chunk, M subspaces of d dimensions, K codewords each.
"""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.quantizers.plain_tables import ROUNDING

CHUNK = 2**23
"""Distances held at a time, 64 MiB of float64; at least those of one embedding, M·K, are."""


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
    norms = codebooks.square().sum(2)[:, None]
    for rows, parts in _parts(books, embedding):
        # |x - c|^2 = |c|^2 - 2 x·c + |x|^2; what cancels to less than the rounding is a part that is its codeword
        lengths = parts.square().sum(2, keepdim=True)
        distances = torch.baddbmm(norms, parts, codebooks.transpose(1, 2), alpha=-2).add_(lengths)
        yield rows, distances.masked_fill_(distances <= ROUNDING * (norms + lengths), 0.0)


def _parts(books: Codebooks, embedding: NDArray[np.floating[Any]]) -> Iterator[tuple[slice, Tensor]]:
    """Chunks of rows, each with its rotated embeddings cut into parts (M, n, d) float64."""
    rotation = None if books.rotation is None else torch.from_numpy(books.rotation.astype(np.float64)).to(books.device)
    subspaces, codewords, _ = books.codebooks.shape
    step = max(1, CHUNK // (subspaces * codewords))
    for start in range(0, len(embedding), step):
        rows = slice(start, min(start + step, len(embedding)))
        part = torch.from_numpy(embedding[rows].astype(np.float64)).to(books.device)
        turned = part if rotation is None else part @ rotation
        yield rows, turned.view(len(part), subspaces, -1).transpose(0, 1)
