"""Health of codebooks: how evenly their codewords are used, and how much of an embedding a code loses.

N embeddings, M subspaces, K codewords each.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqh.quantizers.product import ProductQuantizer

CHUNK = 65_536
"""Embeddings decoded at a time."""


@dataclass(frozen=True)
class CodebookUsage:
    """Use of the codewords of a product quantizer by N embeddings.

    Attributes:
        perplexity: exp of the entropy of the codewords' frequencies, a subspace each: K where all are used alike, 1
            where one is used alone.
        dead: number of codewords that are never used, a subspace each.
        error: quantization error, mean ‖z − y‖² over mean ‖z‖², y the decoded code of z: 0 where nothing is lost.
            None where z is 0 everywhere.
    """

    perplexity: tuple[float, ...]
    dead: tuple[int, ...]
    error: float | None

    def to_json(self) -> dict[str, Any]:
        """The fields, as JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def codebook_usage(quantizer: ProductQuantizer, embedding: NDArray[np.floating[Any]]) -> CodebookUsage:
    """How embeddings use the codewords of a quantizer.

    Raises:
        NotFittedError: the quantizer is not fitted.
        ValueError: the embedding does not have D columns, or is not finite.

    Example:
        >>> quantizer = ProductQuantizer.from_codebooks(np.array([[[0.0], [1.0], [2.0], [3.0]]]))
        >>> codebook_usage(quantizer, np.array([[1.0], [3.0], [3.0], [1.0]]))
        CodebookUsage(perplexity=(2.0,), dead=(2,), error=0.0)
    """
    codes = quantizer.encode(embedding)
    norm = float(np.square(embedding, dtype=np.float64).sum())
    counts = [np.bincount(column, minlength=quantizer.codewords) for column in quantizer.codewords_of(codes).T]
    error = 0.0
    for start in range(0, len(codes), CHUNK):
        rows = slice(start, start + CHUNK)
        error += float(np.square(embedding[rows] - quantizer.decode(codes[rows]), dtype=np.float64).sum())
    return CodebookUsage(
        perplexity=tuple(perplexity(count) for count in counts),
        dead=tuple(int((count == 0).sum()) for count in counts),
        error=error / norm if norm else None,
    )


def perplexity(counts: NDArray[np.int64]) -> float:
    """exp(−Σ p log p) of frequencies p in proportion to counts (K,), which are not all 0; 0 log 0 counts 0."""
    used = counts[counts > 0] / counts.sum()
    return float(np.exp(-(used * np.log(used)).sum()))
