"""Codebooks of a product quantizer inside a network: fitted by k-means, then moved by gradient or fitted again."""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dqh.codes import count_subspaces
from dqh.errors import NotFittedError
from dqh.quantizers import ProductQuantizer

STD = 0.1
"""Standard deviation of the words before they are fitted."""


class LearnedCodebooks(nn.Module):
    """M codebooks of K words for embeddings of D dimensions, M parts of D / M each.

    Args:
        bits: B = M · log2 K.
        codewords: K of a part, a power of two.
        dimension: D, a multiple of M.
        follows_gradient: whether they are a parameter, or a buffer that k-means alone moves.

    Attributes:
        words: (M, K, D / M).
        fitted: scalar bool, whether `fit` has been called.

    Raises:
        ValueError: bits, codewords and dimension that do not fit together.
    """

    words: Tensor
    fitted: Tensor

    def __init__(self, *, bits: int, codewords: int, dimension: int, follows_gradient: bool) -> None:
        super().__init__()
        subspaces = count_subspaces(bits, codewords, dimension)
        words = STD * torch.randn(subspaces, codewords, dimension // subspaces)
        if follows_gradient:
            self.words = nn.Parameter(words)
        else:
            self.register_buffer("words", words)
        self.register_buffer("fitted", torch.tensor(False))

    @property
    def bits(self) -> int:
        """M · log2 K."""
        return len(self.words) * (self.words.shape[1].bit_length() - 1)

    def fit(self, embedding: NDArray[np.float32], *, seed: int) -> None:
        """K-means a part of (N, D) embeddings, from the words of before where there are some."""
        subspaces, codewords, _ = self.words.shape
        start = self.words.detach().cpu().numpy() if self.fitted else None
        quantizer = ProductQuantizer(subspaces, codewords, seed=seed, device=self.words.device)
        quantizer.fit(embedding, start=start)
        with torch.no_grad():
            self.words.copy_(torch.tensor(quantizer.codebooks))
            self.fitted.fill_(value=True)

    def fit_others(self, bits: int, embedding: NDArray[np.float32], *, seed: int) -> "LearnedCodebooks":
        """Codebooks of another length for the same embeddings (N, D), by k-means.

        Raises:
            ValueError: bits, codewords and dimension do not fit together.
        """
        _, codewords, width = self.words.shape
        dimension = len(self.words) * width
        others = LearnedCodebooks(bits=bits, codewords=codewords, dimension=dimension, follows_gradient=False)
        others.to(self.words.device).fit(embedding, seed=seed)
        return others

    def distances(self, embedding: Tensor) -> Tensor:
        """(N, M, K) squared L2 between the parts of embeddings (N, D) and the words, in float32 at least."""
        wide = embedding.to(torch.promote_types(embedding.dtype, torch.float32))
        parts = wide.view(len(wide), len(self.words), -1)
        with torch.autocast(wide.device.type, enabled=False):
            products = torch.einsum("nmd,mkd->nmk", parts, self.words)
        return parts.square().sum(2, keepdim=True) - 2 * products + self.words.square().sum(2)

    def nearest(self, embedding: Tensor) -> Tensor:
        """(N, D) the nearest word of each part; its gradient goes to the words."""
        chosen = self.distances(embedding.detach()).argmin(2)
        return self.words[torch.arange(len(self.words), device=chosen.device), chosen].flatten(1)

    def mixed(self, shares: Tensor) -> Tensor:
        """(N, D) means of the words of each part, with shares (N, M, K) that sum to 1."""
        return torch.einsum("nmk,mkd->nmd", shares, self.words).flatten(1)

    def quantizer(self, distance: Literal["l2", "ip"]) -> ProductQuantizer:
        """The product quantizer of these words.

        Raises:
            NotFittedError: they were never fitted.
        """
        if not self.fitted:
            raise NotFittedError("the codebooks are not fitted; call fit_quantizer(embedding, seed=0) first")
        return ProductQuantizer.from_codebooks(self.words.detach().cpu().numpy(), distance=distance)
