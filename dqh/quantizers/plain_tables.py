"""Look-up tables of queries by numpy alone, for programs that have no other need of torch, which takes seconds to load.

What `codebooks` computes: the same formula in float64, where only the order of the sums over the dimensions of a part
is another, so that tables are the same to the last digit but for one of millions of entries.

Q embeddings of D dimensions, M subspaces of d dimensions, K codewords each.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

ROUNDING = 1e-13
"""Squared distances below this share of the squared norms are rounding, and 0."""


def plain_tables(
    codebooks: NDArray[np.float32],
    rotation: NDArray[np.float32] | None,
    embedding: NDArray[np.floating[Any]],
    *,
    distance: Literal["l2", "ip"],
) -> NDArray[np.float32]:
    """Squared L2 distances or inner products of the parts of embeddings and the codewords.

    The tables of a query do not depend on the queries beside it.

    Args:
        codebooks: (M, K, d).
        rotation: (D, D), what embeddings are multiplied by first, or None.
        embedding: (Q, D) float, finite.
        distance: which of them.

    Returns:
        (Q, M, K) float32.
    """
    books = codebooks.astype(np.float64)
    whole = embedding.astype(np.float64)
    turned = whole if rotation is None else np.vecdot(whole[:, None], rotation.T.astype(np.float64))
    parts = turned.reshape(len(whole), len(books), 1, -1)
    products: NDArray[np.float64] = np.vecdot(parts, books)
    if distance == "ip":
        return products.astype(np.float32)
    norms, lengths = np.square(books).sum(2), np.square(parts).sum(3)
    distances: NDArray[np.float64] = norms - 2 * products + lengths  # |x - c|^2
    distances[distances <= ROUNDING * (norms + lengths)] = 0
    return distances.astype(np.float32)
